"""Notices: what people are told about a review, and in which words. Pure data; nothing is sent here."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from ..state.decisions import DecisionKind
from ..state.values import JsonValue, canonical_json

__all__ = ["ASKING", "Notice", "NoticeKind", "commands", "in_short", "payload", "subject", "text"]

NoticeKind = Literal["asked", "reminded", "escalated", "decided", "expired"]

# These call for an answer, so they are pointless once the review is closed.
ASKING: Final[frozenset[NoticeKind]] = frozenset({"asked", "reminded", "escalated"})

_HEADLINES: Final[dict[NoticeKind, str]] = {
    "asked": "An answer is needed",
    "reminded": "A reminder: an answer is still needed",
    "escalated": "Passed on, nobody answered in time: an answer is needed",
    "decided": "Decided at the deadline",
    "expired": "Expired, nobody answered in time",
}
_SHORT: Final = 200
# Arguments and options of `adjourn resume` for each kind of decision; a person fills in what is in capitals.
_WORDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "approve": (("approve",), ()),
    "edit": (("edit",), ("--set", "NAME=VALUE")),
    "reject": (("reject", "REASON"), ()),
    "respond": (("respond", "TEXT"), ()),
}
_PLAIN: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {"answer": ((), ("--value", "JSON"))}


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of one review, for people.

    Args:
        kind: What happened.
        thread_id: The run that waits.
        review_id: The review.
        workflow: The run's workflow.
        at: When it happened (database time).
        number: Tells events of one kind apart, such as the second reminder from the first.
        roles: Who may answer; empty: anybody.
        decisions: How it may be answered; empty: with a plain JSON value.
        due_at: Until when; None: no deadline.
        asked: What is asked, in one short line; None where notices go without content.
        outcome: How a review that is closed was closed, such as `approve by system:deadline`.
    """

    kind: NoticeKind
    thread_id: str
    review_id: str
    workflow: str
    at: datetime
    number: int = 0
    roles: tuple[str, ...] = ()
    decisions: tuple[DecisionKind, ...] = ()
    due_at: datetime | None = None
    asked: str | None = None
    outcome: str | None = None

    @property
    def event_id(self) -> str:
        """The event's id: the same in every process and at every attempt, and no other event's."""
        place = canonical_json([self.thread_id, self.review_id, self.kind, self.number])
        return f"evt_{hashlib.sha256(place.encode()).hexdigest()[:32]}"


def in_short(question: str) -> str:
    """Return a text as one line of at most 200 characters, without anything that is not printable.

    Line breaks and control characters would let a text pass for a mail header or for another line of the message, and
    characters that turn the direction of writing would let it show something else than it says.
    """
    line = " ".join(_printable(question, " ").split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


def commands(notice: Notice) -> dict[str, str]:
    """Return the next commands, by what they are for: `look`, and one for each way to answer while it can be answered.

    What to look at is the review: it says who may answer until when, and who has. An answer names the run as well, since a
    fork asks under the id of its original. They are safe to paste: whatever stands in a thread id is quoted.
    """
    found = {"look": _line("review", (notice.review_id,), ())}
    if notice.kind not in ASKING:
        return found
    ways = {kind: _WORDS[kind] for kind in notice.decisions}
    for way, (arguments, options) in (ways or _PLAIN).items():
        found[way] = _line("resume", (notice.thread_id, *arguments), (*options, "--review", notice.review_id))
    return found


def subject(notice: Notice) -> str:
    """Return a headline: what happened, and in which workflow."""
    return in_short(f"[adjourn] {_HEADLINES[notice.kind]}: {notice.workflow}")


def text(notice: Notice) -> str:
    """Return the whole notice as plain text."""
    return "\n".join(_lines(notice)) + "\n"


def payload(notice: Notice) -> dict[str, JsonValue]:
    """Return the notice as JSON: `type`, `timestamp` and `data`, as the Standard Webhooks specification proposes."""
    return {
        "type": f"review.{notice.kind}",
        "timestamp": _iso(notice.at),
        "data": {
            "thread_id": notice.thread_id,
            "review_id": notice.review_id,
            "workflow": notice.workflow,
            "number": notice.number,
            "roles": list(notice.roles),
            "decisions": list(notice.decisions),
            "due_at": _iso(notice.due_at) if notice.due_at else None,
            "asked": notice.asked,
            "outcome": notice.outcome,
            "commands": dict(commands(notice)),
        },
    }


def _lines(notice: Notice) -> Iterator[str]:
    yield f"{_HEADLINES[notice.kind]}."
    yield ""
    if notice.asked is not None:
        yield f"Asked:     {in_short(notice.asked)}"
    if notice.outcome is not None:
        yield f"Outcome:   {in_short(notice.outcome)}"
    yield f"Workflow:  {in_short(notice.workflow)}"
    yield f"Thread:    {in_short(notice.thread_id)}"
    yield f"Review:    {in_short(notice.review_id)}"
    if notice.kind in ASKING:
        yield f"Who:       {in_short(', '.join(notice.roles)) or 'anybody'}"
        yield f"Due:       {f'{notice.due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC' if notice.due_at else 'no deadline'}"
    yield ""
    yield from (f"    {_printable(line, '?')}" for line in commands(notice).values())


def _line(command: str, arguments: tuple[str, ...], options: tuple[str, ...]) -> str:
    if arguments[0].startswith("-"):  # a thread id that would pass for an option
        return shlex.join(["adjourn", command, *options, "--", *arguments])
    return shlex.join(["adjourn", command, *arguments, *options])


def _printable(line: str, otherwise: str) -> str:
    return "".join(each if each.isprintable() else otherwise for each in line)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
