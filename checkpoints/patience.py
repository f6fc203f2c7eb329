"""Waiting for a database that is away for a moment: a restart, a fail-over, a killed back end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

import psycopg

from .faults import worth_repeating

__all__ = ["patiently"]

Result = TypeVar("Result")

_FIRST: Final = 0.05
_LONGEST: Final = 1.0


async def patiently(attempt: Callable[[], Awaitable[Result]], seconds: float) -> Result:
    """Do something that may be done twice, again and again while the database is away.

    Args:
        attempt: What is done; it takes a connection of its own each time. It may have succeeded and be done again,
            when the connection died before the answer came.
        seconds: After this long no further attempt begins.

    Returns:
        What the first attempt that succeeded returned.

    Raises:
        psycopg.Error: The error of the last attempt, or the first one that a repetition would not cure.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for pause in _pauses():
        try:
            return await attempt()
        except psycopg.Error as error:
            if not worth_repeating(error) or loop.time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("the pauses never end")


def _pauses() -> Iterator[float]:
    """Seconds between attempts: none before the second, since a dead connection is replaced at once; then longer."""
    yield 0.0
    pause = _FIRST
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST)
