"""The commands that move a run: run, retry, recover, fork, cancel. What people answer is in deciding.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInput
from .exits import Exit, exit_of_status
from .inputs import mistaken_for_text, read_assignments, read_input, read_json
from .session import Session

if TYPE_CHECKING:
    from ..engine import Event, Run

__all__ = [
    "By",
    "Submit",
    "Thread",
    "cancel",
    "fork",
    "recover",
    "retry",
    "run",
    "show_outcome",
    "show_submitted",
    "wait",
]

Thread = Annotated[str, typer.Argument(metavar="THREAD", help="The run's thread id.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who acts. Default: you, as the system knows you.")]

Submit = Annotated[bool, typer.Option("--submit", help="Leave it to a worker (adjourn worker) and return at once.")]


def run(
    session: Session,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="Its name, such as review.")],
    given: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="The input: JSON, @file for a JSON file, - for standard input."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One input key: key=value is text, key:=JSON is JSON, key=@file the text of a file. Repeatable.",
        ),
    ] = None,
    thread: Annotated[
        str | None, typer.Option(metavar="ID", help="Thread id of the run. The same id and input never run twice.")
    ] = None,
    by: By = None,
    context: Annotated[
        str | None, typer.Option(metavar="JSON", help="Run-time context for the graph: JSON, @file or -. No secrets.")
    ] = None,
    submit: Submit = False,
    priority: Annotated[int, typer.Option(metavar="N", help="With --submit: larger comes first.")] = 0,
    start_at: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"],
            help="With --submit: not before, such as 2027-01-31T09:00; your local time, unless it ends in +HH:MM.",
        ),
    ] = None,
) -> int:
    """Start a run and drive it until it ends or needs a person.

    Examples: `adjourn run review --set input_text=@contract.txt`, or
    `adjourn run review --input '{"input_text": "All is well."}' --thread note-1`
    """
    if not submit and (priority or start_at):
        raise InvalidInput("--priority and --start-at are for runs that workers drive; add --submit.")
    value = read_input(given, assignments or ())
    environment = None if context is None else read_json(context, "--context")
    try:
        if submit:
            begin = None if start_at is None else start_at.astimezone()
            with session.engine() as engine:
                found = engine.submit(
                    workflow, value, thread_id=thread, by=by, context=environment, priority=priority, start_at=begin
                )
                return show_submitted(session, found)
        with session.engine() as engine, session.progress() as progress:
            found = engine.start(workflow, value, thread_id=thread, by=by, context=environment, on_event=progress)
    except InvalidInput as error:
        raise _hinted(error, assignments) from None
    if not progress.drove and not session.as_json:
        session.err.print("This run was started before; it is shown as it stands.", style="dim")
    return show_outcome(session, found)


def wait(
    session: Session,
    thread: Thread,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Wait no longer than this.")] = None,
) -> int:
    """Wait until a run that workers drive has ended or needs a person, and show it.

    When the time is over it is shown as it stands, with exit code 4.
    """
    with session.engine() as engine, session.working("waiting"):
        found = engine.wait(thread, timeout=timeout)
    return show_outcome(session, found)


def retry(session: Session, thread: Thread, by: By = None) -> int:
    """Continue a failed or interrupted run from where it was.

    Nodes that had finished do not run again.
    """
    with session.engine() as engine, session.progress() as progress:
        found = engine.retry(thread, by=by, on_event=progress)
    return show_outcome(session, found)


def recover(session: Session) -> int:
    """Continue the runs whose process died: those that are shown as stalled.

    A run that keeps killing its process at the same place is failed after five attempts.
    """
    from ..engine import Page

    with session.engine() as engine:
        found = engine.recover()
    page = Page(tuple(found), after=None)
    if session.as_json:
        from .json_out import runs_json

        session.result(runs_json(page))
    elif found:
        from .render import run_page

        session.show(run_page(page, datetime.now(UTC), session.out.width, more=""))
    else:
        from .layout import paragraph

        session.show(paragraph("No run is stalled."))
    return Exit.COMPLETED


def fork(
    session: Session,
    thread: Thread,
    at: Annotated[str, typer.Option(metavar="STEP", help="The step's number or checkpoint id, as history shows it.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A state key to change first, written as in run. Repeatable."),
    ] = None,
    by: By = None,
) -> int:
    """Start a new run from an old step of a run and drive it; the original stays as it is.

    What ran after that step runs again, effects such as payments and mails included.
    """
    update = read_assignments(assignments or ())
    step = int(at) if at.removeprefix("-").isdecimal() else at
    with session.engine() as engine, session.progress() as progress:

        def watch(event: Event) -> None:
            if not progress.drove and not session.as_json:
                session.err.print(f"What ran after step {at} runs again now, effects included.", style="yellow")
            progress(event)

        found = engine.fork(thread, at=step, update=update, by=by, on_event=watch)
    return show_outcome(session, found)


def cancel(
    session: Session,
    thread: Thread,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the run.")],
    by: By = None,
) -> int:
    """End a run for good: its questions are withdrawn and later answers refused."""
    with session.engine() as engine:
        found = engine.cancel(thread, by=by, reason=reason)
    show_outcome(session, found)
    return Exit.COMPLETED


def show_outcome(session: Session, found: Run) -> int:
    """Show where a run stands after it was driven; return the exit code for that."""
    if session.as_json:
        from .json_out import run_json

        session.result(run_json(found))
    else:
        from .family import family_plan
        from .render import outcome

        session.show(outcome(found, session.command, plan=family_plan(session, found)))
    return exit_of_status(found.status)


def show_submitted(session: Session, found: Run) -> int:
    """Show a run that was left to a worker; it did what was asked when the run is queued, or already further."""
    code = show_outcome(session, found)
    return Exit.COMPLETED if found.status in ("queued", "running") else code


def _hinted(error: InvalidInput, assignments: list[str] | None) -> InvalidInput:
    hint = mistaken_for_text(assignments or (), error.message)
    return InvalidInput(error.message + hint, thread_id=error.thread_id)
