"""Notifiers: the ways in which one notice reaches one receiver.

Each way is one async method. It may be called again for a notice that it has sent (a process can die between sending and
writing that down), so it marks what it sends with the notice's event id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from .notices import Notice, commands, subject

__all__ = ["LogNotifier", "NotDelivered", "Notifier", "Receiver"]

_log = structlog.get_logger("adjourn")


class NotDelivered(Exception):
    """A notice did not reach its receiver. It never leaves the engine: it is written down, logged and tried again.

    Args:
        message: Why, without secrets and without what is asked.
        for_good: The receiver refused it; trying again is pointless.
        retry_after: What the receiver asked for: not before so long.
    """

    def __init__(self, message: str, *, for_good: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.for_good = for_good
        self.retry_after = retry_after


class Notifier(Protocol):
    """One way to tell people."""

    async def notify(self, notice: Notice) -> None:
        """Tell it, or raise; it may try several times, but in a minute it must have ended.

        Args:
            notice: What to tell.

        Raises:
            NotDelivered: It was not delivered. Any other error counts as the same, to be tried again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody or something that is told.

    Args:
        name: Under which it is remembered what was sent; it must not change while notices are under way.
        notifier: How it is told.
        roles: Told only of reviews that one of these roles may answer, and of reviews that anybody may; None: of all.
    """

    name: str
    notifier: Notifier
    roles: frozenset[str] | None = None

    def wants(self, notice: Notice) -> bool:
        """Whether this notice is for it."""
        return self.roles is None or not notice.roles or not self.roles.isdisjoint(notice.roles)


class LogNotifier:
    """Writes each notice to the log, at level info."""

    async def notify(self, notice: Notice) -> None:
        """Log it; this never fails."""
        _log.info(
            subject(notice),
            notice=notice.event_id,
            kind=notice.kind,
            thread=notice.thread_id,
            review=notice.review_id,
            roles=list(notice.roles),
            due_at=notice.due_at.isoformat() if notice.due_at else None,
            asked=notice.asked,
            next=commands(notice)["look"],
        )
