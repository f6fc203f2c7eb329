"""`adjourn cases`: what runs have left to later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .exits import Exit
from .run import By
from .session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine import Page
    from ..state.cases import Case

__all__ = ["cases"]

_SHOWN = 300
_NONE = "There are no cases yet. The node `remember` leaves them, in a graph of yours: adjourn.nodes.cases."


def cases(
    session: Session,
    about: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="What they are to be like. Without: the newest.")
    ] = None,
    kind: Annotated[str | None, typer.Option(metavar="NAME", help="Only cases of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most cases to show.")] = 10,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Go on behind this page.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Show long texts whole.")] = False,
    forget: Annotated[
        str | None, typer.Option(metavar="ID", help="Remove this case for good, and show the rest.")
    ] = None,
    by: By = None,
) -> int:
    """Show past cases: the newest first, or those that are most like some words.

    Example: `adjourn cases disk full --kind incident`
    """
    with session.engine() as engine:
        if forget is not None:
            engine.forget(forget, by=by)
        page = engine.cases(kind=kind, about=" ".join(about) if about else None, limit=limit, after=after)
    if session.as_json:
        session.result({"items": [_json(case) for case in page], "after": page.after})
        return Exit.COMPLETED
    options = [*(["--kind", kind] if kind else []), *(["--limit", str(limit)] if limit != 10 else [])]
    more = session.command("cases", *options, "--after", page.after) if page.after else None
    none = "There are no such cases." if kind or about or after else _NONE
    session.show(_view(page, none, 0 if full else _SHOWN, more))
    return Exit.COMPLETED


def _json(case: Case) -> dict[str, Any]:
    return {**case.as_json(), "at": case.at}


def _view(page: Page[Case], none: str, most: int, more: str | None) -> RenderableType:
    from rich.console import Group

    from .layout import blank, command_line, dictionary, paragraph, title
    from .text import timestamp

    if not page:
        return paragraph(none)
    shown: list[RenderableType] = []
    for case in page:
        like = {} if case.score is None else {"score": f"{case.score:.2f}"}
        about = {"what": case.text, "outcome": case.outcome, "when": timestamp(case.at)}
        named = {**like, **about, "run": case.thread_id, "case": case.id}
        shown += [title(case.kind), dictionary(named, most), blank()]
    return Group(*shown, *([command_line(more)] if more else []))
