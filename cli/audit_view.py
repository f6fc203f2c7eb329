"""How the audit looks: the entries of a run, and what a check found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from .layout import blank, grid, title
from .text import age, clean, one_line, timestamp

if TYPE_CHECKING:
    from ..engine import AuditEntry, AuditReport

__all__ = ["audit_view", "report_view"]

# Below this many columns each entry takes two lines.
WIDE: Final = 100
# Enough of a digest to tell two apart; --json has them whole.
DIGEST: Final = 12
_STYLE: Final = {
    "decided": "bold green",
    "completed": "green",
    "failed": "red",
    "refused": "bold red",
    "cancelled": "magenta",
    "erased": "magenta",
    "forgotten": "magenta",
    "escalated": "yellow",
    "reminded": "yellow",
    "asked": "yellow",
}


def audit_view(thread_id: str, entries: Sequence[AuditEntry], width: int) -> RenderableType:
    """Return the entries of a run as a table.

    Args:
        thread_id: The run.
        entries: What its audit says.
        width: Columns that there are.
    """
    head = Text.assemble((f"run {clean(thread_id)}", "dim"), no_wrap=True, overflow="ignore")
    if not entries:
        return Group(head, blank(), Text("No entries: the run is older than the audit."))
    wide = width >= WIDE
    table = grid("", "when", "what", *(["who", "details"] if wide else ["who and details"]))
    table.columns[1].justify = "right"
    for column in (1, 2, 3):
        table.columns[column].no_wrap = True
    for entry in entries:
        about = [_who(entry), _details(entry)] if wide or entry.by else [_details(entry)]
        number = str(entry.number) if entry.number else "·"
        what = Text(one_line(entry.kind), style=_STYLE.get(entry.kind, ""))
        table.add_row("", Text(number, style="dim"), timestamp(entry.at), what, *(about if wide else [_joined(about)]))
    parts: list[RenderableType] = [head, blank(), table]
    if last := next((entry.hash for entry in reversed(entries) if entry.hash), None):
        parts += [blank(), Text.assemble(("hash of the chain  ", "dim"), last, no_wrap=True, overflow="ignore")]
    if any(entry.number is None for entry in entries):
        parts.append(Text("· gets its place in the chain with the next change of the run", style="dim"))
    return Group(*parts)


def report_view(report: AuditReport, now: datetime) -> RenderableType:
    """Return what a check found.

    Args:
        report: What was found.
        now: The time now (aware), for the age of the anchor.
    """
    looked = f"{_many(report.entries, 'entry', 'entries')} of {_many(report.threads, 'run', 'runs')}"
    parts: list[RenderableType] = []
    if report.whole:
        parts.append(title("whole", f"nothing is wrong with {looked}"))
    else:
        parts.append(
            Text.assemble(("Not whole", "bold red"), f": {_many(report.wrong, 'finding', 'findings')} in {looked}")
        )
        parts.append(blank())
        parts += [Text(f"  {one_line(finding.text)}", overflow="fold") for finding in report.findings]
        if report.wrong > len(report.findings):
            parts.append(Text(f"  … and {report.wrong - len(report.findings):,} more", style="dim"))
    parts.append(blank())
    if report.anchored_at is None:
        parts.append(
            Text(
                "Checked without an anchor: whoever can write to the database and computed all hashes anew is not found."
            )
        )
    else:
        when = f"{timestamp(report.anchored_at)} ({age(report.anchored_at, now)})"
        parts.append(Text(f"Checked against an anchor of {_many(report.anchored or 0, 'run', 'runs')}, made {when}."))
    if report.waiting:
        wait = "1 entry waits" if report.waiting == 1 else f"{report.waiting:,} entries wait"
        parts.append(Text(f"{wait} for a place in a chain; nothing is said about that.", style="dim"))
    return Group(*parts)


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _who(entry: AuditEntry) -> Text:
    if entry.by is None:
        return Text("-", style="dim")
    how = ", ".join(one_line(each) for each in (entry.channel, entry.source) if each)
    return Text.assemble(one_line(entry.by), (f" ({how})", "dim") if how else "")


def _details(entry: AuditEntry) -> Text:
    shown = ", ".join(f"{one_line(name)} {_short(value)}" for name, value in entry.details.items())
    return Text(shown, overflow="fold")


def _short(value: Any) -> str:
    text = one_line(str(value))
    is_digest = len(text) in (32, 64) and all(letter in "0123456789abcdef" for letter in text)
    return f"{text[:DIGEST]}…" if is_digest else text


def _joined(parts: Sequence[Text]) -> Text:
    return Text(" · ", overflow="fold").join(part for part in parts if part.plain)
