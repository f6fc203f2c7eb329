"""Deadlines in the engine: the time is passed in, so a fortnight takes a moment."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine, NotAuthorized, ReviewClosed, Run, approve, edit, reject
from adjourn.state.policies import DAY, HOUR, DefaultValue, ReviewPolicy, Stage
from support.eventually import eventually
from support.postgres import execute
from support.reviewing import person

LEAD, HEAD = person("lea", "lead"), person("hal", "head")
FAILS = ReviewPolicy(deadline=HOUR)
CHAIN = ReviewPolicy(
    roles=("legal",),
    deadline=DAY,
    remind_after=4 * HOUR,
    escalate_to=(Stage(("lead",), deadline=DAY), Stage(("head",), deadline=7 * DAY, on_deadline=reject("nobody"))),
)


def later(run: Run, **by: float) -> datetime:
    asked = run.reviews[0].asked_at
    assert asked is not None
    return asked + timedelta(seconds=1, **by)


async def swept(engine: AsyncEngine, now: datetime) -> list[str]:
    return [each.what for each in await engine.sweep(now=now)]


async def test_nothing_happens_before_its_time_and_an_engine_that_opens_acts_on_nothing(
    engine: AsyncEngine, database: str, known: Any
) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(deadline=0.001))
    await eventually(lambda: execute(database, "select 1 from adjourn.reviews where due_at < clock_timestamp()"))
    async with AsyncEngine.open(database, workflows=known) as another:
        (review,) = await another.reviews()
        assert (review.status, review.overdue) == ("pending", True)
    hour = await engine.start("asking", {"name": "y"}, policies=FAILS)
    assert await swept(engine, later(hour, minutes=59)) == ["expired"]
    assert (await engine.get(run.thread_id)).status == "failed"
    assert (await engine.get(hour.thread_id)).status == "paused"


async def test_a_chain_of_escalations_to_its_default_decision(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=CHAIN)
    assert await swept(engine, later(run, hours=4)) == ["reminded"]
    assert await swept(engine, later(run, hours=5)) == []
    assert await swept(engine, later(run, days=1)) == ["escalated"]
    (review,) = (await engine.get(run.thread_id)).reviews
    assert (review.roles, review.stage) == (("lead",), 1)
    assert [each.id for each in await engine.reviews(role="lead")] == [review.id]
    assert not (await engine.reviews(role="legal")).items
    with pytest.raises(NotAuthorized, match="since it was escalated"):
        await engine.resume(run.thread_id, approve(), by=person("ann", "legal"))
    assert await swept(engine, later(run, days=3)) == ["escalated"]
    assert await swept(engine, later(run, days=9)) == []
    assert await swept(engine, later(run, days=11)) == ["decided"]
    run = await engine.get(run.thread_id)
    assert (run.status, run.state["trail"]) == ("completed", ["before", "ask", "after"])
    assert run.state["answer"]["decisions"] == [{"type": "reject", "message": "nobody"}]
    assert run.state["answer"]["adjourn"]["by"] == "system:deadline"


async def test_whoever_is_asked_after_an_escalation_answers(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=CHAIN)
    await swept(engine, later(run, days=1))
    assert (await engine.resume(run.thread_id, approve(), by=LEAD)).status == "completed"
    assert await swept(engine, later(run, days=99)) == []


async def test_failing_closed_fails_the_run_and_retry_asks_again(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(approvals=2, deadline=HOUR))
    asked = run.reviews[0].id
    await engine.resume(run.thread_id, approve(), by="ann")
    done = await engine.sweep(now=later(run, hours=1))
    assert [(each.what, each.review.status) for each in done] == [("expired", "expired")]
    run = await engine.get(run.thread_id)
    assert (run.status, run.reviews) == ("failed", ())
    assert run.error is not None
    assert run.error["type"] == "ReviewExpired"
    with pytest.raises(ReviewClosed, match="deadline .* passed"):
        await engine.resume(run.thread_id, approve(), by="bob", review_id=asked)

    run = await engine.retry(run.thread_id)
    assert (run.status, run.reviews[0].id, run.reviews[0].missing) == ("paused", asked, 2)
    assert run.reviews[0].due_at is not None
    assert run.reviews[0].asked_at is not None
    for who in ("ann", "bob"):
        run = await engine.resume(run.thread_id, approve(), by=who)
    assert run.status == "completed"


async def test_a_default_for_a_question_that_takes_a_plain_value(engine: AsyncEngine) -> None:
    policy = ReviewPolicy(deadline=HOUR, on_deadline=DefaultValue("grey"))
    run = await engine.start("plain", {"name": "x"}, policies=policy)
    assert await swept(engine, later(run, hours=1)) == ["decided"]
    assert (await engine.get(run.thread_id)).state["answer"] == "grey"


async def test_a_default_that_does_not_fit_its_question_approves_nothing(engine: AsyncEngine) -> None:
    policy = ReviewPolicy(deadline=HOUR, on_deadline=edit({"sum": 7}))
    run = await engine.start("asking", {"name": "x"}, policies=policy)
    assert await swept(engine, later(run, hours=1)) == ["expired"]
    assert (await engine.get(run.thread_id)).status == "failed"


async def test_a_default_approval_approves_what_was_edited(engine: AsyncEngine) -> None:
    policy = ReviewPolicy(approvals=2, deadline=HOUR, on_deadline=approve("as agreed"))
    run = await engine.start("asking", {"name": "x"}, policies=policy)
    await engine.resume(run.thread_id, edit({"amount": 7}), by="ann")
    assert await swept(engine, later(run, hours=1)) == ["decided"]
    done = await engine.get(run.thread_id)
    assert done.state["answer"]["decisions"][0]["edited_action"]["args"] == {"amount": 7}


async def test_a_sweeper_without_the_workflow_leaves_the_run_to_recovery(engine: AsyncEngine, database: str) -> None:
    policy = ReviewPolicy(deadline=HOUR, on_deadline=approve())
    run = await engine.start("asking", {"name": "x"}, policies=policy)
    async with AsyncEngine.open(database, principal=engine.principal) as stranger:
        assert await swept(stranger, later(run, hours=1)) == ["decided"]
    assert (await engine.get(run.thread_id)).status == "stalled"
    (run,) = await engine.recover()
    assert run.status == "completed"


async def test_many_sweepers_do_each_thing_once(engine: AsyncEngine, database: str, known: Any) -> None:
    runs = [await engine.start("asking", {"name": "x"}, policies=CHAIN) for _ in range(6)]
    async with AsyncEngine.open(database, workflows=known, principal=engine.principal) as another:
        sweepers = [each.sweep(now=later(runs[-1], days=1)) for each in (engine, another, engine, another)]
        done = [each for found in await asyncio.gather(*sweepers) for each in found]
    assert sorted(each.review.thread_id for each in done) == sorted(run.thread_id for run in runs)
    assert {review.stage for review in await engine.reviews()} == {1}


async def test_reviews_of_another_tenant_are_not_swept(engine: AsyncEngine, database: str, known: Any) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=FAILS)
    stranger = person("eve", tenant="other")
    async with AsyncEngine.open(database, workflows=known, principal=stranger) as another:
        assert await swept(another, later(run, hours=2)) == []
        assert not (await another.reviews()).items


async def test_a_sweep_waits_for_nobody_who_is_at_work_on_a_run(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=ReviewPolicy(deadline=DAY))
    now = later(run, days=2)
    with psycopg.connect(database) as other:
        other.execute("select from adjourn.runs where thread_id = 't' for no key update")
        assert await asyncio.wait_for(engine.sweep(now=now), 10) == []
        other.rollback()
    assert await swept(engine, now) == ["expired"]


async def test_what_would_fail_a_run_waits_even_if_somebody_takes_it_after_the_look_for_deadlines(
    engine: AsyncEngine,
) -> None:
    run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=ReviewPolicy(deadline=DAY))
    assert await engine._runs.claim("t", "default", ("paused",)) is not None
    assert await engine._sweep_run("t", later(run, days=2)) == []
    assert (await engine.review("t")).status == "pending"


async def test_the_longest_overdue_come_first(engine: AsyncEngine) -> None:
    runs = {
        thread: await engine.start("asking", {"name": "x"}, thread_id=thread, policies=ReviewPolicy(deadline=deadline))
        for thread, deadline in (("a", 3 * DAY), ("b", DAY), ("c", 2 * DAY))
    }
    now = later(runs["a"], days=9)
    assert [(await engine.sweep(now=now, limit=1))[0].review.thread_id for _ in range(3)] == ["b", "c", "a"]
