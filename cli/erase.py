"""`adjourn erase`: remove what a run was about, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .exits import Exit
from .run import By, Thread
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine import Engine, Run

__all__ = ["erase"]


def erase(
    session: Session,
    thread: Thread,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
) -> int:
    """Remove what a run that has ended was about, for good: its content, and the cases that it has left to later runs.

    Input, state, history, questions, answers, events and errors go.
    That there was a run stays, with its status and times, and its audit, which holds ids and digests only.
    """
    if not yes:
        session.check_can_ask("show", thread)
    with session.engine() as engine:
        if not yes and not _confirmed(engine, thread):
            session.err.print("Nothing was erased.")
            return Exit.REFUSED
        erased = engine.erase(thread, by=by)
    if session.as_json:
        from .json_out import run_json

        session.result(run_json(erased))
    else:
        session.show(_view(session, erased))
    return Exit.COMPLETED


def _confirmed(engine: Engine, thread: str) -> bool:
    run = engine.get(thread)
    if run.ended_at is None:
        return True  # there is nothing to ask: the engine refuses it, and says why
    about = f"{one_line(run.thread_id)} ({one_line(run.workflow)}, {run.status})"
    return typer.confirm(f"Erase what the run {about} was about, for good?", err=True)


def _view(session: Session, erased: Run) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from .layout import blank, command_line, title

    return Group(
        title("erased", f"what the run {erased.thread_id} was about"),
        blank(),
        Text("What stays", style="bold"),
        command_line(session.command("audit", erased.thread_id)),
    )
