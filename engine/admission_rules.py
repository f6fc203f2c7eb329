"""The rules of admission: which of the runs that wait may begin now; pure functions.

    limits, what is under way, who waits, now → the runs that are admitted, and when to look again

A run comes under up to four limits: one of all runs, one of its workflow, one of its tenant, and one of both together. Of
several that fit, the one that names more counts: a name takes the place of `*`, and the workflow's name comes first.

Fair between tenants: where tenants share a limit, a free place goes to the tenant that uses least of it, and among equals to
the one whose last turn is the longest ago. So, while a tenant waits for such a limit, no other that uses as much of it
gets more than one place. (Max-min fairness, with a round robin among equals.) Priorities count inside a tenant only;
otherwise whoever asks for the largest would have everything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

__all__ = ["EACH", "MINUTE", "Admission", "Counts", "Limit", "Pair", "Use", "Waiting", "admit", "limits_of", "room"]

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


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision.

    Args:
        admitted: The runs that may begin, in the order in which they were chosen.
        again_at: When a start of the last minute no longer counts, so that more may begin; None when nothing waits for that.
    """

    admitted: tuple[Waiting, ...]
    again_at: datetime | None


def admit(counts: Counts, tenants: Mapping[str, Sequence[Waiting]], now: datetime) -> Admission:
    """Decide which of the runs that wait may begin.

    Each limit on a workflow decides between the tenants that wait for it; but where the limit on all runs is what would be
    exceeded then, that one decides alone.

    Args:
        counts: The limits, and what is under way.
        tenants: By tenant, what waits; the order does not matter.
        now: The time.
    """
    apart = _Pass(_Books(counts, now), tenants, by_workflow=True)
    found = apart.run()
    return _Pass(_Books(counts, now), tenants, by_workflow=False).run() if apart.total_refused else found


def room(counts: Counts, pairs: Iterable[Pair], now: datetime) -> dict[Pair, float]:
    """Return how many more runs of workflows and tenants fit at most, each by itself; those that have none are left out.

    Args:
        counts: The limits, and what is under way.
        pairs: The workflows and tenants.
        now: The time.
    """
    books = _Books(counts, now)
    found = {pair: min((part.left()[0] for part in books.parts(pair)), default=math.inf) for pair in pairs}
    return {pair: most for pair, most in found.items() if most > 0}


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
class _Part:
    """What a run would take: a place under a limit, and its tenant's share of it where tenants share it."""

    place: _Place
    book: _Book
    share: _Book | None

    @property
    def is_total(self) -> bool:
        return self.place.limit.workflow is None and self.place.limit.tenant is None

    def left(self) -> tuple[float, float]:
        return self.book.left(self.place.limit)

    def is_free(self, run: Waiting) -> bool:
        at_once, begin = self.left()
        return at_once > 0 and (begin > 0 or run.begun)

    def claim(self) -> tuple[int, float]:
        """How much of the scarcer side of the limit the tenant uses, and when it had its last turn: the least is next."""
        assert self.share is not None  # noqa: S101
        at_once, begin = self.left()
        used = self.share.slots if at_once <= begin else self.share.coming + len(self.share.starts)
        return used, self.share.last_turn


class _Books:
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

    def parts(self, pair: Pair) -> list[_Part]:
        """Return what a run of a workflow and tenant would take."""
        parts = []
        for limit in limits_of(self._limits, pair):
            place = _Place(limit, limit.workflow and pair.workflow, limit.tenant and pair.tenant)
            share = self._shares[place, pair.tenant] if place.tenant is None else None
            parts.append(_Part(place, self._books[place], share))
        return parts


@dataclass(slots=True)
class _Line:
    """Runs of one workflow and tenant that wait; the last of the list comes first. New ones have a line of their own."""

    pair: Pair
    parts: list[_Part]
    shared: _Part | None
    runs: list[Waiting]

    @property
    def rank(self) -> tuple[int, bool, datetime, str]:
        return self.runs[-1].rank

    def claim(self) -> tuple[int, float]:
        return self.shared.claim() if self.shared else (0, -math.inf)


class _Pass:
    """One decision: what is counted grows with each run that is admitted.

    Attributes:
        total_refused: Whether the limit on all runs alone refused something.
    """

    def __init__(self, books: _Books, tenants: Mapping[str, Sequence[Waiting]], *, by_workflow: bool) -> None:
        self._now = books.now
        self._by_workflow = by_workflow
        self._lines = list(self._lines_of(books, tenants))
        self._again: list[datetime] = []
        self.total_refused = False

    def run(self) -> Admission:
        chosen: list[Waiting] = []
        # what does not fit now does not fit later in this pass
        while lines := [line for line in self._lines if line.runs and self._fits(line)]:
            self._lines = lines
            line = self._next()
            run = line.runs.pop()
            turn = self._now.timestamp() + len(chosen) * 1e-6
            for part in line.parts:
                part.book.take(run, turn)
                if part.share is not None:
                    part.share.take(run, turn)
            chosen.append(run)
        return Admission(tuple(chosen), min(self._again, default=None))

    def _next(self) -> _Line:
        """Of each limit that tenants share, the tenant whose turn it is; of those, what ranks first."""
        turns: defaultdict[str | None, defaultdict[str, list[_Line]]] = defaultdict(lambda: defaultdict(list))
        for line in self._lines:
            turns[line.pair.workflow if self._by_workflow else None][line.pair.tenant].append(line)
        winners: list[list[_Line]] = [min(tenants.values(), key=_turn) for tenants in turns.values()]
        return min((line for lines in winners for line in lines), key=lambda line: line.rank)

    def _fits(self, line: _Line) -> bool:
        full = [part for part in line.parts if not part.is_free(line.runs[-1])]
        if full and all(part.is_total for part in full):
            self.total_refused = True
        if full and all(part.left()[0] > 0 for part in full):
            self._again.append(max(min(part.book.starts, default=self._now) + MINUTE for part in full))
        return not full

    def _lines_of(self, books: _Books, tenants: Mapping[str, Sequence[Waiting]]) -> Iterable[_Line]:
        lines: defaultdict[tuple[Pair, bool], list[Waiting]] = defaultdict(list)
        for tenant, runs in tenants.items():
            for run in runs:
                lines[Pair(run.workflow, tenant), run.begun].append(run)
        for (pair, _), runs in lines.items():
            parts = books.parts(pair)
            shared = [each for each in parts if each.share and (each.place.workflow is not None) == self._by_workflow]
            yield _Line(pair, parts, next(iter(shared), None), sorted(runs, key=lambda run: run.rank, reverse=True))


def _turn(lines: list[_Line]) -> tuple[int, float, datetime, str]:
    """What sorts tenants that share a limit; those that are equal by who waits longest."""
    return *lines[0].claim(), min(line.runs[-1].since for line in lines), lines[0].pair.tenant
