"""What the command shows of a council: its events as lines while it sits, and its minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from ..state.minutes import minutes
from .text import clean, duration, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["council_line", "minutes_view"]

_WORDS: Final = 100
_INDENT: Final = "    "


def council_line(data: Any) -> Text | None:
    """Return the line for what a council told, or None when there is none to show.

    Args:
        data: What a node wrote with LangGraph's stream writer; anything.
    """
    if not isinstance(data, Mapping) or data.get("type") != "council":
        return None
    tell = _LINES.get(str(data.get("event")))
    try:
        return None if tell is None else tell(data)
    except (KeyError, TypeError, ValueError):  # written by another version, or cut because it was long
        return None


def minutes_view(state: Mapping[str, Any]) -> RenderableType:
    """Return the minutes for a terminal."""
    from rich.markdown import Markdown

    return Markdown(clean(minutes(state)), hyperlinks=False)


def _row(who: Any, what: str, words: Any = "", style: str = "") -> Text:
    said = shortened(str(words), _WORDS) if words else ""
    name = f"{shortened(str(who), 20):<12} "
    return Text.assemble(_INDENT, (name, "cyan"), (clean(what), style), (f"  {said}" if said else "", "dim"))


def _planned(data: Mapping[str, Any]) -> Text:
    names = ", ".join(str(each["id"]) for each in data["subtasks"])
    return _row("plan", f"{len(data['subtasks'])} subtasks", names)


def _assigned(data: Mapping[str, Any]) -> Text:
    helped = f", helped by {', '.join(data['helpers'])}" if data["helpers"] else ""
    again = f" (try {data['attempt']})" if data["attempt"] > 1 else ""
    return _row(data["agent"], f"gets {shortened(str(data['subtask']), 40)}{helped}{again}")


def _unassigned(data: Mapping[str, Any]) -> Text:
    return _row("nobody", f"gets {shortened(str(data['subtask']), 40)}", data["reason"], "yellow")


def _worked(data: Mapping[str, Any]) -> Text:
    name = shortened(str(data["subtask"]), 40)
    if data["error"] is not None:
        return _row(data["agent"], f"fails at {name}", data["error"], "red")
    return _row(data["agent"], f"has done {name} in {duration(data['seconds'])}", style="green")


def _waiting(data: Mapping[str, Any]) -> Text:
    name = shortened(str(data["subtask"]), 40)
    return _row(data["agent"], f"has not done {name} yet", "its run waits; the others go on", "yellow")


def _compared(data: Mapping[str, Any]) -> Text:
    count = len(data["conflicts"])
    return _row("results", f"{count} contradiction{'s' * (count != 1)}" if count else "no contradictions")


def _argued(data: Mapping[str, Any]) -> Text:
    said = "; ".join(f"{each['agent']} {'keeps to it' if each['keeps'] else 'gives in'}" for each in data["arguments"])
    return _row(".".join(data["conflict"]["path"]), "settled" if data["settled"] else "left open", said)


def _draft(data: Mapping[str, Any]) -> Text:
    if data["text"] is None:
        return _row(data["agent"], "writes no draft", data["error"], "red")
    return _row(data["agent"], "proposes", data["text"])


def _round(data: Mapping[str, Any]) -> Text:
    return _row(f"round {data['number']}", f"{len(data['agents'])} agents vote", style="bold")


def _vote(data: Mapping[str, Any]) -> Text:
    if data["abstained"]:
        return _row(data["agent"], "abstains", data["abstained"], "yellow")
    choice = data["decision"] or " > ".join(" = ".join(place) for place in data["ranking"])
    sure = "" if data["confidence"] is None else f" ({data['confidence']:.2f})"
    return _row(data["agent"], f"votes {shortened(choice, 60)}{sure}", data["reason"])


def _counted(data: Mapping[str, Any]) -> Text:
    return _row(f"round {data['round']}", f"level {data['level']:.2f}", data["why"], "bold")


def _consensus(data: Mapping[str, Any]) -> Text:
    if data["reached"]:
        return _row("consensus", shortened(str(data["decision"]), 60), style="bold green")
    return _row("consensus", "none", data["why"], "bold yellow")


def _synthesized(data: Mapping[str, Any]) -> Text:
    return _row("answer", "", data["answer"])


_LINES: Final[Mapping[str, Callable[[Mapping[str, Any]], Text]]] = {
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
