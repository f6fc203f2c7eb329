"""Plain nodes, which LangGraph runs in threads: how they wait for what the event loop of their drive does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["waiter"]


def waiter(loop: asyncio.AbstractEventLoop, name: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Return what waits in this thread for a coroutine of an event loop, and returns its result.

    Args:
        loop: The loop of the drive.
        name: The function that waits, such as `once`; `<name>_sync` was called.

    Raises:
        RuntimeError: This is that loop's own thread, which would wait for itself for ever.
    """
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        raise RuntimeError(f"{name}_sync() was called in the event loop's own thread; use `await {name}(…)` there")
    return lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
