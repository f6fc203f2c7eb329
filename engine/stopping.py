"""Ending tasks that would go on for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ["stopped", "within"]

_SAID_AGAIN_SECONDS: Final = 1.0


async def stopped(
    *tasks: asyncio.Task[Any], again: float | None = None, heard: Callable[[], bool] = lambda: False
) -> None:
    """Cancel tasks, and wait until they have ended, however that is.

    What cancels a call may be taken for the call's failure, and tried again; or it comes at the moment at which the call
    succeeds, and is forgotten (`asyncio.wait_for` before Python 3.12, by which a pool waits for a connection). So it is
    said until it is heard.

    Args:
        tasks: The tasks; those that have ended are left alone.
        again: Seconds after which it is said again; a second by default.
        heard: Whether they are ending, so that it need not be said again.
    """
    while left := {task for task in tasks if not task.done()}:
        if not heard():
            for task in left:
                task.cancel()
        await asyncio.wait(left, timeout=again or _SAID_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: nobody else asks for it


async def within(seconds: float, doing: Awaitable[Any]) -> bool:
    """Do something for at most so long, whatever it makes of being stopped; say whether it ended by itself.

    Args:
        seconds: How long.
        doing: What; its errors are its own business.
    """
    task = asyncio.ensure_future(doing)
    await asyncio.wait({task}, timeout=seconds)
    done = task.done()
    await stopped(task)
    return done
