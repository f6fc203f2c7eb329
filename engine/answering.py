"""From somebody's answer to the right to drive on: two exchanges with the database, of which one is a commit.

    look: the run, its questions, what was decided on them, without a lock → the rules say what the answer makes of them
          (not read where this process has read them before: what has changed since is found out below)
    record: lock the run → nothing has changed since? → decision, review, lease, the answers to be given
            while PostgreSQL does that, the checkpoint is read with which the run goes on, or its row is understood
            where that is at hand
    otherwise once more, under the lock from the beginning (deciding.py)

Whoever answers is rarely not alone with the question, so the first way nearly always succeeds; which way an answer takes
makes no difference to what becomes of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from langgraph.checkpoint.base import CheckpointTuple
from psycopg.rows import DictRow

from ..checkpoints.faults import connection_lost, mapped_faults
from ..checkpoints.pool import together
from ..checkpoints.priming import UNREAD, Unread
from ..checkpoints.storage import Storage
from ..errors import AdjournError, UnknownThread
from .audit import actor_of
from .deciding import Sent, closes, judge, take_decisions
from .looks import Look
from .model import RunStatus
from .queue import RunQueue
from .reviews import Judged, Looked, ReviewStore
from .runs import RunRow, RunStore
from .stopping import stopped
from .work import Claimed

__all__ = ["Answering"]

Read: TypeAlias = Callable[[DictRow | None], Coroutine[Any, Any, CheckpointTuple | None]]
Reading: TypeAlias = "asyncio.Task[CheckpointTuple | None]"

_GOES_ON: Final[tuple[RunStatus, ...]] = ("paused", "queued", "running")
# as `adjourn.record_answer` raises it
_CHANGED: Final = "AJ002"


class Answering:
    """Records answers and takes leases.

    Args:
        storage: The database.
        runs: The run rows.
        reviews: Questions and answers.
        queue: Takes runs that workers are to drive on.
    """

    def __init__(self, storage: Storage, runs: RunStore, reviews: ReviewStore, queue: RunQueue) -> None:
        self._queue = queue
        self._storage = storage
        self._runs = runs
        self._reviews = reviews

    async def look(self, thread_id: str, tenant: str) -> Look | None:
        """Return a run and what an answer to it depends on, as this process has seen it last, or else read it.

        Returns:
            None when the tenant has no such run.

        Raises:
            StorageUnavailable: The database cannot be reached.
        """
        return self._reviews.looks.take(thread_id, tenant) or await self._read(thread_id, tenant)

    async def _read(self, thread_id: str, tenant: str) -> Look | None:
        with mapped_faults("cannot read the run", thread_id=thread_id):
            try:
                async with self._storage.saver.lend() as connection:
                    return await self._reviews.look(connection, thread_id, tenant)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # one that was used a moment ago and is dead now; the pool looks at those that it hands out
                async with self._storage.pool.connection() as connection:
                    return await self._reviews.look(connection, thread_id, tenant)

    async def decide(
        self,
        thread_id: str,
        tenant: str,
        sent: Sent,
        look: Look,
        *,
        read: Read,
        queues: bool = False,
        expect: Callable[[RunRow], None] | None = None,
    ) -> Claimed | None:
        """Record answers and try to take the lease, in one transaction: a recorded answer is never left lying.

        Args:
            thread_id: The run.
            tenant: Whose it is.
            sent: The answer.
            look: What `look` has returned.
            read: Reads the thread's newest checkpoint, for the drive, or to be shown; is given its row where that is known.
            queues: Whether the run is left to a worker, and queued in that transaction instead.
            expect: Called with the run when an answer is about to be sent after which it may be ours to drive.

        Returns:
            The run if it is ours to drive, or if it was queued and is seen from here as a whole. None when it waits for more
            people, when the same was recorded before, when somebody drives it (that one finds the answers when it gives the
            lease back), or when there is more to be shown of it.

        Raises:
            UnknownThread, NotPaused, UnknownReview, ReviewClosed, InvalidDecision, NotAuthorized, DigestMismatch: See
                `AsyncEngine.resume`.
            StorageUnavailable: The database cannot be reached; perhaps the answer is recorded.
        """
        looked, judged = await self._judged(thread_id, tenant, sent, look)
        with mapped_faults("cannot record the answer", thread_id=thread_id):
            if judged is not None:
                if not any(commands for _, _, commands in judged):
                    return None
                try:
                    return await self._record(
                        thread_id, tenant, sent, looked, judged, read, queues=queues, expect=expect
                    )
                except psycopg.Error as error:
                    # a connection that was used a moment ago may be dead now; if the answer is recorded, it is repeated
                    if error.sqlstate != _CHANGED and not connection_lost(error):
                        raise
            return await self._record_locked(thread_id, tenant, sent, queues=queues)

    async def _judged(self, thread_id: str, tenant: str, sent: Sent, look: Look) -> tuple[Looked, list[Judged] | None]:
        """Judge an answer; by what was kept only if it is taken by that: whoever refuses it has read just now."""
        if look.seconds is not None:
            with contextlib.suppress(AdjournError):
                looked = self._reviews.looked(look)
                judged = judge(looked, thread_id, sent)
                if judged is not None and any(commands for _, _, commands in judged):
                    return looked, judged
            again = await self._read(thread_id, tenant)
            if again is None:
                raise UnknownThread(f"Run {thread_id} was deleted at this moment.", thread_id=thread_id)
            look = again
        looked = self._reviews.looked(look)
        return looked, judge(looked, thread_id, sent)

    async def _record(
        self,
        thread_id: str,
        tenant: str,
        sent: Sent,
        looked: Looked,
        judged: list[Judged],
        read: Read,
        *,
        queues: bool,
        expect: Callable[[RunRow], None] | None,
    ) -> Claimed | None:
        actor = actor_of(sent.who, sent.channel)
        goes_on = closes(judged) and not looked.is_driven
        what = {"claims": goes_on and not queues, "queues": goes_on and queues}
        claim = {**what, **self._runs.claim_of(tenant, _GOES_ON, actor)}
        async with _begun(read if goes_on else None, looked.latest) as reading:
            async with self._storage.saver.lend() as connection:
                if expect is not None and goes_on:
                    expect({**looked.run, "was": looked.status})
                rows = await self._reviews.answer(connection, thread_id, looked, judged, claim)
            if reading is None or not rows:
                return None
            # of the run itself nothing has changed since the look but what the statement did
            row = self._runs.opened({**looked.run, **rows[0]})
            if not queues:
                saved = await _read_by(reading) if row["position"] == looked.position else UNREAD
                return Claimed(row, self._reviews.given(rows), saved)
            is_open = len(judged) < len(looked.asked) or not all(closes([each]) for each in judged)
            saved = UNREAD if is_open or row["has_children"] else await _read_by(reading)
            return None if isinstance(saved, Unread) else Claimed(row, [], saved)

    async def _record_locked(self, thread_id: str, tenant: str, sent: Sent, *, queues: bool) -> Claimed | None:
        actor = actor_of(sent.who, sent.channel)
        async with self._storage.pool.connection() as connection, together(connection), connection.transaction():
            if not await take_decisions(self._reviews, connection, thread_id, sent):
                return None
            if queues:
                await self._queue.put(connection, thread_id, actor)
                return None
            row = await self._runs.claim(thread_id, tenant, _GOES_ON, connection, actor=actor)
            given = await self._reviews.ask_unconsumed(connection, thread_id)
            return None if row is None else Claimed(row, self._reviews.given(await given.fetchall()))


@asynccontextmanager
async def _begun(read: Read | None, latest: DictRow | None) -> AsyncIterator[Reading | None]:
    """Read while the block runs, at most until its end."""
    if read is None:
        yield None
        return
    reading = asyncio.create_task(read(latest))
    try:
        yield reading
    finally:
        await stopped(reading)


async def _read_by(reading: Reading) -> CheckpointTuple | Unread | None:
    """Return what was read; nothing where that failed: who needs it reads again, and tells of the failure."""
    try:
        return await reading
    except Exception:  # noqa: BLE001
        return UNREAD
