"""The leases of this process: one heartbeat for all of its drives, and what happens when one is lost or cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import uuid
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from langgraph.runtime import RunControl
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from ..errors import AdjournError
from .stopping import stopped

__all__ = ["Drive", "LeaseKeeper"]

_SQL: Final = load_queries(__package__, "leases.sql")
_LONGEST_BEAT: Final = 2.0
_NODES_CLEAN_UP_SECONDS: Final = 5.0
_log = structlog.get_logger("adjourn")


@dataclass(eq=False)
class Drive:
    """One thread that this process drives.

    Args:
        thread_id: The thread.
        token: The lease under which it is driven; 0 until that is taken.
        control: Asks LangGraph to stop before the next super-step.
        task: The task that drives.
        lost: Whether somebody else has the lease now.
        cancelled: Whether the run was cancelled while it was driven.
        draining: Whether this process stops: the run is handed back to the queue before its next step.
        fed_tasks: The tasks that were given recorded decisions.
        awaited: Whether who asked for it is somewhere else, and may wait for its end.
        ending: Whether the drive is over and gives its lease back, or has: then a heartbeat that no longer finds the lease
            says nothing. Whether it was still ours, the statement that gives it back finds out.
    """

    thread_id: str
    token: int
    control: RunControl = field(default_factory=RunControl)
    task: asyncio.Task[Any] | None = None
    lost: bool = False
    cancelled: bool = False
    draining: bool = False
    fed_tasks: frozenset[str] = frozenset()
    awaited: bool = False
    ending: bool = False

    def drain(self) -> None:
        """Stop before the next step and hand the run back to the queue."""
        self.draining = True
        self.control.request_drain("the process stops")

    def stop(self) -> None:
        """Stop at once: the task is cancelled."""
        if self.task is not None:
            self.task.cancel()

    async def stopped(self) -> None:
        """Stop at once, and wait until what became of the run is written down."""
        if self.task is not None:
            # not too soon again, so that nodes can clean up
            await stopped(self.task, again=_NODES_CLEAN_UP_SECONDS, heard=lambda: self.ending)


class LeaseKeeper:
    """Renews the leases of one engine while it drives, and stops drives that may not go on.

    Args:
        pool: Connections.
        seconds: How long a lease lasts. It is renewed three times as often, and at least every two seconds, so that
            a cancelled run is noticed soon.
        grace: Seconds between asking a cancelled run to stop before its next step and stopping it at once.

    Attributes:
        draining: Whether the process stops.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], *, seconds: float, grace: float) -> None:
        self.seconds = seconds
        self.owner = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._pool = pool
        self._grace = grace
        self._drives: dict[str, Drive] = {}
        self._abandoned: list[Drive] = []
        self._beat: asyncio.Task[None] | None = None
        self.draining = False

    def driving(self, thread_id: str) -> Drive | None:
        """Return the drive of a thread in this process, if there is one."""
        return self._drives.get(thread_id)

    @property
    def count(self) -> int:
        """How many runs are driven in this process."""
        return len(self._drives)

    def is_fed(self, thread_id: str, task_id: str) -> bool:
        """Whether a drive of this process gave a task of a thread a recorded decision."""
        drive = self._drives.get(thread_id)
        return drive is not None and task_id in drive.fed_tasks

    @contextlib.contextmanager
    def keeping(self, drive: Drive) -> Iterator[None]:
        """Keep a drive's lease alive while the block runs."""
        self._drives[drive.thread_id] = drive
        if self.draining:
            drive.drain()
        self._begin_beating()
        try:
            yield
        finally:
            if self._drives.get(drive.thread_id) is drive:
                del self._drives[drive.thread_id]

    def drain(self) -> None:
        """Hand back what is driven, and whatever begins to be, before its next step: the process stops."""
        self.draining = True
        for drive in self._drives.values():
            drive.drain()

    def abandon(self, drive: Drive) -> None:
        """Give the lease of a drive back that ended because the database was away, as soon as it answers again.

        The run is stalled then, and recovery goes on with it. An attempt of recovery that ended so does not count.
        """
        self._abandoned.append(drive)
        self._begin_beating()

    async def close(self) -> None:
        """Stop the drives that are still under way, wait until they have recorded that, and stop the heartbeat."""
        await asyncio.gather(*(drive.stopped() for drive in list(self._drives.values())))
        if self._beat is not None:
            await stopped(self._beat)
        with contextlib.suppress(AdjournError, TimeoutError):
            async with asyncio.timeout(_LONGEST_BEAT):
                await self._give_back()

    def cancel(self, drive: Drive) -> None:
        """Stop the drive of a cancelled run: before its next step, or at once after the grace time."""
        if not drive.cancelled:
            drive.cancelled = True
            drive.control.request_drain("cancelled")
            asyncio.get_running_loop().call_later(self._grace, drive.stop)

    def _begin_beating(self) -> None:
        if self._beat is None or self._beat.done():
            # it serves all drives, so it must not run in the context of the first, and keep that in memory
            self._beat = asyncio.create_task(self._keep(), context=Context())

    async def _keep(self) -> None:
        pause = min(self.seconds / 3, _LONGEST_BEAT)
        while self._drives or self._abandoned:
            await asyncio.sleep(pause)
            drives = list(self._drives.values())
            try:
                held = await self._renew([drive.thread_id for drive in drives])
                await self._give_back()
            except AdjournError as error:
                # Without the database nothing can be committed either; the next beat says what became of the leases.
                _log.warning("leases could not be renewed", error=error.message)
                continue
            for drive in drives:
                self._judge(drive, held.get(drive.thread_id))

    async def _renew(self, thread_ids: list[str]) -> dict[str, DictRow]:
        values = {"owner": self.owner, "seconds": self.seconds, "thread_ids": thread_ids}
        with mapped_faults("cannot renew leases"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["renew_leases"], values)
                return {row["thread_id"]: row for row in await cursor.fetchall()}

    async def _give_back(self) -> None:
        while self._abandoned:
            drive = self._abandoned[0]
            values = {"thread_id": drive.thread_id, "token": drive.token, "owner": self.owner}
            with mapped_faults("cannot give a lease back", thread_id=drive.thread_id):
                async with self._pool.connection() as connection:
                    await connection.execute(_SQL["abandon_lease"], values)
            self._abandoned.remove(drive)

    def _judge(self, drive: Drive, held: DictRow | None) -> None:
        if held is not None and held["cancelled"]:
            self.cancel(drive)
        elif held is not None and held["token"] == drive.token:
            return
        # Only drives that had begun before the statement ran are judged; one that ended meanwhile is no drive any more.
        elif not drive.ending and self._drives.get(drive.thread_id) is drive:
            _log.warning("a lease was lost", thread=drive.thread_id, token=drive.token, held=held and held["token"])
            drive.lost = True
            drive.stop()
