"""What happens in a run while it is driven, as typed events.

started, then for each node node_started … node_finished (with model_token and custom in between), then paused,
completed or failed. A run that was cancelled ends with cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from .model import Review

__all__ = [
    "Cancelled",
    "Completed",
    "Custom",
    "Event",
    "Failed",
    "ModelToken",
    "NodeFinished",
    "NodeStarted",
    "Paused",
    "Started",
]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events. `kind` names the event, for JSON.

    Args:
        thread_id: The run.
        seq: Its place among the events of the run, and `at` when it was stored (database time): known for events that
            were followed, not for those of a run that is driven here. They do not count when events are compared.
        place: Where a run was followed with its children: the ids of the children from the run on down, the one that the
            event is of last; none for the run itself. It does not count either.
    """

    kind: ClassVar[str] = "event"
    thread_id: str
    seq: int | None = field(default=None, kw_only=True, compare=False)
    at: datetime | None = field(default=None, kw_only=True, compare=False)
    place: tuple[str, ...] = field(default=(), kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The run is driven in this process from now on."""

    kind: ClassVar[str] = "run_started"
    workflow: str


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """A node began. `path` names the nodes around it when it stands in a subgraph."""

    kind: ClassVar[str] = "node_started"
    node: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeFinished(Event):
    """A node ended.

    Args:
        seconds: How long it took.
        changed: The state keys it wrote.
        outcome: `done`, `asked` (it waits for a person), `waits` (for child runs) or `failed`.
        error: The failure, in words.
    """

    kind: ClassVar[str] = "node_finished"
    node: str
    path: tuple[str, ...]
    seconds: float
    changed: tuple[str, ...]
    outcome: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelToken(Event):
    """A piece of text from a model, as it arrives."""

    kind: ClassVar[str] = "model_token"
    node: str
    text: str


@dataclass(frozen=True, slots=True)
class Custom(Event):
    """What a node wrote with LangGraph's stream writer. `path` names the nodes around it, as in NodeStarted."""

    kind: ClassVar[str] = "custom"
    path: tuple[str, ...]
    data: Any


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """The run waits for people; without reviews, for its child runs."""

    kind: ClassVar[str] = "paused"
    reviews: tuple[Review, ...]


@dataclass(frozen=True, slots=True)
class Completed(Event):
    """The run reached its end."""

    kind: ClassVar[str] = "completed"


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The run failed; `retry` continues it from where it was."""

    kind: ClassVar[str] = "failed"
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """The run was ended by somebody; `error` holds `message` (why) and `by`."""

    kind: ClassVar[str] = "cancelled"
    error: dict[str, Any]
