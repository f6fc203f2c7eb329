"""The inbox as a table: what waits for people, how long, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .layout import blank, command_line
from .policy_words import approvals, time_left
from .question import DIGEST, edited
from .text import clean, one_line, span

if TYPE_CHECKING:
    from ..engine import Review

__all__ = ["names_of", "review_table", "short_id", "with_commands"]

ID: Final = 8
LONGEST: Final = 64
WORKFLOW: Final = 18
ROLES: Final = 20
# From this many columns on its run is shown too.
THREAD_WIDTH: Final = 150
# The least room for what is asked.
ASKS: Final = 24
_PREFIX: Final = "breakpoint:"


def short_id(review_id: str, length: int = ID) -> str:
    """Return the beginning of a review's id, as it may be typed."""
    start = len(_PREFIX) if review_id.startswith(_PREFIX) else 0
    return clean(review_id[: start + length])


def names_of(reviews: Sequence[Review]) -> list[str]:
    """Return what may be typed for each of some reviews that are shown together.

    That is as much of each id as tells it from the others, in one length. A fork asks under the id of the original:
    such reviews are named by their runs.
    """
    runs: dict[str, set[str]] = {}
    for review in reviews:
        runs.setdefault(review.id, set()).add(review.thread_id)
    length = ID
    while length < LONGEST and len({short_id(each, length) for each in runs}) < len(runs):
        length += 1
    return [short_id(each.id, length) if len(runs[each.id]) == 1 else one_line(each.thread_id) for each in reviews]


def review_table(reviews: Sequence[Review], now: datetime, width: int, *, digests: bool = False) -> RenderableType:
    """Return reviews as a table; where that does not fit two lines for each. Columns that would be empty are left out.

    Args:
        reviews: The reviews.
        now: The time now (aware).
        width: Columns that there are.
        digests: Whether to show the digest of what would be approved.
    """
    names = names_of(reviews)
    columns = _columns(reviews, now, digests=digests, thread=width >= THREAD_WIDTH)
    if _least_width(reviews, names, columns) > width:
        return Group(*(_lines(review, names[place], columns, place) for place, review in enumerate(reviews)))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    table.add_column("review", style="cyan", no_wrap=True)
    table.add_column("workflow", no_wrap=True, overflow="ellipsis", max_width=WORKFLOW)
    table.add_column("asks", ratio=1, no_wrap=True, overflow="ellipsis", min_width=ASKS)
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=ROLES if name == "roles" else None)
    for place, review in enumerate(reviews):
        cells = [cells[place] for cells in columns.values()]
        table.add_row(names[place], one_line(review.workflow), asks(review), *cells)
    return table


def with_commands(table: RenderableType, first: str, more: str | None = None) -> RenderableType:
    """Return a table of reviews with what to type next.

    Args:
        table: The table.
        first: The command that shows its first review.
        more: The command for the next page, if there is one.
    """
    parts: list[RenderableType] = [table, blank(), Text("Look at one, and answer it, with", style="bold")]
    parts.append(command_line(first))
    if more:
        parts += [blank(), Text("More reviews", style="bold"), command_line(more)]
    return Group(*parts)


def asks(review: Review) -> Text:
    """Return what is asked, on one line; what people have changed in it comes first, for the words do not tell."""
    asked = one_line(review.description) or one_line(str(review.action or "a question"))
    if changed := edited(review):
        return Text.assemble((f"[{changed}] ", "yellow"), asked)
    return Text(asked)


def _columns(reviews: Sequence[Review], now: datetime, *, digests: bool, thread: bool) -> dict[str, list[Text]]:
    found = {
        "age": [Text(span(now - each.asked_at) if each.asked_at else "") for each in reviews],
        "time": [Text(time_left(each, now), style="bold red" if _late(each, now) else "") for each in reviews],
        "approved": [Text(approvals(each)) for each in reviews],
        "roles": [Text(", ".join(one_line(role) for role in each.roles)) for each in reviews],
        "priority": [Text(str(each.policy.priority) if each.policy.priority else "") for each in reviews],
        "digest": [Text(each.digest[:DIGEST] if digests else "", style="dim") for each in reviews],
        "run": [Text(one_line(each.thread_id) if thread else "") for each in reviews],
    }
    return {name: cells for name, cells in found.items() if any(cell.plain for cell in cells)}


def _least_width(reviews: Sequence[Review], names: Sequence[str], columns: dict[str, list[Text]]) -> int:
    """Return how many columns of the terminal a table takes that cuts nothing but the words of the question."""
    workflows = min(max((len(one_line(review.workflow)) for review in reviews), default=0), WORKFLOW)
    widths = [max(map(len, names), default=0), max(workflows, len("workflow")), ASKS]
    for name, cells in columns.items():
        widest = max(len(name), *(cell.cell_len for cell in cells))
        widths.append(min(widest, ROLES) if name == "roles" else widest)
    return sum(widths) + 2 * len(widths)


def _late(review: Review, now: datetime) -> bool:
    return review.overdue or (review.due_at is not None and review.due_at <= now)


def _lines(review: Review, name: str, columns: dict[str, list[Text]], place: int) -> RenderableType:
    line = Text.assemble((name, "cyan"), "  ", one_line(review.workflow))
    for column, cells in columns.items():
        if cells[place].plain:
            line.append(" · ").append(f"{column} " if column in ("approved", "priority") else "")
            line.append_text(cells[place])
    asked = asks(review)
    asked.no_wrap, asked.overflow = True, "ellipsis"
    return Group(line, Padding(asked, (0, 0, 0, 2), expand=False))
