"""What the command shows of a council: its events as lines while it sits, and its minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from ..state.minutes import minutes
from .event_lines import Lines, event_line, row
from .text import clean, duration, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["council_line", "minutes_view"]


def council_line(data: Any) -> Text | None:
    """Return the line for what a council told, or None when there is none to show.

    Args:
        data: What a node wrote with LangGraph's stream writer; anything.
    """
    return event_line(data, "council", _LINES)


def minutes_view(state: Mapping[str, Any]) -> RenderableType:
    """Return the minutes for a terminal."""
    from rich.markdown import Markdown

    return Markdown(clean(minutes(state)), hyperlinks=False)


def _planned(data: Mapping[str, Any]) -> Text:
    names = ", ".join(str(each["id"]) for each in data["subtasks"])
    return row("plan", f"{len(data['subtasks'])} subtasks", names)


def _assigned(data: Mapping[str, Any]) -> Text:
    helped = f", helped by {', '.join(data['helpers'])}" if data["helpers"] else ""
    again = f" (try {data['attempt']})" if data["attempt"] > 1 else ""
    return row(data["agent"], f"gets {shortened(str(data['subtask']), 40)}{helped}{again}")


def _unassigned(data: Mapping[str, Any]) -> Text:
    return row("nobody", f"gets {shortened(str(data['subtask']), 40)}", data["reason"], "yellow")


def _worked(data: Mapping[str, Any]) -> Text:
    name = shortened(str(data["subtask"]), 40)
    if data["error"] is not None:
        return row(data["agent"], f"fails at {name}", data["error"], "red")
    return row(data["agent"], f"has done {name} in {duration(data['seconds'])}", style="green")


def _waiting(data: Mapping[str, Any]) -> Text:
    name = shortened(str(data["subtask"]), 40)
    return row(data["agent"], f"has not done {name} yet", "its run waits; the others go on", "yellow")


def _compared(data: Mapping[str, Any]) -> Text:
    count = len(data["conflicts"])
    return row("results", f"{count} contradiction{'s' * (count != 1)}" if count else "no contradictions")


def _argued(data: Mapping[str, Any]) -> Text:
    said = "; ".join(f"{each['agent']} {'keeps to it' if each['keeps'] else 'gives in'}" for each in data["arguments"])
    return row(".".join(data["conflict"]["path"]), "settled" if data["settled"] else "left open", said)


def _draft(data: Mapping[str, Any]) -> Text:
    if data["text"] is None:
        return row(data["agent"], "writes no draft", data["error"], "red")
    return row(data["agent"], "proposes", data["text"])


def _round(data: Mapping[str, Any]) -> Text:
    return row(f"round {data['number']}", f"{len(data['agents'])} agents vote", style="bold")


def _vote(data: Mapping[str, Any]) -> Text:
    if data["abstained"]:
        return row(data["agent"], "abstains", data["abstained"], "yellow")
    choice = data["decision"] or " > ".join(" = ".join(place) for place in data["ranking"])
    sure = "" if data["confidence"] is None else f" ({data['confidence']:.2f})"
    return row(data["agent"], f"votes {shortened(choice, 60)}{sure}", data["reason"])


def _counted(data: Mapping[str, Any]) -> Text:
    return row(f"round {data['round']}", f"level {data['level']:.2f}", data["why"], "bold")


def _consensus(data: Mapping[str, Any]) -> Text:
    if data["reached"]:
        return row("consensus", shortened(str(data["decision"]), 60), style="bold green")
    return row("consensus", "none", data["why"], "bold yellow")


def _synthesized(data: Mapping[str, Any]) -> Text:
    return row("answer", "", data["answer"])


_LINES: Final[Lines] = {
    "planned": _planned,
    "assigned": _assigned,
    "unassigned": _unassigned,
    "worked": _worked,
    "waiting": _waiting,
    "compared": _compared,
    "argued": _argued,
    "draft": _draft,
    "round": _round,
    "vote": _vote,
    "counted": _counted,
    "consensus": _consensus,
    "synthesized": _synthesized,
}
