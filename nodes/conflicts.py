"""Which results contradict each other: structured results, compared key by key. A pure function, no judgement of texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidInput
from ..state.conflicts import Conflict
from .arguments import is_number

__all__ = ["find_conflicts"]


def find_conflicts(results: Mapping[str, Mapping[str, Any]], *, tolerance: float = 0.0) -> list[Conflict]:
    """Find the pairs of results that contradict each other.

    Two results contradict each other at a key when both say something there and it is not the same. A missing key and None
    say nothing. Mappings are compared inside; lists item by item; texts as they are; true is not 1.

    Args:
        results: Agent or subtask → its result (JSON-safe).
        tolerance: How far two numbers may lie apart, as a share of the larger one (0.01 is one per cent).

    Returns:
        One conflict for each pair and key, sorted by key, then by pair, whatever the order of the results was.

    Raises:
        InvalidInput: `tolerance` is no number of at least 0, or a result is no mapping.
    """
    if not is_number(tolerance) or not 0 <= tolerance < float("inf"):
        raise InvalidInput(f"tolerance must be a number of at least 0, not {tolerance!r}.")
    for name, result in results.items():
        if not isinstance(result, Mapping):
            raise InvalidInput(f"The result of {name!r} must be a mapping of keys to values, not {result!r:.100}.")
    found: list[Conflict] = [
        {"path": list(path), "between": [one, other], "values": [ours, theirs]}
        for one, other in itertools.combinations(sorted(results), 2)
        for path, ours, theirs in _differences(results[one], results[other], tolerance)
    ]
    return sorted(found, key=lambda conflict: (conflict["path"], conflict["between"]))


def _differences(
    one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for key in one.keys() & other.keys():
        ours, theirs, path = one[key], other[key], (*above, key)
        if ours is None or theirs is None:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            yield from _differences(ours, theirs, tolerance, path)
        elif not _same(ours, theirs, tolerance):
            yield path, ours, theirs


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if is_number(one) and is_number(other):
        return bool(one == other or abs(one - other) <= tolerance * max(abs(one), abs(other)))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair, tolerance) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)
