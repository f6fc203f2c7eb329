"""What the command shows of a run that adapts: its events as lines, and afterwards its attempts and why they changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from .event_lines import WORDS, Lines, event_line, row
from .layout import Hanging
from .text import clean, duration, shortened

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["ADAPTIVE_KEYS", "Attempts", "adaptive_line"]

ADAPTIVE_KEYS: Final = (
    "attempts", "adaptation_history", "start", "performance_metrics", "quality_thresholds", "current_strategy", "best",
    "result",
)  # fmt: skip
"""The keys of the state that `Attempts` shows, or that stand in the final result as well."""

_BEGAN: Final = {
    "given": "as it was told to",
    "still_to_be_seen": "nothing that is known was good enough, and this one could be",
    "first_in_order": "the first in order",
}


def adaptive_line(data: Any) -> Text | None:
    """Return the line for what an adaptive run told, or None when there is none to show.

    Args:
        data: What a node wrote with LangGraph's stream writer; anything.
    """
    return event_line(data, "adaptive", _LINES)


class Attempts:
    """The attempts of a run: what was measured, and between them why the strategy changed.

    Args:
        state: The run's state, of which `state.adaptive.has_attempts` is true.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("Attempts", style="bold")
        yield from _shown(self._state, unicode=options.encoding.startswith("utf"))


def _shown(state: Mapping[str, Any], *, unicode: bool) -> Iterator[Text | Hanging]:
    start, thresholds = state.get("start"), state.get("quality_thresholds") or {}
    if start:
        yield Hanging(Text(f"  began with {clean(start['strategy'])}: {_why(start)}", style="dim"), 4)
    history = list(state.get("adaptation_history") or [])
    for each in state["attempts"]:
        poor = {name: thresholds.get(name) for name in each["poor"]}
        good = bool(each["performance_metrics"]) and not poor and each["error"] is None
        sign, style = (("✓", "+")[not unicode], "green") if good else (("✗", "x")[not unicode], "yellow")
        if not each["performance_metrics"]:
            sign, style = ("·", ".")[not unicode], ""
        line = Text.assemble(
            ("  "), (f"{sign} {each['number']} ", style), (f"{clean(each['strategy']):<22}", "bold"),
            f" {duration(each['seconds']):>7}  ",
        )  # fmt: skip
        indent = line.cell_len
        if each["error"] is not None:
            line.append(shortened(str(each["error"]), WORDS), style="red")
        else:
            line.append_text(_figures(each["performance_metrics"], poor))
        yield Hanging(line, indent)
        if not good and history:
            yield _change(history.pop(0), unicode=unicode)


def _why(start: Mapping[str, Any]) -> str:
    if start["why"] != "best_record":
        return _BEGAN.get(str(start["why"]), str(start["why"]))
    record = start["records"][start["strategy"]]
    count = int(record["attempts"])
    return (
        f"the best record of {count} attempt{'s' * (count != 1)}, {record['mean']:.2f} in the mean, "
        f"{record['at_least']:.2f} at least"
    )


def _figures(metrics: Mapping[str, float], poor: Mapping[str, float | None]) -> Text:
    line = Text()
    for number, (name, value) in enumerate(metrics.items()):
        limit = poor.get(name)
        below = f" < {limit:g}" if limit is not None else ""
        line.append(", " if number else "").append(
            f"{clean(name)} {value:.2f}{below}", style="yellow" if name in poor else ""
        )
    return line


def _change(change: Mapping[str, Any], *, unicode: bool = True) -> Text:
    arrow = "→" if unicode else "->"
    to = clean(change["to"]) if change["to"] else "a person decides"
    return Text.assemble("      ", (f"{clean(change['reason'])} {arrow} {to}", "cyan"))


def _chosen(data: Mapping[str, Any]) -> Text:
    return row("strategy", f"{data['strategy']}, {_why(data)}")


def _attempt(data: Mapping[str, Any]) -> Text:
    return row(f"attempt {data['number']}", str(data["strategy"]), style="bold")


def _attempted(data: Mapping[str, Any]) -> Text:
    if data["error"] is not None:
        return row("", f"failed after {duration(data['seconds'])}", str(data["error"]), "red")
    parts = f", {data['parts']} parts" if data["parts"] > 1 else ""
    lost = f", {data['failed']} of them without a result" if data["failed"] else ""
    return row("", f"took {duration(data['seconds'])}{parts}{lost}")


def _measured(data: Mapping[str, Any]) -> Text:
    return row("", _figures(data["metrics"], data["poor"]))


def _adapted(data: Mapping[str, Any]) -> Text:
    refused = "; ".join(f"not {name}: {why}" for name, why in data["refused"].items())
    to = f"change to {data['to']}" if data["to"] else "a person decides"
    return row("", f"{data['reason']}: {to}", refused, "cyan")


def _finished(data: Mapping[str, Any]) -> Text:
    by = "good in everything" if data["decided_by"] == "metrics" else f"decided by {data['decided_by']}"
    return row("result", str(data["strategy"] or "none"), by, "bold green" if data["good"] else "bold yellow")


_LINES: Final[Lines] = {
    "chosen": _chosen,
    "attempt": _attempt,
    "attempted": _attempted,
    "measured": _measured,
    "adapted": _adapted,
    "finished": _finished,
}
