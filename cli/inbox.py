"""`adjourn inbox`: what waits for people, once or as it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from .deciding import ByRoles, acting
from .exits import Exit
from .run import By
from .session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine import Engine, Page, Principal, Review

__all__ = ["MOST", "Filters", "Limit", "OfWorkflow", "Overdue", "Role", "inbox"]

LOOK_SECONDS: Final = 2.0
MOST: Final = 50
# Lines around the table of a terminal that is watched: heads, commands, and the line about the watching.
_FRAME: Final = 6
# From this many columns on a review surely takes one line.
_ONE_LINE: Final = 120

Role = Annotated[str | None, typer.Option(metavar="ROLE", help="Only reviews that ask people of this role now.")]
OfWorkflow = Annotated[str | None, typer.Option("--workflow", metavar="NAME", help="Only reviews of this workflow.")]
Overdue = Annotated[bool, typer.Option("--overdue", help="Only reviews whose deadline has passed.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="The most reviews to show.")]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which open reviews are meant.

    Args:
        role: Those that ask people of this role.
        workflow: Those of this workflow.
        overdue: Those whose deadline has passed.
    """

    role: str | None = None
    workflow: str | None = None
    overdue: bool = False

    def page(
        self, engine: Engine, limit: int, after: str | None = None, waiting_for: Principal | None = None
    ) -> Page[Review]:
        """Read a page of them.

        Args:
            engine: Reads them.
            limit: The most to read.
            after: The `after` of the page before.
            waiting_for: Only those that this person may answer and has not.
        """
        return engine.reviews(
            role=self.role,
            workflow=self.workflow,
            due_before=datetime.now(UTC) if self.overdue else None,
            waiting_for=waiting_for,
            limit=limit,
            after=after,
        )

    def words(self) -> list[str]:
        """Return the options that say the same."""
        named = {"--role": self.role, "--workflow": self.workflow}
        words = [word for name, value in named.items() if value for word in (name, value)]
        return [*words, *(["--overdue"] if self.overdue else [])]


def inbox(
    session: Session,
    role: Role = None,
    workflow: OfWorkflow = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Only reviews that you, or whom --by names, may answer and have not.")
    ] = False,
    overdue: Overdue = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again as it changes, until Ctrl-C.")] = False,
    limit: Limit = MOST,
    after: Annotated[str | None, typer.Option(metavar="PAGE", help="Go on behind this page.")] = None,
    by: By = None,
    by_role: ByRoles = None,
) -> int:
    """Show what waits for people: the most urgent first, then what waits longest.

    Examples: `adjourn inbox`, `adjourn inbox --mine --by dana --by-role legal`, `adjourn inbox --overdue --watch`
    """
    filters = Filters(role, workflow, overdue)
    with session.engine() as engine:
        who = acting(engine, by, by_role) if mine else None

        def read(most: int) -> Page[Review]:
            return filters.page(engine, most, after, who)

        more = ["inbox", *filters.words(), *_mine_words(mine, by, by_role)]
        more += [] if limit == MOST else ["--limit", str(limit)]
        if watch:
            return _watch(session, read, limit, more)
        page = read(limit)
    if session.as_json:
        from .json_out import reviews_json

        session.result(reviews_json(page))
    else:
        session.show(_view(session, page, more))
    return Exit.COMPLETED


def _view(session: Session, page: Page[Review], more: list[str]) -> RenderableType:
    from .inbox_view import names_of, review_table, with_commands
    from .layout import paragraph

    if not page:
        return paragraph("Nothing waits for an answer." if len(more) == 1 else "No such review waits for an answer.")
    table = review_table(page.items, datetime.now(UTC), session.out.width)
    first = session.command("review", names_of(page)[0])
    return with_commands(table, first, session.command(*more, "--after", page.after) if page.after else None)


def _watch(session: Session, read: Callable[[int], Page[Review]], limit: int, more: list[str]) -> int:
    """Show the inbox again and again until a signal says to stop, which is how this ends well."""
    try:
        if session.out.is_terminal and not session.as_json:
            _watch_live(session, read, limit, more)
        _watch_changes(session, lambda: read(limit), more)
    except KeyboardInterrupt as interrupt:
        code = interrupt.args[0] if interrupt.args else Exit.INTERRUPTED
        return Exit.COMPLETED if code == Exit.INTERRUPTED else code


def _watch_live(session: Session, read: Callable[[int], Page[Review]], limit: int, more: list[str]) -> NoReturn:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from .layout import blank

    def view() -> RenderableType:
        per_review = 1 if session.out.width >= _ONE_LINE else 2
        page = read(max(min(limit, (session.out.height - _FRAME) // per_review), 1))
        count = f"{len(page)}{' and more' if page.after else ''}"
        said = f"{count} · read at {datetime.now().astimezone():%H:%M:%S} · Ctrl-C ends"
        return Group(_view(session, _without_more(page), more), blank(), Text(said, style="dim"))

    with Live(view(), console=session.out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            time.sleep(LOOK_SECONDS)
            live.update(view(), refresh=True)


def _watch_changes(session: Session, read: Callable[[], Page[Review]], more: list[str]) -> NoReturn:
    """Where nobody looks at a terminal, write the inbox once more whenever it has changed."""
    from .json_out import reviews_json

    before = None
    while True:
        page = read()
        now = (page, [review.overdue for review in page])
        if now != before:
            if session.as_json:
                session.result(reviews_json(page), one_line=True)
            else:
                session.show(_view(session, page, more))
        before = now
        time.sleep(LOOK_SECONDS)


def _without_more(page: Page[Review]) -> Page[Review]:
    from ..engine import Page

    return Page(page.items, after=None)


def _mine_words(mine: bool, by: str | None, roles: list[str] | None) -> list[str]:
    named = [word for role in roles or () for word in ("--by-role", role)]
    return ["--mine", *(["--by", by] if by else []), *named] if mine else []
