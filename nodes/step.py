"""What the nodes of `review` share: their form, and the execution log (which step ran, when, and how it went)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from ..state.review import ReviewState

__all__ = ["AsyncNode", "Clock", "Node", "logged", "utcnow"]

Clock = Callable[[], datetime]


class Node(Protocol):
    """A node: it gets the state and returns the part of it that changes."""

    def __call__(self, state: ReviewState) -> ReviewState:
        """Do the step."""
        ...


class AsyncNode(Protocol):
    """A node that waits for something."""

    def __call__(self, state: ReviewState) -> Awaitable[ReviewState]:
        """Do the step."""
        ...


def utcnow() -> datetime:
    """Return the current time in UTC. Nodes take it as their default clock, so that a test can pass another."""
    return datetime.now(UTC)


def logged(step: str, started: datetime, ended: datetime, status: str = "done") -> ReviewState:
    """Return the part of a node's update that records the step.

    Args:
        step: The node's name.
        started: When it began (aware).
        ended: When it was done (aware).
        status: How it went, in a word or two.
    """
    return {
        "current_step": step,
        "execution_log": [{"step": step, "started": started.isoformat(), "ended": ended.isoformat(), "status": status}],
    }
