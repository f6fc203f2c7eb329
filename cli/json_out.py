"""The JSON of `--json`: its shape is documented in docs/reference/command-line.md and stays; keys may be added."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from ..state.policies import policy_json

if TYPE_CHECKING:
    from ..engine import AuditEntry, AuditReport, Child, Event, Page, Review, Run, Status, Step, Swept, Timeline, Vote

__all__ = [
    "audit_json",
    "children_json",
    "dumps",
    "event_json",
    "plain",
    "review_json",
    "reviews_json",
    "run_json",
    "runs_json",
    "status_json",
    "step_json",
    "swept_json",
    "timeline_json",
    "vote_json",
]

# What a terminal might obey. Outside of strings JSON has none of these, so they can be escaped in the finished text.
_UNSAFE: Final = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def dumps(value: Any, *, ascii_only: bool = False, one_line: bool = False) -> str:
    """Return JSON text: letters of all scripts as they are, control characters escaped.

    Args:
        value: Anything; see `plain`.
        ascii_only: Whether the reader takes nothing but ASCII.
        one_line: Whether it stands on one line; otherwise it is indented.
    """
    text = json.dumps(plain(value), ensure_ascii=ascii_only, indent=None if one_line else 2, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def run_json(run: Run, *, whole: bool = True) -> dict[str, Any]:
    """Return a run.

    Args:
        run: The run.
        whole: Whether `state`, `reviews` and `children` belong to it; listings leave them out.
    """
    names = (
        "thread_id", "workflow", "version", "source", "status", "requested_by", "tenant",
        "created_at", "updated_at", "ended_at", "error", "forked_from", "parent", "priority", "start_at", "held",
    )  # fmt: skip
    shown: dict[str, Any] = {name: getattr(run, name) for name in names}
    if whole:
        shown |= {"state": run.state, "reviews": [review_json(review) for review in run.reviews]}
        shown["children"] = children_json(run.children)
    return shown


def children_json(children: Sequence[Child]) -> list[dict[str, Any]]:
    """Return the runs below a run, each with those below it."""
    names = ("id", "thread_id", "workflow", "status", "waited_for", "questions", "error")
    return [
        {**{name: getattr(child, name) for name in names}, "children": children_json(child.children)}
        for child in children
    ]


def review_json(review: Review) -> dict[str, Any]:
    """Return a question. `value` is None for one about an action: everything in it stands under the other keys."""
    names = (
        "id", "thread_id", "workflow", "status", "action", "args", "description", "allowed", "edit_schema",
        "response_schema", "context", "requested_by", "roles", "stage", "version", "digest", "asked_at", "due_at",
        "overdue", "missing", "closed_by", "closed_at",
    )  # fmt: skip
    shown = {name: getattr(review, name) for name in names}
    votes = [vote_json(vote) for vote in review.votes]
    return shown | {
        "value": None if review.action else review.value,
        "policy": policy_json(review.policy),
        "votes": votes,
    }


def vote_json(vote: Vote) -> dict[str, Any]:
    """Return a decision of one person, or a note of what time did."""
    names = (
        "by", "kind", "at", "message", "answer", "counts", "version", "shown", "proposal", "source", "channel", "roles",
    )  # fmt: skip
    return {name: getattr(vote, name) for name in names}


def reviews_json(page: Page[Review]) -> dict[str, Any]:
    """Return a page of questions."""
    return {"items": [review_json(review) for review in page], "after": page.after}


def swept_json(done: Sequence[Swept]) -> dict[str, Any]:
    """Return what a sweep did."""
    return {"items": [{"what": each.what, "review": review_json(each.review)} for each in done], "after": None}


def status_json(status: Status) -> dict[str, Any]:
    """Return how things stand."""
    queues = [
        {"workflow": each.workflow, "waiting": each.waiting, "lag_seconds": each.lag, "workers": each.workers}
        for each in status.queues
    ]
    return {
        "at": status.at,
        "waiting": status.waiting,
        "held": status.held,
        "later": status.later,
        "lag_seconds": status.lag,
        "leases": status.leases,
        "stalled": status.stalled,
        "overdue": status.overdue,
        "queues": queues,
        "workers": [dataclasses.asdict(each) for each in status.workers],
    }


def event_json(event: Event) -> dict[str, Any]:
    """Return an event of a run that is followed."""
    own = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if "reviews" in own:
        own["reviews"] = [review_json(review) for review in own["reviews"]]
    return {"kind": event.kind, **own}


def runs_json(page: Page[Run]) -> dict[str, Any]:
    """Return a page of runs."""
    return {"items": [run_json(run, whole=False) for run in page], "after": page.after}


def step_json(step: Step) -> dict[str, Any]:
    """Return a step of a run."""
    return {
        "number": step.number,
        "checkpoint_id": step.checkpoint_id,
        "nodes": step.nodes,
        "changed": step.changed,
        "at": step.at,
        "took_seconds": step.took,
        "waited": step.waited,
    }


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """Return the steps of a run and where its time went."""
    return {
        "thread_id": timeline.run.thread_id,
        "status": timeline.run.status,
        "total_seconds": timeline.total,
        "working_seconds": timeline.working,
        "waiting_seconds": timeline.waiting,
        "items": [step_json(step) for step in timeline.steps],
        "after": None,
    }


def audit_json(thread_id: str, entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """Return the entries of a run."""
    names = ("number", "at", "kind", "by", "source", "channel", "details", "text", "hash")
    items = [{name: getattr(entry, name) for name in names} for entry in entries]
    return {"thread_id": thread_id, "items": items, "after": None}


def report_json(report: AuditReport) -> dict[str, Any]:
    """Return what a check of the audit found."""
    names = ("whole", "threads", "entries", "waiting", "wrong", "findings", "anchored", "anchored_at")
    return {name: getattr(report, name) for name in names}


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Moments become ISO 8601, lengths of time seconds, bytes base64, sets and tuples lists, models and dataclasses
    dictionaries; numbers that JSON lacks become null, and whatever is left its text.
    """
    if value is None or (isinstance(value, str | bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _rare(value)


def _rare(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Enum):
        return plain(value.value)
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)
