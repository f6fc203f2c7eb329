"""Arguments that many nodes check alike: names from a closed set, shares, whole numbers, lengths of time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ..errors import InvalidInput

__all__ = ["check_count", "check_name", "check_seconds", "check_share", "is_number", "one_of"]


def one_of(kind: str, name: Any, known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        InvalidInput: It is unknown; the message names those that are known, and the nearest.
    """
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidInput(f"There is no {kind} {name!r}; known: {', '.join(names)}.{hint}")


def check_share(name: str, value: Any) -> float:
    """Return a number from 0 to 1.

    Raises:
        InvalidInput: It is not one.
    """
    if not is_number(value) or not 0 <= value <= 1:
        raise InvalidInput(f"{name} must be a number from 0 to 1, not {value!r}.")
    return float(value)


def check_count(name: str, value: Any, least: int) -> int:
    """Return a whole number.

    Raises:
        InvalidInput: It is not one, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return value


def check_name(what: str, name: Any) -> None:
    """Refuse what is no name, or one that cannot be shown or stored.

    Raises:
        InvalidInput: It is no text, empty, or has characters that are not printable.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InvalidInput(f"{what} has a name in words, not {name!r:.60}.")


def check_seconds(name: str, value: Any) -> float:
    """Return a length of time.

    Raises:
        InvalidInput: It is no finite number above 0.
    """
    if not is_number(value) or not 0 < value < float("inf"):
        raise InvalidInput(f"{name} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def is_number(value: Any) -> bool:
    """Say whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
