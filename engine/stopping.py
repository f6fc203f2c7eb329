"""Ending tasks that would go on for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

__all__ = ["stopped"]

_SAID_AGAIN_SECONDS: Final = 1.0


async def stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until they have ended, however that is.

    What cancels a call may be taken for the call's failure, and tried again; or it comes at the moment at which the call
    succeeds, and is forgotten (`asyncio.wait_for` before Python 3.12, by which a pool waits for a connection). So it is
    said until it is heard.

    Args:
        tasks: The tasks; those that have ended are left alone.
    """
    while left := {task for task in tasks if not task.done()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_SAID_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: nobody else asks for it
