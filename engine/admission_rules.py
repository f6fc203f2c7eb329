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
from dataclasses import dataclass
from datetime import datetime

from .admission_books import MINUTE, Books, Counts, Pair, Part, Waiting

__all__ = ["Admission", "admit", "room"]


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
    apart = _Pass(Books(counts, now), tenants, by_workflow=True)
    found = apart.run()
    return _Pass(Books(counts, now), tenants, by_workflow=False).run() if apart.total_refused else found


def room(counts: Counts, pairs: Iterable[Pair], now: datetime) -> dict[Pair, float]:
    """Return how many more runs of workflows and tenants fit at most, each by itself; those that have none are left out.

    Args:
        counts: The limits, and what is under way.
        pairs: The workflows and tenants.
        now: The time.
    """
    books = Books(counts, now)
    found = {pair: min((part.left()[0] for part in books.parts(pair)), default=math.inf) for pair in pairs}
    return {pair: most for pair, most in found.items() if most > 0}


@dataclass(slots=True)
class _Line:
    """Runs of one workflow and tenant that wait; the last of the list comes first. New ones have a line of their own."""

    pair: Pair
    parts: list[Part]
    shared: Part | None
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

    def __init__(self, books: Books, tenants: Mapping[str, Sequence[Waiting]], *, by_workflow: bool) -> None:
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

    def _lines_of(self, books: Books, tenants: Mapping[str, Sequence[Waiting]]) -> Iterable[_Line]:
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
