"""Retention: how long the past of a run is kept, and how long its content.

While a run is alive (queued, running, paused) everything is kept. After it has ended, `prune_after` later only the
latest checkpoint of each namespace is kept, so that the run can still be read, forked from its end, and retried; and
`erase_after` later nothing of its content. Ids, status and times of the run stay, and its audit, which gets an entry about
each of both. A child run is kept while the run at the top of its family is alive, which may ask for its result again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from ..errors import ConfigurationError
from .faults import mapped_faults
from .pool import Connection, Pool
from .queries import load_queries
from .saver import Saver

__all__ = ["Policy", "Pruned", "drop_cases", "erase", "prune"]

LOCK_KEY: Final = int.from_bytes(b"adj-prun", "big", signed=True)
_SQL: Final = load_queries(__package__, "retention.sql")
_THREADS: Final = load_queries(__package__, "threads.sql")
# Who acts when a policy does.
_POLICY: Final = {"by": "system:retention", "source": "authenticated", "channel": "retention"}
# How long a deleted thread is remembered, for runs without a lease that were under way when it was deleted.
_REMEMBERED: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to keep what.

    Args:
        prune_after: How long after its end a run's past is kept; None keeps it for ever.
        erase_after: How long after its end a run's content is kept, the cases among it that it left to later runs; None
            keeps it for ever.
        cases_after: How long a case that a run has left to later ones is kept; None keeps it as long as the run's content.

    Raises:
        ConfigurationError: A time is negative.
    """

    prune_after: timedelta | None = None
    erase_after: timedelta | None = None
    cases_after: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("prune_after", "erase_after", "cases_after"):
            value: timedelta | None = getattr(self, name)
            if value is not None and value < timedelta(0):
                raise ConfigurationError(f"{name} is negative ({value}); give a time to wait.")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was done.

    Args:
        pruned: Runs whose past was dropped.
        erased: Runs whose content was dropped.
        left: Runs with a `DeltaChannel`, whose latest state is spread over their past; it was kept.
        cases: Cases that were older than they may be.
    """

    pruned: int = 0
    erased: int = 0
    left: int = 0
    cases: int = 0


async def prune(pool: Pool, saver: Saver, policy: Policy, *, now: datetime, batch: int = 100) -> Pruned:
    """Apply a policy to all runs, in batches.

    A run that is alive, or whose thread somebody drives, is never touched; one that is being claimed for a retry at
    this moment is passed over. When another process prunes the same database, this returns at once. A kill leaves
    whole runs pruned or not; what was not is found again. Needs a second connection of the pool.

    Args:
        pool: The connections.
        saver: The saver on them.
        policy: What to keep.
        now: The moment from which the times are counted.
        batch: How many runs are handled in one transaction.

    Raises:
        StorageUnavailable: PostgreSQL refused, or did not come back in time.
    """
    pruned = erased = left = cases = 0
    # Erasing first: what is to be erased need not be pruned.
    if policy.erase_after is not None:
        erased, _ = await _in_batches(pool, "erase", now - policy.erase_after, batch, _eraser(now))
    if policy.prune_after is not None:
        pruned, left = await _in_batches(pool, "prune", now - policy.prune_after, batch, _pruner(saver, now))
    if policy.cases_after is not None:
        while dropped := await drop_cases(pool, now - policy.cases_after, batch):
            cases += dropped
    with mapped_faults("cannot forget deleted threads"):
        async with pool.connection() as connection:
            await connection.execute(_SQL["forget_deleted"], {"before": now - _REMEMBERED})
    return Pruned(pruned, erased, left, cases)


async def drop_cases(pool: Pool, before: datetime, batch: int) -> int:
    """Remove some of the cases that were remembered before a moment, oldest first, and say how many.

    Args:
        pool: The connections.
        before: The moment.
        batch: The most that are removed.

    Raises:
        StorageUnavailable: PostgreSQL refused, or did not come back in time.
    """
    with mapped_faults("cannot remove old cases"):
        async with pool.connection() as connection:
            return (await connection.execute(_SQL["drop_cases"], {"before": before, "batch": batch})).rowcount


async def erase(pool: Pool, thread_id: str, actor: dict[str, str]) -> bool:
    """Drop the content of one run now, and of its child runs: all of it or, when this is killed, nothing.

    Args:
        pool: The connections.
        thread_id: The run.
        actor: Who wants it, for the audit: by, source, channel.

    Returns:
        Whether the content is gone; False when the run has not ended, a child run of it has not, or a parent that may look
        at it again has not; or when somebody drives it.

    Raises:
        StorageUnavailable: PostgreSQL refused, or did not come back in time.
    """
    with mapped_faults("cannot erase a run", thread_id=thread_id):
        async with pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(_SQL["lock_for_erasing"], {"thread_id": thread_id})
            rows: list[dict[str, Any]] = await cursor.fetchall()
            if left := [row["thread_id"] for row in rows if not row["erased"]]:
                await _erase(connection, left, None, actor)
            return bool(rows)


_Act = Callable[[Connection, list[str]], Awaitable[int]]


async def _in_batches(pool: Pool, what: str, before: datetime, batch: int, act: _Act) -> tuple[int, int]:
    done = left = 0
    while True:
        with mapped_faults(f"cannot {what} ended runs"):
            async with pool.connection() as connection, connection.transaction():
                thread_ids = await _due(connection, what, before, batch)
                # Their rows are locked from here to the end of the transaction: nobody starts a retry meanwhile.
                kept = await act(connection, thread_ids) if thread_ids else 0
        left += kept
        done += len(thread_ids) - kept
        if len(thread_ids) < batch:
            return done, left


async def _due(connection: Connection, what: str, before: datetime, batch: int) -> list[str]:
    row: dict[str, Any] | None = await (await connection.execute(_SQL["try_lock"], {"key": LOCK_KEY})).fetchone()
    if row is None or not row["taken"]:
        return []
    query = _SQL["due_for_erasing"] if what == "erase" else _SQL["due_for_pruning"]
    rows = await (await connection.execute(query, {"before": before, "batch": batch})).fetchall()
    return [each["thread_id"] for each in rows]


async def _erase(connection: Connection, thread_ids: list[str], now: datetime | None, actor: dict[str, str]) -> None:
    """Drop the content of runs whose rows are locked, in their transaction; a driver from before stores nothing more."""
    await connection.execute(_THREADS["fence_off"], {"thread_ids": thread_ids})
    await connection.execute(_SQL["lock_against_events"], {"thread_ids": thread_ids})
    await connection.execute(_THREADS["delete_threads"], {"thread_ids": thread_ids})
    await connection.execute(_SQL["erase_content"], {"thread_ids": thread_ids, "now": now, "actor": Jsonb(actor)})


def _eraser(now: datetime) -> _Act:
    async def erase_all(connection: Connection, thread_ids: list[str]) -> int:
        await _erase(connection, thread_ids, now, _POLICY)
        return 0

    return erase_all


def _pruner(saver: Saver, now: datetime) -> _Act:
    async def drop_past(connection: Connection, thread_ids: list[str]) -> int:
        kept = 0
        for thread_id in thread_ids:
            try:
                await saver.aprune([thread_id], strategy="keep_latest")
            except NotImplementedError:
                kept += 1
        await connection.execute(_SQL["mark_pruned"], {"thread_ids": thread_ids, "now": now, "actor": Jsonb(_POLICY)})
        return kept

    return drop_past
