"""What workers do when the moment of a schedule comes.

    a moment has come → lock the schedule (whoever has it locked is at it) → the rules → submit the runs → remember → commit

(Procrastinate's own periodic jobs are declared in code, know no zones, and forget what was missed.)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog
from psycopg.rows import DictRow

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection
from ..checkpoints.queries import load_queries
from ..errors import AdjournError, ConfigurationError
from .base import EngineBase
from .ids import new_thread_id
from .queue import submit_on
from .run_groups import NewRun
from .schedule_rows import run_at, timetable_of
from .schedule_rules import due_moments, next_moment

__all__ = ["ScheduleKeeping"]

_SQL: Final = load_queries(__package__, "schedules.sql")
_MOST: Final = 100
_PUT_OFF_SECONDS: Final = 60.0
# through which door scheduled runs come, for the audit
_DOOR: Final = {"source": "authenticated", "channel": "schedule"}
_log = structlog.get_logger("adjourn")


class ScheduleKeeping(EngineBase):
    """Starts what schedules want."""

    async def _start_scheduled(self, workflows: Sequence[str], put_off: dict[str, float] | None = None) -> float | None:
        """Start what schedules want now, of all tenants; return the seconds to the next moment, or None when there is none.

        Args:
            workflows: Only schedules of these: others are left to workers that have their code.
            put_off: Schedules that could not be kept here, and until when (by the monotonic clock) they are not looked at
                again; more are added. What cannot be read here, such as a zone, may be read elsewhere: so it stays due.
        """
        put_off = {} if put_off is None else put_off
        with mapped_faults("cannot start what schedules want"):
            async with self._storage.pool.connection() as connection:
                while True:
                    but = [each for each, until in put_off.items() if until > time.monotonic()]
                    values = {"workflows": list(workflows), "but": but, "most": _MOST}
                    cursor = await connection.execute(_SQL["next"], values)
                    row = await cursor.fetchone()
                    assert row is not None  # noqa: S101  (an aggregate)
                    if row["next_at"] is None:
                        return None
                    if row["next_at"] > row["now"]:
                        return float((row["next_at"] - row["now"]).total_seconds())
                    async with connection.transaction():
                        due = await (await connection.execute(_SQL["due"], values)).fetchall()
                        for schedule in due:
                            if not await self._try_to_start(connection, schedule):
                                put_off[_key(schedule)] = time.monotonic() + _PUT_OFF_SECONDS
                    if not due:  # somebody else is at it
                        return None

    async def _try_to_start(self, connection: Connection, row: DictRow) -> bool:
        """Start what a schedule wants; one that cannot be read here, such as for its zone, holds up no other."""
        try:
            await self._start_due(connection, row)
        except AdjournError as error:
            name, tenant = row["name"], row["tenant"]
            _log.warning("a schedule cannot be kept here", schedule=name, tenant=tenant, error=error.message)
            return False
        return True

    async def _start_due(self, connection: Connection, row: DictRow) -> None:
        workflow = self.registry.find(row["workflow"])
        timetable, problem = timetable_of(row)
        if problem is not None:
            raise ConfigurationError(problem)
        due = due_moments(timetable, row["settled_until"], row["now"])
        runs = [run_at(row, moment, version=workflow.version, source=workflow.source) for moment in due.moments]
        if runs:
            taken = await submit_on(connection, runs, _DOOR)
            if len(taken) < len(runs):
                runs = await self._past_strangers(connection, runs)
        settled = {
            "tenant": row["tenant"],
            "name": row["name"],
            "settled_until": due.last,
            "next_at": next_moment(timetable, due.last),
            "last_at": due.moments[-1] if due.moments else None,
            "last_thread_id": runs[-1].thread_id if runs else None,
        }
        await connection.execute(_SQL["settle"], settled)
        if due.skipped:
            _log.warning("a schedule skips moments that were missed", schedule=row["name"], tenant=row["tenant"])

    async def _past_strangers(self, connection: Connection, runs: list[NewRun]) -> list[NewRun]:
        """Start under other thread ids what cannot be started because somebody has taken its own for something else.

        Whoever knows the names can work the ids out. The schedule is locked and settled in this transaction, so that each
        moment starts one run all the same.
        """
        values = {
            "thread_ids": [run.thread_id for run in runs], "tenant": runs[0].tenant, "requested_by": runs[0].requested_by,
        }  # fmt: skip
        rows = await (await connection.execute(_SQL["strangers"], values)).fetchall()
        strangers = {row["thread_id"] for row in rows}
        if not strangers:
            return runs
        _log.warning(
            "thread ids of a schedule were taken by others", schedule=runs[0].requested_by, runs=len(strangers)
        )
        renamed = [replace(run, thread_id=new_thread_id()) if run.thread_id in strangers else run for run in runs]
        await submit_on(connection, [run for run in renamed if run not in runs], _DOOR)
        return renamed


def _key(row: DictRow) -> str:
    return f"{row['tenant']}\x1f{row['name']}"
