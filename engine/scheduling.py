"""Verbs that declare schedules, show them and forget them; workers keep them (`schedule_keeping.py`)."""

from __future__ import annotations

from typing import Any, Final

from psycopg.rows import DictRow

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection
from ..checkpoints.queries import load_queries
from ..errors import ConfigurationError, UnknownSchedule
from .policy_book import Policies
from .registry import Graph
from .schedule_rows import Schedule, columns_of, schedule_of, timetable_of
from .schedule_rules import Missed, Timetable, next_moment
from .starting import Starting, check_timing

__all__ = ["Scheduling"]

_SQL: Final = load_queries(__package__, "schedules.sql")


class Scheduling(Starting):
    """Declares schedules."""

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
                **columns_of(run), "name": name, "cron": cron, "timezone": timezone, "missed": missed, "grace": grace,
                "priority": priority, "by": run.requested_by,
            }  # fmt: skip
            with mapped_faults("cannot store the schedule"):
                async with self._storage.pool.connection() as connection, connection.transaction():
                    return schedule_of(await _put(connection, values, timetable))

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
                return [schedule_of(row) for row in await cursor.fetchall()]


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():
        raise ConfigurationError(f"{name!r} is no name for a schedule; give 1 to 100 printable characters.")


async def _put(connection: Connection, values: dict[str, Any], timetable: Timetable) -> DictRow:
    """Store a schedule; one whose times are the same goes on from where it was."""
    cursor = await connection.execute(_SQL["get"], {"tenant": values["tenant"], "name": values["name"]})
    before = await cursor.fetchone()
    if before is not None and timetable_of(before)[0] == timetable:
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
