"""`adjourn doctor`: whether everything is as it must be, and how to mend what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from .exits import Exit
from .session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine.checkup import Check

__all__ = ["doctor"]

_STYLES: Final = {"ok": "green", "warning": "bold yellow", "problem": "bold red"}


def doctor(session: Session) -> int:
    """Check Python, packages, database, model and workflows, and say how to mend what is wrong.

    Nothing is changed. The exit code is 0, or 2 if there is a problem.
    """
    found: list[Check] = []
    checks = _checks(session)
    while (check := _next(session, checks)) is not None:
        found.append(check)
        if not session.as_json:
            session.show(_view(check))
    good = all(check.state != "problem" for check in found)
    if session.as_json:
        items = [{"name": each.name, "state": each.state, "found": each.found, "mend": each.mend} for each in found]
        session.result({"ok": good, "items": items, "after": None})
    return Exit.COMPLETED if good else Exit.BAD_INPUT


def _next(session: Session, checks: Iterator[Check]) -> Check | None:
    # the spinner ends before a line is shown: it would stand in front of it otherwise
    with session.working("looking"):
        return next(checks, None)


def _checks(session: Session) -> Iterator[Check]:
    from ..engine.checkup import Check, checkup

    try:
        settings = session.settings()
    except ConfigurationError as error:
        yield Check("settings", "problem", error.message)
        return
    yield Check("settings", "ok", "every ADJOURN_ variable is usable")
    yield from checkup(settings, session.database)


def _view(check: Check) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from .text import one_line

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=7, no_wrap=True)
    table.add_column(overflow="fold")
    said = Text.assemble((f"{check.name}: ", "bold"), one_line(check.found))
    table.add_row(Text(check.state, style=_STYLES[check.state]), said)
    if check.mend:
        table.add_row("", Text(one_line(check.mend), style="cyan"))
    return table
