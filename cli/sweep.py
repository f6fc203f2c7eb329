"""`adjourn sweep`: let deadlines act now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from .exits import Exit
from .session import Session
from .text import one_line, timestamp

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine import Swept

__all__ = ["sweep"]

_WIDE: Final = 100
_STYLE: Final = {"reminded": "yellow", "escalated": "bold yellow", "decided": "bold green", "expired": "bold red"}


def sweep(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most runs to look at.")] = 100,
) -> int:
    """Do once what is due on reviews: remind, ask the next people, decide by default, or fail the run.

    The policy of each review says which. Runs that a default decision closes are driven on here.
    """
    with session.engine() as engine, session.working("looking for deadlines"):
        done = engine.sweep(limit=limit)
    if session.as_json:
        from .json_out import swept_json

        session.result(swept_json(done))
    else:
        session.show(_view(session, done))
    return Exit.COMPLETED


def _view(session: Session, done: Sequence[Swept]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from .inbox_view import names_of
    from .layout import blank, command_line, grid, paragraph

    if not done:
        return paragraph("Nothing is due.")
    names = names_of([each.review for each in done])
    # a thread id takes 36 columns; where it is narrow, `adjourn review` shows it
    wide = session.out.width >= _WIDE
    table = grid("", "review", "workflow", *(["run"] if wide else []), "now")
    table.columns[1].no_wrap = table.columns[2].no_wrap = True
    for each, name in zip(done, names, strict=True):
        review = each.review
        run = [Text(one_line(review.thread_id), overflow="fold")] if wide else []
        what, name_shown = Text(each.what, style=_STYLE[each.what]), Text(name, style="cyan")
        table.add_row("", what, name_shown, one_line(review.workflow), *run, Text(_now(each)))
    parts: list[RenderableType] = [table]
    expired = next((each.review for each in done if each.what == "expired"), None)
    if expired is not None:
        parts += [
            blank(),
            Text("Ask again with", style="bold"),
            command_line(session.command("retry", expired.thread_id)),
        ]
    return Group(*parts)


def _now(done: Swept) -> str:
    review = done.review
    if done.what == "expired":
        return "its run has failed"
    if done.what == "decided":
        final = next((vote for vote in reversed(review.votes) if vote.by == review.closed_by), None)
        return f"the deadline's answer: {final.kind}" if final else "the deadline's answer"
    asked = " or ".join(one_line(role) for role in review.roles) or "anybody"
    return f"asks {asked}" + (f" until {timestamp(review.due_at)}" if review.due_at else "")
