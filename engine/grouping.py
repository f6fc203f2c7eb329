"""Doing together what many runs need at one moment: one statement and one commit instead of one for each.

There is no timer: what arrives while two groups are under way is the next group. One alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

import psycopg

from ..checkpoints.faults import connection_lost

__all__ = ["Grouping", "Keyed"]

# Of one large group after the other, all runs would go on in step, and wait together for each of its statements.
_LANES: Final = 2
_LARGEST: Final = 16


class Keyed(Protocol):
    """What is done for one thread."""

    @property
    def thread_id(self) -> str:
        """The thread; a group holds each at most once."""
        ...


_Item = TypeVar("_Item", bound=Keyed)
_Result = TypeVar("_Result")
_Waiting: TypeAlias = tuple[_Item, "asyncio.Future[_Result | None]"]


class Grouping(Generic[_Item, _Result]):
    """Collects what callers want done, and does it in groups. Belongs to one event loop.

    A caller that is cancelled leaves its part in the group: it may be done. When PostgreSQL refuses a group, each part
    is done by itself, so that a bad one fails its own caller only; when the connection dies, all callers of the group
    get that error, and nobody knows whether the group was committed.

    Args:
        work: Does a group in one transaction; returns the results by thread id, none for a thread without one.
    """

    def __init__(self, work: Callable[[Sequence[_Item]], Awaitable[dict[str, _Result]]]) -> None:
        self._work = work
        self._waiting: list[_Waiting[_Item, _Result]] = []
        self._lanes: set[asyncio.Task[None]] = set()

    async def do(self, item: _Item) -> _Result | None:
        """Do something with whatever else waits at this moment.

        Raises:
            psycopg.Error: It was refused; or the connection was lost, and perhaps it is done.
        """
        done: asyncio.Future[_Result | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if len(self._lanes) < _LANES:
            # it serves everybody, so it must not run in the context (tracing, logging) of whoever came first
            self._lanes.add(asyncio.create_task(self._go_on(), context=Context()))
        return await done

    async def _go_on(self) -> None:
        try:
            while group := self._take():
                await self._settle(group)
        finally:  # at once: whoever comes next must find out that this lane takes nothing any more
            self._lanes.remove(cast("asyncio.Task[None]", asyncio.current_task()))

    def _take(self) -> list[_Waiting[_Item, _Result]]:
        """Take a group; a second item of a thread waits for the next."""
        taken: dict[str, _Waiting[_Item, _Result]] = {}
        left = []
        for waiting in self._waiting:
            if waiting[0].thread_id in taken or len(taken) == _LARGEST:
                left.append(waiting)
            else:
                taken[waiting[0].thread_id] = waiting
        self._waiting = left
        return list(taken.values())

    async def _settle(self, group: list[_Waiting[_Item, _Result]]) -> None:
        try:
            results = await self._work([item for item, _ in group])
        except asyncio.CancelledError:
            for _, done in group:
                done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to those who wait)
            await self._fail(group, error)
            return
        for item, done in group:
            if not done.done():
                done.set_result(results.get(item.thread_id))

    async def _fail(self, group: list[_Waiting[_Item, _Result]], error: Exception) -> None:
        if len(group) > 1 and _refused(error):
            for waiting in group:
                await self._settle([waiting])
            return
        for _, done in group:
            if not done.done():
                done.set_exception(error)


def _refused(error: Exception) -> bool:
    """Whether a statement could not be made or was refused, so that nothing of it is done."""
    return not isinstance(error, psycopg.Error) or (error.sqlstate is not None and not connection_lost(error))
