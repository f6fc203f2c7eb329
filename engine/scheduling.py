"""Schedules: verbs that declare them, and what workers do when a moment comes.

    a moment has come → lock the schedule (whoever has it locked is at it) → the rules → submit the runs → remember → commit

A run gets its thread id from tenant, schedule and moment, so one moment starts one run, whatever happens and however many
workers there are. (Procrastinate's own periodic jobs are declared in code, know no zones, and forget what was missed.)
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from psycopg.rows import DictRow

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection
from ..checkpoints.queries import load_queries
from ..errors import AdjournError, ConfigurationError, UnknownSchedule
from .ids import new_thread_id
from .inputs import Stored
from .policy_book import Policies
from .queue import submit_on
from .registry import Graph
from .run_groups import NewRun
from .schedule_rules import Missed, Timetable, due_moments, next_moment
from .starting import Starting, check_timing

__all__ = ["Schedule", "Scheduling", "thread_of"]

_SQL: Final = load_queries(__package__, "schedules.sql")
_NAMESPACE: Final = uuid.UUID("5b9b1d3e-9a55-5cf2-9c3e-0d6a8f6d2f51")
_MOST: Final = 100
_PUT_OFF_SECONDS: Final = 60.0
# through which door scheduled runs come, for the audit
_DOOR: Final = {"source": "authenticated", "channel": "schedule"}
_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A workflow that is started again and again.

    Args:
        name: Its name.
        workflow: What it starts.
        timetable: When, and what becomes of moments that were missed.
        priority: Of its runs.
        created_by: Who declared it as it is.
        next_at: The next moment; None when none comes.
        last_at: The last moment that was started.
        last_thread_id: The run of that moment.
        problem: Why it cannot be kept here, such as a zone that this machine does not know; None where it can.
    """

    name: str
    workflow: str
    timetable: Timetable
    priority: int
    created_by: str
    next_at: datetime | None
    last_at: datetime | None
    last_thread_id: str | None
    problem: str | None = None


class Scheduling(Starting):
    """Declares schedules, and starts what they say."""

    async def schedule(
        self,
        name: str,
        workflow: str | Graph,
        input: Any,  # noqa: A002  (what LangGraph calls it, too)
        *,
        cron: str,
        timezone: str = "UTC",
        missed: Missed = "latest",
        grace: float = 60.0,
        priority: int = 0,
        by: str | None = None,
        context: Any = None,
        policies: Policies | None = None,
    ) -> Schedule:
        """Have workers start a workflow at certain times, from now on until `unschedule`.

        The schedule is stored in the database; any worker that has the workflow starts its runs, each moment once, as
        `submit` would. Calling this again with the same name changes the schedule; the same once more changes nothing, so a
        program may declare its schedules whenever it starts. One whose times have changed begins anew at that moment.

        Args:
            name: 1-100 printable characters; yours, in your tenant.
            workflow: A registered name, or a graph that has a name of its own and is registered where workers run.
            input: What each run starts with.
            cron: Five fields (minute, hour, day of the month, month, day of the week), or six with the seconds in front.
            timezone: IANA name of the zone whose clocks are meant. Where clocks change, a fixed time of the day happens
                once: one that is left out, at the first moment after it; one that comes twice, the first time. What comes
                every so often goes by the time that passes.
            missed: What becomes of moments when no worker was there: `latest` starts one run for the newest of them, `all`
                one for each, `skip` none.
            grace: Seconds after which a moment was missed; until then it is only late.
            priority: Of its runs; see `submit`.
            by: Who declares it, where the principal is trusted to name somebody else. Its runs are requested by
                `schedule:<name>`.
            context: The run-time context of its runs.
            policies: Who may answer the questions of its runs; see `start`.

        Raises:
            UnknownWorkflow: No such workflow is registered here.
            InvalidInput: The input, the context or the priority does not fit; nothing was stored.
            ConfigurationError: The name, the times or a policy cannot be used; nothing was stored.
            NotAuthorized: The principal may not act for somebody else.
        """
        _check_name(name)
        check_timing(priority)
        timetable = Timetable(cron, timezone, missed, grace)
        async with self._asked_for(workflow, input, None, by, context, policies) as (_, run):
            values = {
                **_columns(run), "name": name, "cron": cron, "timezone": timezone, "missed": missed, "grace": grace,
                "priority": priority, "by": run.requested_by,
            }  # fmt: skip
            with mapped_faults("cannot store the schedule"):
                async with self._storage.pool.connection() as connection, connection.transaction():
                    return _schedule(await _put(connection, values, timetable))

    async def unschedule(self, name: str) -> None:
        """Forget a schedule; runs that it has started go on.

        Raises:
            UnknownSchedule: There is none of that name.
        """
        with mapped_faults("cannot remove the schedule"):
            async with self._storage.pool.connection() as connection:
                values = {"tenant": self.principal.tenant, "name": name}
                found = await (await connection.execute(_SQL["remove"], values)).fetchall()
        if not found:
            there = ", ".join(repr(each.name) for each in await self.schedules())
            raise UnknownSchedule(
                f"There is no schedule {name!r}. " + (f"There are: {there}." if there else "There is none.")
            )

    async def schedules(self) -> list[Schedule]:
        """Return the schedules, by name; what keeps one from being kept here is in its `problem`."""
        with mapped_faults("cannot read the schedules"):
            async with self._storage.pool.connection() as connection:
                cursor = await connection.execute(_SQL["list"], {"tenant": self.principal.tenant})
                return [_schedule(row) for row in await cursor.fetchall()]

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
        timetable, problem = _stored(row)
        if problem is not None:
            raise ConfigurationError(problem)
        due = due_moments(timetable, row["settled_until"], row["now"])
        runs = [_run(row, moment, version=workflow.version, source=workflow.source) for moment in due.moments]
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


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():
        raise ConfigurationError(f"{name!r} is no name for a schedule; give 1 to 100 printable characters.")


def thread_of(tenant: str, name: str, moment: datetime) -> str:
    """Return the thread id of the run that a schedule starts at a moment: a UUIDv5 (RFC 9562, section 5.5)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join((tenant, name, moment.astimezone(UTC).isoformat()))))


async def _put(connection: Connection, values: dict[str, Any], timetable: Timetable) -> DictRow:
    """Store a schedule; one whose times are the same goes on from where it was."""
    cursor = await connection.execute(_SQL["get"], {"tenant": values["tenant"], "name": values["name"]})
    before = await cursor.fetchone()
    if before is not None and _stored(before)[0] == timetable:
        settled, next_at = before["settled_until"], before["next_at"]
    else:
        clock = await (await connection.execute(_SQL["clock"])).fetchone()
        assert clock is not None  # noqa: S101
        settled, next_at = clock["now"], next_moment(timetable, clock["now"])
    row = await (
        await connection.execute(_SQL["put"], {**values, "settled_until": settled, "next_at": next_at})
    ).fetchone()
    assert row is not None  # noqa: S101
    return row


def _columns(run: NewRun) -> dict[str, Any]:
    context = run.context or Stored(None, None, "")
    return {
        "tenant": run.tenant,
        "workflow": run.workflow,
        "input_type": run.given.type,
        "input": run.given.data,
        "input_digest": run.given.digest,
        "context_type": context.type,
        "context": context.data,
        "policies": run.policies,
    }


def _run(row: DictRow, moment: datetime, *, version: str, source: str) -> NewRun:
    return NewRun(
        thread_id=thread_of(row["tenant"], row["name"], moment),
        tenant=row["tenant"],
        workflow=row["workflow"],
        version=version,
        source=source,
        requested_by=f"schedule:{row['name']}",
        given=Stored(row["input_type"], row["input"], row["input_digest"]),
        context=Stored(row["context_type"], row["context"], "") if row["context_type"] else None,
        policies=None if row["policies"] is None else json.dumps(row["policies"]),
        priority=row["priority"],
    )


def _stored(row: DictRow) -> tuple[Timetable, str | None]:
    return Timetable.stored(row["cron"], row["timezone"], row["missed"], row["grace"])


def _schedule(row: DictRow) -> Schedule:
    timetable, problem = _stored(row)
    return Schedule(
        name=row["name"],
        workflow=row["workflow"],
        timetable=timetable,
        priority=row["priority"],
        created_by=row["created_by"],
        next_at=row["next_at"],
        last_at=row["last_at"],
        last_thread_id=row["last_thread_id"],
        problem=problem,
    )
