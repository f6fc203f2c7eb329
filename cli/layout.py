"""The few building blocks of everything the command shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .text import clean, one_line, summary

__all__ = ["Hanging", "blank", "command_line", "dictionary", "grid", "paragraph", "status_text", "title"]

# The longest name that still gets a column beside its value.
NAME: Final = 30
_STATUS: Final = {
    "completed": "bold green",
    "paused": "bold yellow",
    "failed": "bold red",
    "running": "bold cyan",
    "queued": "bold cyan",
    "cancelled": "bold magenta",
    "stalled": "bold red",
}


def title(status: str, text: str = "") -> Text:
    """Return a head line: a status in its colour, and what there is to say about it."""
    shown = Text(status.capitalize(), style=_STATUS.get(status, "bold"))
    return shown.append(f": {one_line(text)}", style="not bold default") if text else shown


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(status, style=_STATUS.get(status, "bold"))


def blank() -> Text:
    """Return an empty line."""
    return Text()


def paragraph(text: str) -> Padding:
    """Return running text, indented, its own line ends kept."""
    return Padding(Text(clean(text).strip()), (0, 0, 0, 2), expand=False)


def command_line(line: str) -> Text:
    """Return a line to be typed. It is never broken, so that it can be copied whole."""
    return Text(f"  {clean(line)}", style="cyan", no_wrap=True, overflow="ignore")


class Hanging:
    """A line that, where the window is too narrow for it, goes on under its words and not at the margin.

    Args:
        line: The line.
        indent: The column at which its words begin.
    """

    def __init__(self, line: Text, indent: int) -> None:
        self._line = line
        self._indent = indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, indent = options.max_width, self._indent
        if self._line.cell_len <= width or indent * 2 > width:
            yield self._line
            return
        first, *others = self._line[indent:].wrap(console, width - indent, overflow="fold")
        yield self._line[:indent] + first
        for other in others:
            yield Text(" " * indent) + other


def grid(*heads: str) -> Table:
    """Return a table without lines, indented."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=bool(heads), header_style="dim")
    table.add_column("", width=0)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


class _Pairs:
    """Names and values side by side; below each other where the names would leave the values too little room."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widest = max((len(name) for name, _ in self._pairs), default=0)
        if widest > NAME or widest * 3 > options.max_width:
            for name, value in self._pairs:
                yield Padding(Text(name, style="cyan", overflow="fold"), (0, 0, 0, 2), expand=False)
                yield Padding(Text(value, overflow="fold"), (0, 0, 0, 4), expand=False)
            return
        table = grid()
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in self._pairs:
            table.add_row("", Text(name), Text(value))
        yield table


def dictionary(values: Mapping[str, Any], limit: int) -> RenderableType:
    """Return names and values, one pair a line or, where it is narrow, one below the other.

    Args:
        values: Anything by name.
        limit: The most characters of a value; 0 shows all of it.
    """
    return _Pairs([(one_line(str(name)), summary(value, limit)) for name, value in values.items()])
