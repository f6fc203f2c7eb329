"""What nodes tell while they run, as lines: found by the event's name, and laid out as who, what, and words about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rich.text import Text

from .text import clean, shortened

__all__ = ["WORDS", "Lines", "event_line", "row"]

WORDS: Final = 100
"""The most characters of words that are shown in a line."""
_INDENT: Final = "    "

Lines: TypeAlias = "Mapping[str, Callable[[Mapping[str, Any]], Text]]"
"""By event, what makes its line."""


def event_line(data: Any, workflow: str, lines: Lines) -> Text | None:
    """Return the line for what a node told, or None when there is none to show.

    Args:
        data: What a node wrote with LangGraph's stream writer; anything.
        workflow: Whose events are meant; see `nodes.here.teller`.
        lines: Its lines.
    """
    if not isinstance(data, Mapping) or data.get("type") != workflow:
        return None
    tell = lines.get(str(data.get("event")))
    try:
        return None if tell is None else tell(data)
    except (AttributeError, KeyError, TypeError, ValueError):  # written by another version, or cut because it was long
        return None


def row(who: Any, what: str | Text, words: Any = "", style: str = "") -> Text:
    """Return a line: who, what in a style or as it is, and words that are cut where they are long."""
    line = Text.assemble(_INDENT, (f"{shortened(str(who), 20):<12} ", "cyan"))
    line.append_text(what if isinstance(what, Text) else Text(clean(what), style=style))
    said = shortened(str(words), WORDS) if words else ""
    return line.append(f"  {said}", style="dim") if said else line
