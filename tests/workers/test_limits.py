"""Limits, priorities and later starts: what is held back, and what workers are given."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.graph import StateGraph

from adjourn import AsyncEngine, ConfigurationError, InvalidInput, Limit, NotAuthorized, Principal, approve
from support import workflows
from support.auditing import agree
from support.eventually import eventually
from support.postgres import execute
from support.workflows import Trail, chain, mark
from support.working import Serving

KNOWN: dict[str, Any] = {
    "asking": workflows.asking, "plain": workflows.plain, "marks": chain(("one", mark("one"))),
}  # fmt: skip
JOBS = "select args ->> 'thread_id' from adjourn.procrastinate_jobs order by priority desc, id"
TRUSTED = Principal("kim")


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=TRUSTED) as opened:
        yield opened


def jobs(database: str) -> list[str]:
    return [each for (each,) in execute(database, JOBS)]


async def submit(engine: AsyncEngine, *names: str, workflow: str = "marks", **options: Any) -> None:
    for name in names:
        await engine.submit(workflow, {"name": name}, thread_id=name, **options)


async def test_without_limits_a_run_has_its_job_at_once_and_with_one_when_it_is_admitted(
    database: str, engine: AsyncEngine
) -> None:
    await submit(engine, "free")
    assert jobs(database) == ["free"]
    await engine.set_limit("marks", at_once=2)
    await submit(engine, "a", "b")
    await submit(engine, "other", workflow="plain")
    assert jobs(database) == ["free", "other"]
    assert [(await engine.get(name)).held for name in ("free", "a", "other")] == ["limits", "limits", None]
    await engine._admit()
    # the job of the first, which was queued before there was a limit, finds its run admitted
    assert jobs(database) == ["free", "other", "free", "a"]
    assert [(await engine.get(name)).held for name in ("free", "a", "b")] == [None, None, "limits"]
    assert await engine.remove_limit("marks")
    await engine._admit()
    assert jobs(database)[-1] == "b"


async def test_a_job_of_a_run_that_is_held_back_finds_nothing_to_do(database: str, engine: AsyncEngine) -> None:
    await submit(engine, "early")
    await engine.set_limit("marks", at_once=0)
    await engine._drive_queued("early")
    assert (await engine.get("early")).status == "queued"


async def test_of_a_tenant_what_is_urgent_comes_first_also_without_limits(database: str, engine: AsyncEngine) -> None:
    await submit(engine, "low", priority=-5)
    await submit(engine, "high", priority=9)
    assert jobs(database) == ["high", "low"]
    await engine.set_limit(None, "default", at_once=2)
    await submit(engine, "middle")
    await engine._admit()
    assert [(await engine.get(name)).held for name in ("high", "middle", "low")] == [None, None, "limits"]


async def test_a_run_for_later_begins_when_its_time_has_come(
    database: str, engine: AsyncEngine, serving: Serving
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    await submit(engine, "later", start_at=soon)
    await submit(engine, "past", start_at=soon - timedelta(days=1))
    run = await engine.get("later")
    assert (run.held, run.start_at, jobs(database)) == ("start_at", soon, ["past"])
    async with serving(KNOWN):
        await engine.wait("later", until="completed", timeout=20)
    (began,) = execute(database, "select min(at) from adjourn.events where thread_id = 'later'")[0]
    assert began >= soon


async def test_a_later_start_under_a_limit_asks_for_a_place_when_its_time_has_come(
    database: str, engine: AsyncEngine
) -> None:
    await engine.set_limit("marks", at_once=0)
    await submit(engine, "later", start_at=datetime.now(UTC) + timedelta(seconds=0.3))
    await eventually(lambda: _held_after_a_look(engine, "later"))
    assert jobs(database) == []


async def _held_after_a_look(engine: AsyncEngine, name: str) -> bool:
    await engine._admit()
    return (await engine.get(name)).held == "limits"


async def test_what_is_driven_here_counts_and_is_never_held_back(database: str, engine: AsyncEngine) -> None:
    await engine.set_limit("marks", at_once=0, per_minute=1)
    assert (await engine.start("marks", {"name": "here"})).status == "completed"
    (found,) = await engine.limits()
    assert (found.under_way, found.began, found.waiting) == (0, 1, 0)
    await engine.set_limit("marks", at_once=5, per_minute=1)
    await submit(engine, "there")
    assert (await engine._admission.admit()).seconds == pytest.approx(60, abs=20)
    assert jobs(database) == []


async def test_a_paused_run_gives_up_its_place_and_asks_for_one_when_it_goes_on(
    database: str, engine: AsyncEngine, serving: Serving
) -> None:
    await engine.set_limit("asking", at_once=1, per_minute=2)
    await submit(engine, "a", "b", "c", workflow="asking")
    async with serving(KNOWN):
        for name in ("a", "b"):
            assert (await engine.wait(name, timeout=20)).status == "paused"
        # its starts of this minute are used up; what goes on is none
        assert (await engine.get("c")).held == "limits"
        await engine.resume("a", approve(), by="dana", wait=False)
        assert (await engine.wait("a", until="completed", timeout=20)).state["trail"] == ["before", "ask", "after"]
        assert (await engine.get("c")).held == "limits"
    agree(database)


async def test_what_went_on_comes_before_what_never_began(database: str, engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, thread_id="old")
    assert run.status == "paused"
    await engine.set_limit(at_once=1)
    await submit(engine, "new")
    assert (await engine.resume("old", approve(), by="dana", wait=False)).held == "limits"
    await engine._admit()
    assert jobs(database) == ["old"]


async def test_a_cancelled_run_leaves_its_place_to_the_next(database: str, engine: AsyncEngine) -> None:
    await engine.set_limit("marks", at_once=1)
    await submit(engine, "a", "b", "c")
    await engine._admit()
    await engine.cancel("a", reason="no more")
    await engine.cancel("b", reason="no more")
    await engine._admit()
    assert jobs(database)[-1] == "c"


async def test_tenants_have_turns_across_passes(database: str, engine: AsyncEngine) -> None:
    """One who submitted a hundred runs does not have a hundred turns."""
    await engine.set_limit("marks", at_once=1)
    await submit(engine, *(f"k{number}" for number in range(5)))
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("ann", tenant="acme")) as other:
        await submit(other, "a0", "a1")
        order = []
        for _ in range(6):
            await engine._admit()
            order.append(jobs(database)[-1])
            await (engine if order[-1][0] == "k" else other).cancel(order[-1], reason="next")
    assert order == ["k0", "a0", "k1", "a1", "k2", "k3"]


NO_LIMITS: list[dict[str, Any]] = [
    {}, {"at_once": -1}, {"at_once": 1.5}, {"at_once": True}, {"per_minute": "3"}, {"at_once": 10**9},
    {"workflow": "", "at_once": 1}, {"tenant": "a\nb", "at_once": 1}, {"workflow": 3, "at_once": 1},
]  # fmt: skip
NO_TIMINGS: list[dict[str, Any]] = [
    {"priority": 1.5}, {"priority": 10**6}, {"priority": True}, {"start_at": datetime(2027, 1, 1)}, {"start_at": 5},  # noqa: DTZ001
]  # fmt: skip


async def test_what_is_no_limit_no_priority_or_no_time_is_refused_and_stores_nothing(engine: AsyncEngine) -> None:
    for wrong in NO_LIMITS:
        with pytest.raises(ConfigurationError):
            await engine.set_limit(**wrong)
    for wrong in NO_TIMINGS:
        with pytest.raises(InvalidInput):
            await engine.submit("marks", {"name": "x"}, **wrong)
    assert (await engine.limits(), len(await engine.runs())) == ([], 0)


async def test_only_a_trusted_principal_sets_limits(database: str) -> None:
    caller = Principal("web", source="authenticated")
    async with AsyncEngine.open(database, workflows=KNOWN, principal=caller) as engine:
        for refused in (engine.set_limit(at_once=1), engine.remove_limit(), engine.limits()):
            with pytest.raises(NotAuthorized):
                await refused


async def test_limits_are_listed_with_what_is_taken_up(engine: AsyncEngine) -> None:
    await engine.set_limit("*", at_once=2)
    await engine.set_limit("plain", at_once=7, per_minute=8)
    await engine.set_limit("plain", at_once=5)
    await submit(engine, "a", "b", "c")
    await engine._admit()
    shown = [(each.limit, each.workflow, each.under_way, each.waiting) for each in await engine.limits()]
    assert shown == [(Limit("*", None, 2), "marks", 2, 1), (Limit("plain", None, 5), "plain", 0, 0)]


async def test_of_many_waiting_runs_only_the_first_are_looked_at(database: str, engine: AsyncEngine) -> None:
    await engine.set_limit("marks", at_once=1)
    await submit(engine, "first")
    execute(
        database,
        """
        insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
        select 'more ' || number, 'default', 'marks', '0', 'x', 'queued', 'kim', '' from generate_series(1, 5000) number
    """,
    )
    execute(database, "analyze adjourn.runs")
    heads = execute(
        database,
        """
        explain (analyze, format json) select thread_id from adjourn.runs
        where status = 'queued' and admission = 'waiting' and workflow = 'marks' and tenant = 'default' and not begun
        order by -priority, queued_at, thread_id limit 1
    """,
    )[0][0][0]["Plan"]
    assert (heads["Plans"][0]["Node Type"], heads["Plans"][0]["Actual Rows"]) in (
        ("Index Only Scan", 1),
        ("Index Scan", 1),
    )
    await engine._admit()
    assert jobs(database) == ["first"]


def guarded(gauge: "Gauge", pause: float) -> StateGraph[Trail]:
    async def work(state: Trail) -> Trail:
        with gauge:
            await asyncio.sleep(pause)
        return {"trail": ["work"]}

    return chain(("work", work))


class Gauge:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.begun = 0

    def __enter__(self) -> None:
        self.begun += 1
        self.inside += 1
        self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        self.inside -= 1


async def test_a_worker_never_drives_more_at_once_than_the_limit_and_drives_all(
    database: str, serving: Serving
) -> None:
    gauge = Gauge()
    known = {"marks": guarded(gauge, 0.1)}
    async with AsyncEngine.open(database, workflows=known, principal=TRUSTED) as engine:
        await engine.set_limit("marks", at_once=3)
        await submit(engine, *(f"run {number}" for number in range(12)))
        async with serving(known, concurrency=8), serving(known, concurrency=8):
            await eventually(lambda: _all_completed(database), timeout=30)
    assert 2 <= gauge.most <= 3
    assert gauge.begun == 12


def _all_completed(database: str) -> bool:
    return execute(database, "select count(*) from adjourn.runs where status <> 'completed'") == [(0,)]
