"""How functions of the user's are called: plain ones in a thread, so that the event loop never waits for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter

__all__ = ["called", "is_async"]


async def called(function: Callable[..., Any], *arguments: Any, limiter: CapacityLimiter | None = None) -> Any:
    """Call a function of the user's: in a thread, unless it is async; one that is cut off is left to itself.

    Args:
        function: Plain or async, or plain and returning something to be awaited.
        *arguments: What it is given.
        limiter: Bounds the threads; by default anyio's own does.
    """
    if is_async(function):
        return await function(*arguments)
    found = await anyio.to_thread.run_sync(function, *arguments, limiter=limiter, abandon_on_cancel=True)
    return await found if inspect.isawaitable(found) else found


def is_async(function: Any) -> bool:
    """Say whether calling something gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
