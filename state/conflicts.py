"""Conflicts between results, as data. JSON-safe."""

from __future__ import annotations

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

from .values import JsonValue

__all__ = ["Conflict"]


class Conflict(TypedDict):
    """Two results that contradict each other.

    Args:
        path: Where: the key, after the keys of the mappings that it stands in.
        between: Whose results they are; sorted.
        values: What the two say there, in the order of `between`.
    """

    path: list[str]
    between: list[str]
    values: list[JsonValue]
