"""From a thread to the loop and back: what stands around a blocking call waits on the loop, the call stays in its thread."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .place import CopingDrive

__all__ = ["from_thread"]

Result = TypeVar("Result")
Value = TypeVar("Value")


def from_thread(
    drive: CopingDrive,
    guarded: Callable[[Callable[..., Coroutine[Any, Any, Value]]], Coroutine[Any, Any, Result]],
    work: Callable[..., Value],
) -> Result:
    """Run a coroutine on the loop of a drive; the blocking work that it asks for is done in the calling thread.

    So blocking calls need no more threads than they had, and what guards them is written once. Work cannot be stopped: a
    time-out of the coroutine counts from when it gave up, but the thread comes back when its work has ended.

    Args:
        drive: The drive.
        guarded: Gets a function that does the work when it is awaited.
        work: The blocking work.
    """
    wanted: queue.SimpleQueue[tuple[tuple[Any, ...], asyncio.Future[Value]] | None] = queue.SimpleQueue()

    async def perform(*args: Any) -> Value:
        future: asyncio.Future[Value] = drive.loop.create_future()
        wanted.put((args, future))
        return await future

    ended = drive.wait_for(guarded(perform))
    ended.add_done_callback(lambda _: wanted.put(None))
    while (order := wanted.get()) is not None:
        args, future = order
        try:
            value = work(*args)
        except BaseException as error:  # noqa: BLE001  (it is raised again where the work is awaited)
            drive.loop.call_soon_threadsafe(_fail, future, error)
        else:
            drive.loop.call_soon_threadsafe(_give, future, value)
    return ended.result()


def _give(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
