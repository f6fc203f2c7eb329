"""How the time of a run was spent: a bar for each step, waiting for people marked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.text import Text

from .layout import blank, grid, status_text
from .text import clean, duration, one_line

if TYPE_CHECKING:
    from ..engine import Step, Timeline

__all__ = ["bar", "timeline_view"]

# From here on there is room for the changed keys beside the bars.
WIDE: Final = 96
CHANGED: Final = 34
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def timeline_view(timeline: Timeline, now: datetime, width: int, *, unicode: bool = True) -> RenderableType:
    """Return the steps of a run with bars.

    Args:
        timeline: The run and its steps.
        now: The time now (aware), for a question that is open.
        width: Columns that there are.
        unicode: Whether bars may be drawn with block characters.
    """
    run, steps = timeline.run, timeline.steps
    open_since = now - run.updated_at if run.status == "paused" else None
    at_work = max((step.took for step in steps if not step.waited), default=timedelta())
    waiting = max([open_since or timedelta(), *(step.took for step in steps if step.waited)])
    wide = width >= WIDE
    room = 28 if wide else max(min(width - 42, 24), 6)
    table = grid("step", "node", "took", "", *(["changed"] if wide else []))
    table.columns[1].justify = "right"
    table.columns[2].min_width = 12
    for column in (1, 3, 4):
        table.columns[column].no_wrap = True
    for step in steps:
        longest = waiting if step.waited else at_work
        drawn = bar(step.took, longest, room, waiting=step.waited, unicode=unicode)
        changed = [Text(_names(step.changed), style="dim")] if wide else []
        table.add_row("", str(step.number), _nodes(step), _say(step.took), drawn, *changed)
    if open_since is not None:
        asks = Text("waiting now", style="yellow")
        drawn = bar(open_since, waiting, room, waiting=True, unicode=unicode)
        table.add_row("", "", asks, _say(open_since), drawn, *([Text()] if wide else []))
    head = Text.assemble((f"run {clean(run.thread_id)}", "dim"), no_wrap=True, overflow="ignore")
    return Group(_totals(timeline, open_since), head, blank(), table, blank(), *_legend(at_work, waiting, unicode))


def bar(took: timedelta, longest: timedelta, room: int, *, waiting: bool, unicode: bool) -> Text:
    """Return a bar whose length stands to `room` as `took` to `longest`; what took any time shows at least a trace.

    Args:
        took: The length of time.
        longest: What fills the room.
        room: Columns.
        waiting: Whether it was spent waiting for a person.
        unicode: Whether block characters may be used.
    """
    share = took / longest if longest > timedelta() else 0.0
    style = "yellow" if waiting else "green"
    if waiting or not unicode:
        full = "░" if unicode else "." if waiting else "#"
        return Text(full * max(round(share * room), 1 if took > timedelta() else 0), style=style)
    eighths = max(round(share * room * 8), 1 if took > timedelta() else 0)
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), style=style)


def _nodes(step: Step) -> Text:
    if step.nodes:
        return Text(", ".join(map(one_line, step.nodes)))
    return Text({-1: "(input)", 0: "(start)"}.get(step.number, "(update)"), style="dim")


def _totals(timeline: Timeline, open_since: timedelta | None) -> Text:
    waiting = timeline.waiting + (open_since or timedelta())
    total = timeline.total + (open_since or timedelta())
    return Text.assemble(
        one_line(timeline.run.workflow), " · ", status_text(timeline.run.status), " · ",
        f"{_say(total)} in all: {_say(timeline.working)} at work, {_say(waiting)} waiting for people",
    )  # fmt: skip


def _names(names: Sequence[str]) -> str:
    """Return as many names as fit beside the bars, and how many there are besides."""
    shown = ""
    for count, name in enumerate(map(one_line, names)):
        longer = f"{shown}, {name}" if shown else name
        if shown and len(longer) > CHANGED:
            return f"{shown} + {len(names) - count} more"
        shown = longer
    return shown


def _legend(at_work: timedelta, waiting: timedelta, unicode: bool) -> list[Text]:
    """Say what the bars mean. Work and waiting have scales of their own: beside a day of waiting no work would show."""
    work, wait = ("█", "░") if unicode else ("#", ".")
    legend = [Text.assemble("  ", (work, "green"), (f" at work (longest {_say(at_work)})", "dim"))]
    if waiting:
        legend.append(Text.assemble("  ", (wait, "yellow"), (f" waiting for people (longest {_say(waiting)})", "dim")))
    return legend


def _say(length: timedelta) -> str:
    return duration(length.total_seconds())
