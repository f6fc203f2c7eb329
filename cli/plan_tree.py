"""A plan as a tree on the terminal: where each subtask stands, who does it, how long it took, and the critical path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from .text import duration, one_line

if TYPE_CHECKING:
    from ..engine.plan_rows import PlanRow
    from ..engine.plan_view import PlanView

__all__ = ["PlanTree", "plan_summary", "plan_tree", "subtask_line"]

_SIGNS: Final = {
    "pending": ("·", ".", "dim"),
    "in_progress": ("▸", ">", "cyan"),
    "completed": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "requires_human": ("?", "?", "yellow"),
    "skipped": ("\N{EN DASH}", "-", "magenta"),
}
_WORDS: Final = {"in_progress": "at work", "requires_human": "needs a person"}
_UNDONE: Final = {
    "completed": "undone",
    "requires_human": "undoing needs a person",
    "given_up": "left as it is",
    "pending": "to be undone",
}
_GUIDES: Final = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}
_ORDER: Final = ("requires_human", "failed", "in_progress", "completed", "skipped", "pending")
_WIDEST: Final = 60
_WIDEST_NAME: Final = 36
_WIDEST_WAITS: Final = 20
_NARROWEST: Final = 12


class PlanTree:
    """A plan as a tree, in the characters of the terminal that it is shown on.

    Args:
        view: The plan.
        most: The most subtasks to show; None for all.
    """

    def __init__(self, view: PlanView, most: int | None = None) -> None:
        self._view = view
        self._most = most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unicode = options.encoding.startswith("utf")
        yield plan_tree(self._view, datetime.now(UTC), unicode=unicode, most=self._most, width=options.max_width)


def plan_tree(
    view: PlanView, now: datetime, *, unicode: bool, most: int | None = None, width: int = 100
) -> RenderableType:
    """Return a plan as a tree.

    Args:
        view: The plan.
        now: The time (aware), for what is at work.
        unicode: Whether other characters than those of ASCII may be used.
        most: The most subtasks to show; then those that wait, failed, or are at work come first. None shows all.
        width: Columns that there are.
    """
    shown = None if most is None or len(view.rows) <= most else _chosen(view, most)
    cells = [
        _cells(guides, row, now, unicode=unicode)
        for guides, row in _lines(view, None, "", unicode=unicode)
        if shown is None or row.id in shown
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    # where there is little room, what went wrong is cut and not which subtask it is
    names = min(max((name.cell_len for name, *_ in cells), default=1), _WIDEST_NAME)
    waits = min(max((last.cell_len for *_, last in cells), default=0), _WIDEST_WAITS)
    table.add_column(no_wrap=True, min_width=names)
    table.add_column(no_wrap=True, max_width=max(width - names - waits - 4, _NARROWEST))
    table.add_column(overflow="fold")
    for each in cells:
        table.add_row(*each)
    parts: list[RenderableType] = [Text(one_line(view.title)[:_WIDEST] or "plan", style="bold"), table]
    if shown is not None:
        parts.append(Text(f"… and {len(view.rows) - len(shown)} more", style="dim"))
    parts.append(plan_summary(view, unicode=unicode))
    return Group(*parts)


def plan_summary(view: PlanView, *, unicode: bool) -> Text:
    """Return how many subtasks stand where, and how long all of it took against the critical path."""
    counts = [f"{view.count(status)} {_WORDS.get(status, status)}" for status in _ORDER if view.count(status)]
    text = f"{len(view.rows)} subtasks: {', '.join(counts)}"
    figures = view.figures
    if figures:
        text += (
            f"; {duration(figures['makespan_seconds'])} in all, critical path "
            f"{duration(figures['critical_path_seconds'])}, work {duration(figures['work_seconds'])}"
        )
    star = _star(unicode)
    return Text(f"{text} ({star} is on the critical path)", style="dim")


def subtask_line(row: PlanRow) -> Text | None:
    """Return the line that tells of a subtask where nothing can be drawn over; None for what needs no line."""
    if row.status not in ("completed", "failed", "requires_human"):
        return None
    style = _SIGNS[row.status][2]
    return Text.assemble("    ", (f"{one_line(row.id):<24}", ""), (f" {_said(row, None)}", style))


def _chosen(view: PlanView, most: int) -> set[str]:
    """Choose what is worth a line: what is not settled first, then what ended last."""

    def rank(row: PlanRow) -> tuple[int, float]:
        order = ("requires_human", "failed", "in_progress").index(row.status) if row.status in _ORDER[:3] else 3
        ended = row.ended.timestamp() if row.ended and row.status == "completed" else 0.0
        return order, -ended

    return {row.id for row in sorted(view.rows.values(), key=rank)[:most]}


def _lines(view: PlanView, parent: str | None, before: str, *, unicode: bool) -> Iterator[tuple[str, PlanRow]]:
    branch, last, through, empty = _GUIDES[unicode]
    level = view.inside(parent)
    for number, row in enumerate(level):
        ends = number == len(level) - 1
        yield before + (last if ends else branch), row
        if row.nested:
            yield from _lines(view, row.id, before + (empty if ends else through), unicode=unicode)


def _cells(guides: str, row: PlanRow, now: datetime, *, unicode: bool) -> tuple[Text, Text, Text]:
    sign = _SIGNS.get(row.status, ("·", ".", ""))
    shape = sign[0] if unicode else sign[1]
    name = Text.assemble(
        (guides, "dim"), (f"{shape} ", sign[2]), (one_line(row.name), "bold" if row.critical else ""),
        (f" {_star(unicode)}" if row.critical else "", "bold yellow"),
    )  # fmt: skip
    waits_for = "" if row.nested else ", ".join(one_line(each.rpartition("/")[2]) for each in row.dependencies)
    arrow = "← " if unicode else "after "
    return name, Text(_said(row, now), style=sign[2]), Text(f"{arrow}{waits_for}" if waits_for else "", style="dim")


def _said(row: PlanRow, now: datetime | None) -> str:
    words = [_WORDS.get(row.status, row.status)]
    if row.agent and row.status != "pending":
        words.append(one_line(row.agent))
    if (took := _took(row, now)) is not None:
        words.append(duration(took))
    if row.retries:
        words.append(f"{row.retries} {'retry' if row.retries == 1 else 'retries'}")
    if row.undone:
        words.append(_UNDONE.get(row.undone, row.undone))
    said = " · ".join(words)
    if row.error and row.status in ("failed", "requires_human", "skipped"):
        said += f" · {one_line(row.error)[:80]}"
    return said


def _took(row: PlanRow, now: datetime | None) -> float | None:
    if row.started is None:
        return None
    if row.status == "in_progress":
        return None if now is None else (now - row.started).total_seconds()
    if row.status in ("completed", "failed") and row.ended is not None:
        return (row.ended - row.started).total_seconds()
    return None


def _star(unicode: bool) -> str:
    return "★" if unicode else "*"
