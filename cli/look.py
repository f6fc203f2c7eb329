"""The commands that look and change nothing: show, list, history."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInput
from .exits import Exit
from .run import Thread
from .session import Session

if TYPE_CHECKING:
    from ..engine import Run
    from ..engine.model import RunStatus

__all__ = ["Status", "history", "list_runs", "show"]


class Status(StrEnum):
    """Where a run may stand: the engine's own list, which is not loaded for help."""

    queued = "queued"
    running = "running"
    stalled = "stalled"
    paused = "paused"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


def show(
    session: Session,
    thread: Thread,
    full: Annotated[bool, typer.Option("--full", help="Show long values whole.")] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Show what happens in it and in its child runs, until it ends or asks a person."),
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the minutes of a council as Markdown.")] = False,
) -> int:
    """Show a run: where it stands, what it asks, what it knows, and its child runs as a tree.

    Of a council the minutes are shown, of an adaptive run its attempts and why they changed.
    """
    if follow:
        from .follow import follow as follow_run

        return follow_run(session, thread, full=full)
    with session.engine() as engine:
        run = engine.get(thread)
    if markdown:
        _write_minutes(run)
    elif session.as_json:
        from .json_out import run_json

        session.result(run_json(run))
    else:
        from .family import family_plan
        from .render import whole_run

        session.show(whole_run(run, session.command, full=full, plan=family_plan(session, run)))
    return Exit.COMPLETED


def _write_minutes(run: Run) -> None:
    from ..state.minutes import has_minutes, minutes
    from .text import clean

    if not has_minutes(run.state):
        raise InvalidInput(
            f"Run {run.thread_id} is no council, so it has no minutes. Show it without --markdown.",
            thread_id=run.thread_id,
        )
    sys.stdout.write(clean(minutes(run.state)))
    sys.stdout.flush()


def list_runs(
    session: Session,
    status: Annotated[Status | None, typer.Option(help="Only runs that stand so.")] = None,
    workflow: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this workflow.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="ID", help="Only the child runs of this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most runs to show.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Go on behind this thread id.")] = None,
) -> int:
    """List runs, newest first."""
    chosen: RunStatus | None = status.value if status else None
    with session.engine() as engine:
        page = engine.runs(status=chosen, workflow=workflow, parent=parent, limit=limit, after=after)
    if session.as_json:
        from .json_out import runs_json

        session.result(runs_json(page))
        return Exit.COMPLETED
    from .render import run_page

    named = {
        "--status": chosen,
        "--workflow": workflow,
        "--parent": parent,
        "--limit": None if limit == 20 else str(limit),
    }
    options = [word for name, value in named.items() if value for word in (name, value)]
    more = session.command("list", *options, "--after", page.after or "")
    session.show(run_page(page, datetime.now(UTC), session.out.width, more))
    return Exit.COMPLETED


def history(session: Session, thread: Thread) -> int:
    """Show the steps of a run, how long each took, and how long it waited for people."""
    with session.engine() as engine:
        timeline = engine.timeline(thread)
    if session.as_json:
        from .json_out import timeline_json

        session.result(timeline_json(timeline))
    else:
        from .timeline import timeline_view

        width, unicode = session.out.width, session.out.encoding.startswith("utf")
        session.show(timeline_view(timeline, datetime.now(UTC), width, unicode=unicode))
    return Exit.COMPLETED
