"""Rows of several tables that one statement returns side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from psycopg import AsyncCursor
from psycopg.rows import DictRow

__all__ = ["Parts", "in_parts"]

Parts: TypeAlias = list[DictRow]


def in_parts(cursor: AsyncCursor[Any]) -> Callable[[Sequence[Any]], Parts]:
    """Make rows of several tables, between whose columns stand bars: columns that are called `|`. A row factory."""
    result = cursor.pgresult  # `description` would take longer than all the rest
    names = [(result.fname(n) or b"").decode() for n in range(result.nfields)] if result is not None else []
    bars = [place for place, name in enumerate(names) if name == "|"]
    parts = list(zip([0, *(bar + 1 for bar in bars)], [*bars, len(names)], strict=True))
    return lambda values: [dict(zip(names[first:end], values[first:end], strict=True)) for first, end in parts]
