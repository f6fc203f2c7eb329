"""The verb that lets time act on reviews: reminders, escalations, default decisions, and runs that fail closed.

    due? an index says so → lock the run (whoever has it locked is at it already) → the rules → record → commit
    → drive on what a default decision has closed

Of a person and the deadline, whoever locks the run first decides; the other finds the review closed. Any number of
processes may sweep at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import structlog
from psycopg.types.json import Jsonb

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection, together
from ..checkpoints.queries import load_queries
from ..errors import AdjournError
from .base import EngineBase
from .events import Failed
from .model import Review
from .queue import is_limited
from .review_case import Closed, Command, Escalated
from .review_deadlines import due
from .review_rows import Asked, default_ballot
from .reviews import Locked
from .runs import RunRow

__all__ = ["Sweeping", "Swept"]

_SQL: Final = load_queries(__package__, "sweep.sql")
_AT_ONCE: Final = 8
# who queues what a deadline has decided, for the audit
_DEADLINE: Final = {"by": "system:deadline", "source": "authenticated", "channel": "deadline"}
_log = structlog.get_logger("adjourn")

What: TypeAlias = Literal["reminded", "escalated", "decided", "expired"]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did to a review.

    Args:
        what: `reminded`; `escalated` to the next people; `decided` by the policy's default; `expired`, and its run failed.
        review: The review as it is since.
    """

    what: What
    review: Review


class Sweeping(EngineBase):
    """Lets deadlines act."""

    async def sweep(self, *, now: datetime | None = None, limit: int = 100) -> list[Swept]:
        """Do what is due: remind, escalate, decide by default, or fail closed; workers do this on their own.

        Opening an engine never acts on overdue reviews. A run that a default decision closed is driven on here; if this
        process dies or lacks its workflow, `recover` goes on with it. A run that a deadline failed is `failed` with the
        error `ReviewExpired`, and `retry` asks again.

        Args:
            now: The time that counts, for tests; by default the database's own.
            limit: The most runs to look at.

        Returns:
            What was done, the longest overdue first; what another process did is not in it.
        """
        return await self._sweep(self.principal.tenant, now, limit)

    async def _sweep(
        self, tenant: str | None, now: datetime | None, limit: int, queued: Container[str] | None = None
    ) -> list[Swept]:
        """Do what is due on the reviews of a tenant, or of all.

        Args:
            tenant: Whose; None: of all.
            now: The time that counts; None: the database's own.
            limit: The most runs to look at.
            queued: None: a run that a default decision closed is driven on here. Otherwise none is: those of these workflows
                and those under a limit are queued, and others are left to recovery where their workflow is registered.
        """
        with mapped_faults("cannot look for deadlines"):
            async with self._storage.pool.connection() as connection:
                values = {"tenant": tenant, "now": now, "limit": limit}
                cursor = await connection.execute(_SQL["due_threads"], values)
                threads = [row["thread_id"] for row in await cursor.fetchall()]
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(thread_id: str) -> list[Swept]:
            async with slots:
                return await self._sweep_run(thread_id, now, queued)

        done = await asyncio.gather(*(one(thread_id) for thread_id in threads))
        self._notifications.wake()  # of what was done now, and of what could not be sent before
        return [swept for each in done for swept in each]

    async def _sweep_run(
        self, thread_id: str, now: datetime | None, queued: Container[str] | None = None
    ) -> list[Swept]:
        with mapped_faults("cannot act on a deadline", thread_id=thread_id):
            async with (
                self._storage.pool.connection() as connection,
                together(connection),
                connection.transaction(),
            ):
                locked = await self._reviews.lock(connection, thread_id, skip_locked=True)
                if locked is None or locked.status not in ("paused", "queued", "running"):
                    return []
                done = await self._act(connection, locked, now)
                claimed = await self._after(connection, thread_id, locked, done, queued)
        for each in done:
            _log.info(f"a deadline has {each.what} a review", thread=thread_id, review=each.review.id)
        if claimed is not None and queued is None:
            await self._drive_on(claimed)
        elif claimed is not None:
            await self._runs.release(thread_id, claimed["token"])
        elif queued is None and any(each.what == "expired" for each in done):
            row = await self._row(thread_id)
            if row["parent_id"] is not None:
                await self._go_on_with(row["parent_id"], row["tenant"])
        return done

    async def _act(self, connection: Connection, locked: Locked, now: datetime | None) -> list[Swept]:
        done = []
        for asked in locked.asked.values():
            after, commands = due(asked.case, now or locked.now, default_ballot(asked))
            if not commands or (after.status == "expired" and locked.status != "paused"):
                continue  # what fails a run waits until nobody drives it
            await self._reviews.record(connection, asked, after, commands)
            done.append(Swept(_what(commands), _as_it_is(asked, after)))
        return done

    async def _after(
        self, connection: Connection, thread_id: str, locked: Locked, done: list[Swept], queued: Container[str] | None
    ) -> RunRow | None:
        """Fail the run, queue it, or take its lease to go on with it; whoever drives it finds a decision by themselves."""
        what = [each.what for each in done]
        if "expired" in what:
            error = {
                "type": "ReviewExpired",
                "message": "the deadline of a review passed and nobody had answered; retry asks again",
                "node": None,
            }
            await connection.execute(
                _SQL["fail_expired"], {"thread_id": thread_id, "error": Jsonb(self._seal.close(error))}
            )
            self._recorder.record(Failed(thread_id, error))
        elif "decided" in what and not locked.is_driven:
            # one that comes under a limit has to ask for a place, and where there are limits there are workers
            if queued is not None and (done[0].review.workflow in queued or await is_limited(connection, thread_id)):
                await self._queue.put(connection, thread_id, _DEADLINE)
            else:
                return await self._runs.claim(thread_id, None, ("paused", "running"), connection)
        return None

    async def _drive_on(self, row: RunRow) -> None:
        thread_id = row["thread_id"]
        try:
            async with self._graph_of(row) as graph:
                await self._drive(row, graph)
        except AdjournError as error:
            # the decision is recorded, and recovery goes on with the run: here, or where its workflow is registered
            _log.warning("a decided run could not be driven on here", thread=thread_id, error=error.message)
            await self._runs.release(thread_id, row["token"])


def _what(commands: tuple[Command, ...]) -> What:
    last: Any = commands[-1]
    if isinstance(last, Closed):
        return "decided" if last.status == "decided" else "expired"
    return "escalated" if isinstance(last, Escalated) else "reminded"


def _as_it_is(asked: Asked, after: Any) -> Review:
    return replace(
        asked.review,
        status=after.status,
        roles=after.roles,
        stage=after.stage,
        due_at=after.due_at,
        overdue=False,
        votes=after.votes,
        closed_by=after.closed_by,
        closed_at=after.closed_at,
    )
