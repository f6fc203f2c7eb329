"""Admission: runs that limits hold back, and those that are for later, stay in `adjourn.runs` until it is their turn.

    a run becomes queued → the database looks whether a limit covers it → no: it gets its job at once, in that transaction
                                                                        → yes: it waits
    something changed → the rules decide → admitted runs get their jobs, in the transaction that admits them

What is taken up is counted from the runs themselves each time, so no crash can leave a counter wrong. Of all processes one
decides at a time (an advisory lock); the rules are pure functions in admission_rules.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import DictRow

from ..checkpoints.arrays import register_arrays, texts
from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection, Pool, together
from ..checkpoints.queries import load_queries
from .admission_books import Counts, Limit, Pair, Use, Waiting
from .admission_rules import admit, room

__all__ = ["ADMISSION_CHANNEL", "AdmissionStore", "Passed", "Taken"]

_SQL: Final = load_queries(__package__, "admission.sql")
# named in the migration, too
ADMISSION_CHANNEL: Final = "adjourn_admission"
_LOCK: Final = {"key": int.from_bytes(b"admit\0\0\0", "big", signed=True)}
_MOST: Final = 500
# one whose time has come may be locked by somebody at this moment
_SHORTEST_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Passed:
    """What one decision came to.

    Args:
        admitted: How many runs may begin now.
        seconds: Until more may begin although nothing else happens; None when nothing waits for a time.
    """

    admitted: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What there is, for people to see.

    Args:
        counts: The limits, and what is taken up of them.
        waiting: How many runs wait for a place, by workflow and tenant.
        now: The database's time.
    """

    counts: Counts
    waiting: dict[Pair, int]
    now: datetime


class AdmissionStore:
    """Keeps limits and admits runs. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections in autocommit mode that return rows as dictionaries.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def admit(self) -> Passed:
        """Let runs begin for which there is a place, and those whose time has come; of all tenants.

        Any number of processes may do so at once: one decides, the others return. A kill at any moment leaves each run
        either admitted, with its job, or waiting.
        """
        with mapped_faults("cannot admit runs"):
            async with self._pool.connection() as connection:
                found = await _one(connection, "any")
                later = None if found["next_at"] is None else (found["next_at"] - found["now"]).total_seconds()
                if not found["waiting"] and (later is None or later > 0):
                    return Passed(0, later)
                async with connection.transaction():
                    if not (await _one(connection, "lock", **_LOCK))["taken"]:
                        return Passed(0, None)
                    moved = (await _one(connection, "come_due", most=_MOST))["moved"]
                    passed = await self._decide(connection)
        times = [max(each, _SHORTEST_PAUSE) for each in (later, passed.seconds) if each is not None]
        return Passed(moved + passed.admitted, min(times, default=None))

    async def _decide(self, connection: Connection) -> Passed:
        pairs, counts, now = await _counted(connection)
        if not pairs:
            return Passed(0, None)
        fitting = room(counts, pairs, now)
        tenants: defaultdict[str, list[Waiting]] = defaultdict(list)
        for row in await _heads(connection, {pair: int(min(most, _MOST)) for pair, most in fitting.items()}):
            tenants[row["tenant"]].append(_waiting(row))
        decision = admit(counts, tenants, now)
        if decision.admitted:
            chosen = [run.thread_id for run in decision.admitted]
            await _one(connection, "admit", thread_ids=texts(chosen), now=now)
        again = decision.again_at
        return Passed(len(decision.admitted), None if again is None else max((again - now).total_seconds(), 0.001))

    async def forget(self) -> None:
        """Forget starts and turns that are too old to count; also of runs that nobody had to admit."""
        with mapped_faults("cannot forget what is too old for limits"):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["forget"])

    async def set_limit(self, limit: Limit, by: str) -> None:
        """Set a limit, or put it in the place of the one with the same scope; what it covers waits from now on."""
        values = {
            "workflow": limit.workflow, "tenant": limit.tenant, "at_once": limit.at_once, "per_minute": limit.per_minute,
        }  # fmt: skip
        with mapped_faults("cannot set a limit"):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["set_limit"], {**values, "by": by})
                # in a transaction of its own, so that it sees what was queued while the limit was being set
                async with connection.transaction():
                    await connection.execute(_SQL["wait_for_lock"], _LOCK)
                    await connection.execute(_SQL["hold_back"])
                    await connection.execute(_SQL["tell"])

    async def remove_limit(self, workflow: str | None, tenant: str | None) -> bool:
        """Take a limit away; False when there is none."""
        with mapped_faults("cannot remove a limit"):
            async with self._pool.connection() as connection, connection.transaction():
                values = {"workflow": workflow, "tenant": tenant}
                cursor = await connection.execute(_SQL["remove_limit"], values)
                await connection.execute(_SQL["tell"])
                return bool(await cursor.fetchall())

    async def taken(self) -> Taken:
        """Return all limits, with what is taken up of them."""
        with mapped_faults("cannot read the limits"):
            async with self._pool.connection() as connection, connection.transaction():
                _, counts, now = await _counted(connection)
                rows = await (await connection.execute(_SQL["waiting"])).fetchall()
        return Taken(counts, {Pair(row["workflow"], row["tenant"]): row["waiting"] for row in rows}, now)


async def _counted(connection: Connection) -> tuple[list[Pair], Counts, datetime]:
    """Return which workflows and tenants have runs waiting, the limits with what is taken up, and the time."""
    async with together(connection):
        cursors = [await connection.execute(_SQL[name]) for name in ("any", "pairs", "limits", "use")]
        clock, pairs, limits, use = [await cursor.fetchall() for cursor in cursors]
    counts = Counts(
        [Limit(row["workflow"], row["tenant"], row["at_once"], row["per_minute"]) for row in limits],
        {
            Pair(row["workflow"], row["tenant"]): Use(row["under_way"], row["coming"], row["starts"], row["last_at"])
            for row in use
        },
    )
    return [Pair(row["workflow"], row["tenant"]) for row in pairs], counts, clock[0]["now"]


async def _heads(connection: Connection, most: dict[Pair, int]) -> Sequence[DictRow]:
    if not most:
        return []
    register_arrays(connection)
    values = {
        "workflows": texts(pair.workflow for pair in most),
        "tenants": texts(pair.tenant for pair in most),
        "most": list(most.values()),
    }
    return await (await connection.execute(_SQL["heads"], values)).fetchall()


def _waiting(row: DictRow) -> Waiting:
    return Waiting(row["thread_id"], row["workflow"], row["queued_at"], row["priority"], row["begun"])


async def _one(connection: Connection, query: str, **values: Any) -> DictRow:
    register_arrays(connection)
    row = await (await connection.execute(_SQL[query], values)).fetchone()
    assert row is not None  # noqa: S101  (each of these returns one row whatever there is)
    return row
