"""Runs that workers are to drive: what makes them so, who takes them, and how they are given back.

    submit, or an answer → status `queued` and a job, in one transaction → a worker takes job and lease, and drives

A job holds the thread id and nothing else. It only says that there may be something to do: who drives is the lease's
business alone, so a second job of the same run is harmless. Procrastinate keeps the jobs, in the same database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ..checkpoints.arrays import register_arrays
from ..checkpoints.faults import mapped_faults
from ..checkpoints.patience import patiently
from ..checkpoints.pool import Connection, Pool, together
from ..checkpoints.queries import load_queries
from ..checkpoints.saver import Saver
from .grouping import Grouping
from .recovery import Attempt
from .run_groups import NewRun, columns_of
from .runs import RunRow

__all__ = ["FIRST", "WORKER", "Place", "RunQueue", "enqueue", "is_limited", "submit_on"]

Place: TypeAlias = tuple[datetime, str]
"""A place among the queued runs: since when one is queued, and its thread id."""

FIRST: Final[Place] = (datetime(1970, 1, 1, tzinfo=UTC), "")

_SQL: Final = load_queries(__package__, "queue.sql")
# Who drives queued runs, for the audit: nobody in particular.
WORKER: Final = {"by": "system:worker", "source": "authenticated", "channel": "worker"}


async def enqueue(connection: Connection, thread_ids: Sequence[str], *, priority: int | None = None) -> None:
    """Give runs a job each, in the caller's transaction: workers come to them when it commits, and never otherwise.

    Runs that have to wait for their time or for a place under a limit get theirs when they are admitted.

    Args:
        connection: In a transaction, and in a pipeline where there is one. Nothing is asked of its search_path.
        thread_ids: The runs, in the order in which they are to be taken; they exist, and their status is `queued`.
        priority: Larger comes first; None: that of each run.

    Raises:
        psycopg.Error: PostgreSQL refused.
    """
    await connection.execute(_SQL["enqueue"], {"thread_ids": list(thread_ids), "priority": priority})


async def submit_on(connection: Connection, runs: Sequence[NewRun], actor: Mapping[str, str]) -> dict[str, DictRow]:
    """Accept runs with different thread ids for the workers, in the caller's transaction.

    Args:
        connection: In that transaction.
        runs: The runs.
        actor: Through which door and how known they are who ask, for the audit: `source` and `channel`.

    Returns:
        The rows by thread id; those whose thread id is taken are missing.
    """
    register_arrays(connection)
    cursor = await connection.execute(_SQL["submit_runs"], {**columns_of(runs), "actor": Jsonb(dict(actor))})
    taken = {row["thread_id"]: row for row in await cursor.fetchall()}
    # in the order in which they came; only those that are new
    await enqueue(connection, [run.thread_id for run in runs if run.thread_id in taken])
    return taken


async def is_limited(connection: Connection, thread_id: str) -> bool:
    """Say whether a run comes under a limit, so that who drives it for a worker has to ask for a place first.

    Args:
        connection: In the transaction that is to take it.
        thread_id: The run.
    """
    row = await (await connection.execute(_SQL["is_limited"], {"thread_id": thread_id})).fetchone()
    return row is not None and bool(row["limited"])


class RunQueue:
    """Queues runs and takes them. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections in autocommit mode that return rows as dictionaries.
        saver: Lends connections that were not looked at before, for what a worker does with each run.
        owner: Who takes leases: this engine.
        seconds: How long a lease lasts.
        actor: Through which door and how known they are who submit runs, for the audit: `source` and `channel`.
    """

    def __init__(self, pool: Pool, saver: Saver, *, owner: str, seconds: float, actor: Mapping[str, str]) -> None:
        self._pool = pool
        self._saver = saver
        self._owner = owner
        self._seconds = seconds
        self._actor = actor
        self._submitting: Grouping[NewRun, DictRow] = Grouping(self._submit)

    async def submit(self, run: NewRun) -> RunRow | None:
        """Accept a run for the workers; runs that are submitted at the same moment share a commit.

        Returns:
            Its row, or None when the thread id is taken.
        """
        with mapped_faults("cannot submit the run", thread_id=run.thread_id):
            return await self._submitting.do(run)

    async def put(self, connection: Connection, thread_id: str, actor: Mapping[str, str]) -> None:
        """Queue a run that was answered, in the transaction that records the answer and has locked the run.

        A run that is queued already stays so; whoever takes it finds all answers.

        Args:
            connection: In that transaction.
            thread_id: The run.
            actor: Who answered, for the audit.
        """
        await connection.execute(_SQL["queue_run"], {"thread_id": thread_id, "actor": Jsonb(dict(actor))})

    async def put_stalled(self, thread_id: str, attempt: Attempt) -> bool:
        """Queue a run whose driver is gone; False when somebody else has done so, or the run has ended."""
        values = {
            "thread_id": thread_id,
            "attempts": Jsonb(attempt.attempts),
            "checkpoint": attempt.checkpoint,
            "pause": attempt.pause,
            "actor": Jsonb(WORKER),
        }
        rows = await self._rows("queue_stalled", "cannot queue a stalled run", values)
        return bool(rows[0]["queued"])

    async def put_woken(self, workflows: Sequence[str], limit: int) -> int:
        """Queue paused runs of some workflows whose children have ended and that nobody drove on; return how many."""
        values = {"workflows": list(workflows), "limit": limit, "actor": Jsonb(WORKER)}
        rows = await self._rows("queue_woken", "cannot queue runs whose children have ended", values)
        return int(rows[0]["queued"])

    async def put_lost(self, place: Place, limit: int, seconds: float) -> tuple[int, Place]:
        """Give jobs to queued runs that have none, because somebody deleted it.

        Args:
            place: Where to begin: `FIRST`, or what the call before returned.
            limit: The most runs to look at.
            seconds: How long a run must have been queued to be looked at.

        Returns:
            How many had none, and where to go on; `FIRST` again at the end.
        """
        values = {"since": place[0], "after": place[1], "limit": limit, "seconds": seconds}
        (row,) = await self._rows("queue_lost", "cannot look for runs without a job", values)
        return int(row["lost"]), FIRST if row["since"] is None else (row["since"], row["thread_id"])

    async def find(self, thread_id: str) -> RunRow | None:
        """Return the row of a run that a worker may drive, of any tenant; None when there is nothing to do."""
        rows = await self._rows("get_queued", "cannot read a queued run", {"thread_id": thread_id})
        return rows[0] if rows else None

    async def claim(self, thread_id: str) -> RunRow | None:
        """Take the lease of such a run.

        Returns:
            Its row, running now, with the lease's `token`; None when there is nothing to do, or somebody has the lease.
        """
        values = {"thread_id": thread_id, "owner": self._owner, "seconds": self._seconds, "actor": Jsonb(WORKER)}
        rows = await self._rows("claim_queued", "cannot take a queued run", values)
        return rows[0] if rows else None

    async def hand_back(self, thread_id: str, token: int, *, after: float = 0.0) -> None:
        """Give a lease back and queue its run, in one transaction; waits for a database that is away.

        Args:
            thread_id: The run.
            token: The lease.
            after: Seconds before which nobody is to take it.
        """

        async def attempt() -> None:
            async with self._saver.lend() as connection:
                await self.hand_back_on(connection, thread_id, token, after=after)

        with mapped_faults("cannot hand a run back", thread_id=thread_id):
            await patiently(attempt, self._saver.patience)

    async def hand_back_on(self, connection: Connection, thread_id: str, token: int, *, after: float = 0.0) -> None:
        """Do the same in a transaction of the caller's, or in one of its own."""
        values = {"thread_id": thread_id, "token": token, "after": after, "actor": Jsonb(WORKER)}
        await connection.execute(_SQL["hand_back"], values)

    async def names_of(self, workflows: Sequence[str]) -> list[str]:
        """Return the names of the queues of workflows."""
        rows = await self._rows("queue_names", "cannot read the names of queues", {"workflows": list(workflows)})
        return [row["name"] for row in rows]

    async def submit_on(self, connection: Connection, runs: Sequence[NewRun]) -> dict[str, RunRow]:
        """Accept runs for the workers in a transaction of the caller's, and in a pipeline where there is one.

        Returns:
            Their rows; those whose thread id is taken are missing.
        """
        return await submit_on(connection, runs, self._actor)

    async def _submit(self, runs: Sequence[NewRun]) -> dict[str, DictRow]:
        async with self._pool.connection() as connection, together(connection), connection.transaction():
            return await submit_on(connection, runs, self._actor)

    async def _rows(self, query: str, doing: str, values: dict[str, Any]) -> list[DictRow]:
        with mapped_faults(doing, thread_id=values.get("thread_id")):
            async with self._saver.lend() as connection:
                return await (await connection.execute(_SQL[query], values)).fetchall()
