"""Events as JSON, for the table that others follow, and back.

A pause is stored with the ids of its questions only: the questions stand in the checkpoints, and are shown from there
while they are open.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ..state.values import json_problem, storable_text
from . import events
from .events import Event, Paused
from .model import Review

__all__ = ["LARGEST", "from_row", "to_payload"]

LARGEST: Final = 16_384
_SHORT: Final = 100
_FEW: Final = 100
_KINDS: Final[Mapping[str, type[Event]]] = {
    kind.kind: kind for name in events.__all__ if issubclass(kind := getattr(events, name), Event)
}
_NOT_STORED: Final = ("thread_id", "seq", "at", "place")
_STORED: Final[Mapping[type[Event], tuple[str, ...]]] = {
    kind: tuple(each.name for each in dataclasses.fields(kind) if each.name not in _NOT_STORED)
    for kind in _KINDS.values()
}


def to_payload(event: Event) -> dict[str, Any]:
    """Return what the table keeps of an event beside its kind. What is not JSON, or too large, is described instead.

    Args:
        event: The event.
    """
    if isinstance(event, Paused):
        return {"reviews": [review.id for review in event.reviews]}
    return {name: _kept(getattr(event, name)) for name in _STORED[type(event)]}


def from_row(thread_id: str, row: Mapping[str, Any], open_reviews: Mapping[str, Review]) -> Event | None:
    """Return the event of a row; None when a newer adjourn wrote a kind that is not known here.

    Args:
        thread_id: The run.
        row: `seq`, `at`, `kind` and `payload`.
        open_reviews: The questions that are open now, by id; a pause shows those of its own that still are.
    """
    kind = _KINDS.get(row["kind"])
    if kind is None:
        return None
    known = {each.name for each in dataclasses.fields(kind)} - set(_NOT_STORED)
    hints = typing.get_type_hints(kind)
    values = {
        name: tuple(value) if typing.get_origin(hints[name]) is tuple and isinstance(value, list) else value
        for name, value in row["payload"].items()
        if name in known
    }
    if kind is Paused:
        values = {"reviews": tuple(open_reviews[each] for each in values["reviews"] if each in open_reviews)}
    at: datetime = row["at"]
    return kind(thread_id=thread_id, **values, seq=row["seq"], at=at)


def _kept(value: Any) -> Any:
    if _is_plain(value):
        return value
    if type(value) is tuple and len(value) < _FEW and all(map(_is_plain, value)):
        return list(value)
    return _small(_plain(value))


def _is_plain(value: Any) -> bool:
    """Whether a value is kept as it is, as most are: short names, seconds, nothing; anything else is looked at closely."""
    if type(value) is str:
        return len(value) < _SHORT and value.isascii() and "\x00" not in value
    return value is None or (type(value) is float and math.isfinite(value))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, tuple):
        value = list(value)
    if json_problem(value) is None:
        return value
    return storable_text(f"{type(value).__name__}: {value}")


def _small(value: Any) -> Any:
    if value is None or isinstance(value, float):
        return value
    size = len(str(value))
    if size <= LARGEST:
        return value
    return value[:LARGEST] if isinstance(value, str) else f"a {type(value).__name__} of about {size:,} characters"
