"""The books of limits: which a run comes under, what is taken up of each, and what is left. No database, no clock."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

__all__ = ["EACH", "MINUTE", "Books", "Counts", "Limit", "Pair", "Part", "Use", "Waiting", "limits_of"]

EACH: Final = "*"
MINUTE: Final = timedelta(minutes=1)


class Pair(NamedTuple):
    """A workflow of a tenant."""

    workflow: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Limit:
    """How many runs may be under way at once, and how many may begin in any minute.

    Args:
        workflow: The workflow whose runs are counted; `*` for each by itself; None for all of them together.
        tenant: The tenant whose runs are counted; `*` for each by itself; None for all of them together.
        at_once: The most that are under way; None for any number.
        per_minute: The most that begin in any 60 seconds; None for any number.
    """

    workflow: str | None
    tenant: str | None
    at_once: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What the runs of one workflow and tenant take up.

    Args:
        under_way: Runs that are driven, or admitted and about to be; one whose process died counts until it is queued again.
        coming: Those of them that are admitted and have never begun.
        starts: When runs began; those of the last minute are enough.
        last_turn: When the last of them was admitted; None when none was.
    """

    under_way: int = 0
    coming: int = 0
    starts: Sequence[datetime] = ()
    last_turn: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits to be admitted.

    Args:
        thread_id: The run.
        workflow: Its workflow.
        since: Since when.
        priority: Of the runs of one tenant larger comes first.
        begun: Whether it began before, paused, and goes on; it comes before others of its priority, and is no new start.
    """

    thread_id: str
    workflow: str
    since: datetime
    priority: int = 0
    begun: bool = False

    @property
    def rank(self) -> tuple[int, bool, datetime, str]:
        """What sorts the runs of one tenant."""
        return (-self.priority, not self.begun, self.since, self.thread_id)


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is to be held against what waits.

    Args:
        limits: All limits.
        use: What is taken up now, by workflow and tenant.
    """

    limits: Sequence[Limit]
    use: Mapping[Pair, Use]


def limits_of(limits: Iterable[Limit], pair: Pair) -> list[Limit]:
    """Return the limits that a run comes under: at most one of each kind.

    Args:
        limits: All limits.
        pair: The run's workflow and tenant.
    """
    found: dict[tuple[bool, bool], Limit] = {}
    for limit in limits:
        if limit.workflow not in (None, EACH, pair.workflow) or limit.tenant not in (None, EACH, pair.tenant):
            continue
        kind = (limit.workflow is None, limit.tenant is None)
        if kind not in found or _vagueness(limit) < _vagueness(found[kind]):
            found[kind] = limit
    return list(found.values())


def _vagueness(limit: Limit) -> tuple[bool, bool]:
    return (limit.workflow == EACH, limit.tenant == EACH)


class _Place(NamedTuple):
    """Where runs are counted together: under a limit, for one workflow or tenant where it counts each by itself."""

    limit: Limit
    workflow: str | None = None
    tenant: str | None = None


@dataclass(slots=True)
class _Book:
    """What is counted in one place, of all tenants or of one."""

    slots: int = 0
    coming: int = 0
    starts: list[datetime] = field(default_factory=list)
    last_turn: float = -math.inf

    def add(self, use: Use, now: datetime) -> None:
        self.slots += use.under_way
        self.coming += use.coming
        self.starts += [start for start in use.starts if start > now - MINUTE]
        if use.last_turn is not None:
            self.last_turn = max(self.last_turn, use.last_turn.timestamp())

    def take(self, run: Waiting, turn: float) -> None:
        self.slots += 1
        self.coming += not run.begun
        self.last_turn = turn

    def left(self, limit: Limit) -> tuple[float, float]:
        """How many more may be under way, and how many more may begin."""
        at_once = math.inf if limit.at_once is None else limit.at_once - self.slots
        begin = math.inf if limit.per_minute is None else limit.per_minute - self.coming - len(self.starts)
        return at_once, begin


@dataclass(frozen=True, slots=True)
class Part:
    """What a run would take: a place under a limit, and its tenant's share of it where tenants share it."""

    place: _Place
    book: _Book
    share: _Book | None

    @property
    def is_total(self) -> bool:
        """Whether the limit counts all runs."""
        return self.place.limit.workflow is None and self.place.limit.tenant is None

    def left(self) -> tuple[float, float]:
        """How many more may be under way here, and how many more may begin."""
        return self.book.left(self.place.limit)

    def is_free(self, run: Waiting) -> bool:
        """Whether there is room for a run."""
        at_once, begin = self.left()
        return at_once > 0 and (begin > 0 or run.begun)

    def claim(self) -> tuple[int, float]:
        """How much of the scarcer side of the limit the tenant uses, and when it had its last turn: the least is next."""
        assert self.share is not None  # noqa: S101
        at_once, begin = self.left()
        used = self.share.slots if at_once <= begin else self.share.coming + len(self.share.starts)
        return used, self.share.last_turn


class Books:
    """Everything that is counted."""

    def __init__(self, counts: Counts, now: datetime) -> None:
        self.now = now
        self._limits = counts.limits
        self._books: defaultdict[_Place, _Book] = defaultdict(_Book)
        self._shares: defaultdict[tuple[_Place, str], _Book] = defaultdict(_Book)
        for pair, use in counts.use.items():
            for part in self.parts(pair):
                part.book.add(use, now)
                if part.share is not None:
                    part.share.add(use, now)

    def parts(self, pair: Pair) -> list[Part]:
        """Return what a run of a workflow and tenant would take."""
        parts = []
        for limit in limits_of(self._limits, pair):
            place = _Place(limit, limit.workflow and pair.workflow, limit.tenant and pair.tenant)
            share = self._shares[place, pair.tenant] if place.tenant is None else None
            parts.append(Part(place, self._books[place], share))
        return parts
