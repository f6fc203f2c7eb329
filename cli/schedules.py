"""`adjourn schedule`: workflows that workers start at certain times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .exits import Exit
from .inputs import read_input, read_json
from .run import By
from .session import Session
from .text import one_line, timestamp

if TYPE_CHECKING:
    from ..engine import Schedule
    from ..engine.schedule_rules import Missed

__all__ = ["schedule_add", "schedule_list", "schedule_remove"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


def schedule_add(
    session: Session,
    name: Name,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="What it starts, such as review.")],
    cron: Annotated[
        str,
        typer.Option(
            metavar="CRON", help="Minute, hour, day, month, day of the week; or six with the seconds in front."
        ),
    ],
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Whose clocks are meant, such as Europe/Berlin.")
    ] = "UTC",
    missed: Annotated[
        str, typer.Option(metavar="POLICY", help="Moments that no worker was there for: latest, all or skip.")
    ] = "latest",
    grace: Annotated[float, typer.Option(metavar="SECONDS", help="After so long a moment was missed.")] = 60.0,
    given: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="The input of each run: JSON, @file or - for standard input."),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One input key, as in run. Repeatable.")
    ] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="Of its runs: larger comes first.")] = 0,
    by: By = None,
    context: Annotated[
        str | None, typer.Option(metavar="JSON", help="Run-time context of its runs: JSON, @file or -. No secrets.")
    ] = None,
) -> int:
    """Have workers start a workflow at certain times, or change when and with what they do.

    Example: `adjourn schedule add nightly review --cron '0 3 * * *' --timezone Europe/Berlin --set input_text=@daily.txt`
    """
    value = read_input(given, assignments or ())
    environment = None if context is None else read_json(context, "--context")
    with session.engine() as engine:
        engine.schedule(
            name,
            workflow,
            value,
            cron=cron,
            timezone=timezone,
            missed=cast("Missed", missed),
            grace=grace,
            priority=priority,
            by=by,
            context=environment,
        )
        return _show(session, engine.schedules())


def schedule_list(session: Session) -> int:
    """Show the schedules, when each comes next, and the last run of each."""
    with session.engine() as engine:
        return _show(session, engine.schedules())


def schedule_remove(session: Session, name: Name) -> int:
    """Forget a schedule; runs that it has started go on."""
    with session.engine() as engine:
        engine.unschedule(name)
        return _show(session, engine.schedules())


def _show(session: Session, found: list[Schedule]) -> int:
    if session.as_json:
        session.result({"items": [_json(each) for each in found], "after": None})
        return Exit.COMPLETED
    from rich.text import Text

    from .layout import grid, paragraph

    if not found:
        session.show(paragraph("There are no schedules."))
        return Exit.COMPLETED
    table = grid("schedule", "workflow", "cron", "zone", "missed", "next", "last run")
    for each in found:
        times = each.timetable
        words = (each.name, each.workflow, times.cron, times.timezone, times.missed)
        due = "cannot be kept here" if each.problem else timestamp(each.next_at) if each.next_at else "never"
        table.add_row("", *(Text(one_line(word)) for word in words), Text(due), Text(each.last_thread_id or "-"))
    session.show(table)
    for each in found:
        if each.problem:
            session.show(paragraph(one_line(f"The schedule {each.name!r}: {each.problem}")))
    return Exit.COMPLETED


def _json(each: Schedule) -> dict[str, Any]:
    times = each.timetable
    return {
        "name": each.name,
        "workflow": each.workflow,
        "cron": times.cron,
        "timezone": times.timezone,
        "missed": times.missed,
        "grace_seconds": times.grace,
        "priority": each.priority,
        "created_by": each.created_by,
        "next_at": each.next_at,
        "last_at": each.last_at,
        "last_thread_id": each.last_thread_id,
        "problem": each.problem,
    }
