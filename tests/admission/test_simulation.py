"""Random runs of random tenants under random limits: no limit is exceeded, nothing waits in vain, and turns are fair."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.engine.admission_books import EACH, MINUTE, Counts, Limit, Pair, Use, Waiting
from adjourn.engine.admission_rules import admit
from support.reviewing import NOON

TENANTS = ("acme", "beta", "cora", "dune")
WORKFLOWS = ("report", "mail")
Event = tuple[str, int, str, str, int]
Stage = Literal["waiting", "admitted", "running", "paused", "over"]


@dataclass
class Run:
    """A run in the simulated world."""

    name: str
    workflow: str
    tenant: str
    priority: int
    since: datetime
    stage: Stage = "waiting"
    begun_at: datetime | None = None
    under_limits: bool = True


@dataclass
class World:
    """What the database would hold, and what workers and people do to it."""

    limits: list[Limit]
    now: datetime = NOON
    runs: list[Run] = field(default_factory=list)
    turns: dict[Pair, datetime] = field(default_factory=dict)

    def counts(self) -> Counts:
        use = {}
        for pair in {Pair(run.workflow, run.tenant) for run in self.runs}:
            mine = [run for run in self.runs if (run.workflow, run.tenant) == pair]
            use[pair] = Use(
                under_way=sum(run.stage in ("admitted", "running") for run in mine),
                coming=sum(run.stage == "admitted" and run.begun_at is None for run in mine),
                starts=[run.begun_at for run in mine if run.begun_at],
                last_turn=self.turns.get(pair),
            )
        return Counts(self.limits, use)

    def waiting(self) -> dict[str, list[Waiting]]:
        return {
            tenant: [
                Waiting(run.name, run.workflow, run.since, run.priority, run.begun_at is not None)
                for run in self.runs
                if run.tenant == tenant and run.stage == "waiting"
            ]
            for tenant in TENANTS
        }

    def admit(self) -> Iterator[Run]:
        """Let the rules decide, and give each run just before it is admitted."""
        by_name = {run.name: run for run in self.runs}
        for number, chosen in enumerate(admit(self.counts(), self.waiting(), self.now).admitted):
            run = by_name[chosen.thread_id]
            yield run
            run.stage = "admitted"
            self.turns[Pair(run.workflow, run.tenant)] = self.now + timedelta(microseconds=number)

    def act(self, what: str, which: int, tenant: str, workflow: str, priority: int) -> None:
        """One thing happens: a run is submitted, taken by a worker, paused, answered or ended, or time passes."""
        self.now += timedelta(milliseconds=1, seconds=priority if what != "time" else 7 * priority)
        if what == "submit":
            self.runs.append(Run(f"run {len(self.runs)}", workflow, tenant, priority, self.now))
        moves: dict[str, tuple[Stage, Stage]] = {
            "take": ("admitted", "running"), "pause": ("running", "paused"), "answer": ("paused", "waiting"),
            "end": ("running", "over"), "cancel": ("admitted", "over"),
        }  # fmt: skip
        if what in moves:
            before, after = moves[what]
            found = [run for run in self.runs if run.stage == before]
            for run in found[which % len(found) :][:1] if found else ():
                run.stage = after
                run.since = self.now if after == "waiting" else run.since
                if after == "running" and run.begun_at is None:
                    run.begun_at = self.now


EVENTS = some.tuples(
    some.sampled_from(["submit", "submit", "take", "take", "end", "pause", "answer", "cancel", "time"]),
    some.integers(0, 3), some.sampled_from(TENANTS), some.sampled_from(WORKFLOWS), some.integers(0, 3),
)  # fmt: skip
BUSY = some.lists(
    some.tuples(
        some.sampled_from(["take", "take", "end", "end", "pause", "answer", "submit", "time"]),
        some.integers(0, 3), some.sampled_from(TENANTS), some.just("report"), some.integers(0, 3),
    ),
    max_size=60,
)  # fmt: skip
BACKLOG = some.lists(some.sampled_from(TENANTS), min_size=6, max_size=20)
ONE_LIMIT = some.builds(
    Limit, some.sampled_from([None, EACH, "report"]), some.none(),
    some.integers(1, 3), some.one_of(some.none(), some.integers(1, 3)),
)  # fmt: skip
LIMITS = some.lists(
    some.builds(
        Limit,
        some.sampled_from([None, EACH, *WORKFLOWS]),
        some.sampled_from([None, EACH, *TENANTS[:2]]),
        some.one_of(some.none(), some.integers(0, 4)),
        some.one_of(some.none(), some.integers(0, 4)),
    ),
    max_size=5,
    unique_by=lambda limit: (limit.workflow, limit.tenant),
)


def applying(limits: Sequence[Limit], run: Run) -> list[Limit]:
    """The limits of a run, said more simply than in the rules: from the most exact name to the least."""
    found = []
    for workflow_names, tenant_names in (
        ((None,), (None,)), ((run.workflow, EACH), (None,)), ((None,), (run.tenant, EACH)),
        ((run.workflow, EACH), (run.tenant, EACH)),
    ):  # fmt: skip
        wanted = [(workflow, tenant) for workflow in workflow_names for tenant in tenant_names]
        found += [limit for names in wanted for limit in limits if (limit.workflow, limit.tenant) == names][:1]
    return found


def together(world: World, limit: Limit, run: Run) -> list[Run]:
    """The runs that are counted with this one under a limit."""
    return [
        other
        for other in world.runs
        if (limit.workflow is None or other.workflow == run.workflow)
        and (limit.tenant is None or other.tenant == run.tenant)
        and limit in applying(world.limits, other)
    ]


def begun_lately(world: World, runs: Sequence[Run]) -> int:
    return sum(run.begun_at is not None and run.begun_at > world.now - MINUTE for run in runs)


def would_fit(world: World, run: Run) -> bool:
    for limit in applying(world.limits, run):
        counted = together(world, limit, run)
        under_way = sum(other.stage in ("admitted", "running") for other in counted)
        if limit.at_once is not None and under_way >= limit.at_once:
            return False
        if limit.per_minute is not None and run.begun_at is None:
            coming = sum(other.stage == "admitted" and other.begun_at is None for other in counted)
            if begun_lately(world, counted) + coming >= limit.per_minute:
                return False
    return True


def backlogged(limits: list[Limit], tenants: Sequence[str]) -> World:
    world = World(limits)
    for tenant in tenants:
        world.act("submit", 0, tenant, "report", 0)
    return world


@settings(max_examples=150, deadline=None)
@given(LIMITS, some.lists(EVENTS, max_size=60))
def test_limits_hold_at_every_instant_and_nothing_waits_that_would_fit(
    limits: list[Limit], events: list[Event]
) -> None:
    holds(limits, events)


@settings(max_examples=100, deadline=None)
@given(ONE_LIMIT, BACKLOG, BUSY)
def test_while_a_tenant_waits_no_other_that_uses_as_much_gets_two_places(
    limit: Limit, backlog: list[str], events: list[Event]
) -> None:
    """The fair share: nobody is overtaken by a tenant that has more, and once at most by one that has as much."""
    fair(limit, backlog, events)


@settings(max_examples=60, deadline=None)
@given(LIMITS, BACKLOG, BUSY)
def test_when_only_starts_are_missing_it_is_known_when_to_look_again(
    limits: list[Limit], backlog: list[str], events: list[Event]
) -> None:
    known_when(limits, backlog, events)


def holds(limits: list[Limit], events: list[Event]) -> None:
    world = World(limits)
    for event in events:
        world.act(*event)
        for run in world.admit():
            assert would_fit(world, run)
        for run in world.runs:
            assert run.stage != "waiting" or not would_fit(world, run)
            for limit in applying(world.limits, run):
                counted = together(world, limit, run)
                driven = sum(other.stage == "running" for other in counted)
                assert limit.at_once is None or driven <= limit.at_once
                assert limit.per_minute is None or begun_lately(world, counted) <= limit.per_minute


def fair(limit: Limit, backlog: list[str], events: list[Event]) -> None:
    world = backlogged([limit], backlog)
    overtaken: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        world.act(*event)
        for run in world.admit():
            for other in {each.tenant for each in world.runs if each.stage == "waiting"} - {run.tenant}:
                place = "" if limit.workflow is None else run.workflow
                same = [each for each in world.runs if place in ("", each.workflow)]
                waits = [each for each in same if each.tenant == other and each.stage == "waiting"]
                # who would not fit for another reason than this run is not overtaken by it
                if not any(would_fit(world, each) for each in waits):
                    continue
                ahead = share(world, same, limit, run.tenant) - share(world, same, limit, other)
                assert ahead <= 0
                overtaken[place, other, run.tenant] += ahead == 0
            for key in [key for key in overtaken if key[1] == run.tenant and key[0] in ("", run.workflow)]:
                del overtaken[key]
        assert max(overtaken.values(), default=0) <= 1


def share(world: World, same: Sequence[Run], limit: Limit, tenant: str) -> int:
    """What a tenant uses of the scarcer side of the limit."""
    slots = sum(run.stage in ("admitted", "running") for run in same)
    starts = begun_lately(world, same) + sum(run.stage == "admitted" and run.begun_at is None for run in same)
    mine = [run for run in same if run.tenant == tenant]
    at_once = limit.at_once if limit.at_once is not None else 10**9
    if limit.per_minute is None or at_once - slots <= limit.per_minute - starts:
        return sum(run.stage in ("admitted", "running") for run in mine)
    return begun_lately(world, mine) + sum(run.stage == "admitted" and run.begun_at is None for run in mine)


def known_when(limits: list[Limit], backlog: list[str], events: list[Event]) -> None:
    world = backlogged(limits, backlog)
    for event in [("time", 0, "", "", 0), *events]:
        world.act(*event)
        list(world.admit())
    counts, waits = world.counts(), world.waiting()
    found = admit(counts, waits, world.now)
    assert found.admitted == ()
    if found.again_at is None or any(use.coming for use in counts.use.values()):
        return
    assert world.now < found.again_at <= world.now + MINUTE
    no_starts_ever = any(limit.per_minute == 0 for limit in limits)
    assert no_starts_ever or admit(counts, waits, found.again_at).admitted
    assert admit(counts, waits, found.again_at - timedelta(microseconds=1)).admitted == ()


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(some.data())
def test_thousands_of_worlds(data: some.DataObject) -> None:
    limits, backlog = data.draw(LIMITS), data.draw(BACKLOG)
    busy = data.draw(BUSY)
    holds(limits, data.draw(some.lists(EVENTS, max_size=120)))
    fair(data.draw(ONE_LIMIT), backlog, busy)
    known_when(limits, backlog, busy)
