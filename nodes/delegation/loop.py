"""Working an agenda off: starts what is ready, waits for whatever ends first, and tells the agenda. No barrier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from .agenda import Agenda

__all__ = ["Next", "work_off"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Next:
    """What follows when a subtask has ended: it is `complete`, it is `closed`, or it is done `again` after some seconds."""

    kind: Literal["complete", "closed", "again"]
    seconds: float = 0.0


class _Loop(Generic[Result]):
    def __init__(
        self,
        agenda: Agenda,
        perform: Callable[[str], Coroutine[Any, Any, Result]],
        settle: Callable[[str, Result], Next],
    ) -> None:
        self.agenda = agenda
        self._perform = perform
        self._settle = settle
        self._at_work: dict[asyncio.Future[Result], str] = {}
        self._waiting: dict[asyncio.Future[None], str] = {}

    def start(self, take: Callable[[str], bool]) -> None:
        for task_id in self.agenda.start(take):
            self._at_work[asyncio.create_task(self._perform(task_id), name=task_id)] = task_id

    @property
    def busy(self) -> bool:
        return bool(self._at_work)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    async def step(self, *, waiting: bool, room: asyncio.Future[None] | None) -> None:
        """Wait until something ends, or there is room again; until a pause is over only if that counts."""
        watched: set[asyncio.Future[Any]] = {*self._at_work, *(self._waiting if waiting else ())}
        if room is not None:
            watched.add(room)
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if room is not None:
            room.cancel()  # the next step asks anew
            done.discard(room)
        for task in done:
            if task in self._waiting:
                self.agenda.again(self._waiting.pop(task))
                continue
            task_id = self._at_work.pop(task)
            then = self._settle(task_id, task.result())
            if then.kind == "complete":
                self.agenda.complete(task_id)
                continue
            self.agenda.close(task_id)
            if then.kind == "again" and then.seconds <= 0:
                self.agenda.again(task_id)
            elif then.kind == "again":
                self._waiting[asyncio.create_task(asyncio.sleep(then.seconds))] = task_id

    async def stop(self) -> None:
        """Cancel what is under way and wait until it has ended."""
        left: list[asyncio.Future[Any]] = [*self._at_work, *self._waiting]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for task in left:
            if not task.cancelled():
                task.exception()  # looked at, so that nobody is told that it was not


async def work_off(
    agenda: Agenda,
    perform: Callable[[str], Coroutine[Any, Any, Result]],
    settle: Callable[[str, Result], Next],
    *,
    take: Callable[[str], bool] = lambda _: True,
    stopping: Callable[[], bool] = lambda: False,
    room: Callable[[], asyncio.Future[None]] | None = None,
    after: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Do everything on an agenda that can be done.

    Args:
        agenda: What is to be done; it is used up.
        perform: Does one subtask. What it raises stops all of it: the others are cancelled, and it is raised from here.
        settle: Notes how one went, in the order in which they end, and says what follows.
        take: Finds somebody for a subtask, before it starts.
        stopping: Asked before each subtask: when true nothing more is started, and what is under way comes to its end.
        room: Tells when something that somebody else took has been given back, where `take` may fail for that.
        after: Called whenever something has ended.
    """
    loop = _Loop(agenda, perform, settle)
    try:
        while True:
            stop = stopping()
            if not stop:
                loop.start(lambda each: not stopping() and take(each))
            freed = room() if room is not None and agenda.has_ready and not (stop or stopping()) else None
            if not loop.busy and freed is None and (stop or stopping() or not loop.waiting):
                return
            await loop.step(waiting=not stop, room=freed)
            if after is not None:
                await after()
    finally:
        await loop.stop()
