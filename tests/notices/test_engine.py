"""The engine tells people, and never waits or fails for it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from adjourn import AsyncEngine, Run, approve, reject
from adjourn.errors import ConfigurationError
from adjourn.settings import Settings, load_settings
from adjourn.state.policies import DAY, HOUR, ReviewPolicy, Stage
from support import workflows
from support.eventually import eventually
from support.telling import rows
from support.web_receiver import WebReceiver

KNOWN = {"asking": workflows.asking, "plain": workflows.plain, "parallel": workflows.parallel()}
STATE = "select thread_id, kind, attempts, next_at is null from adjourn.notices order by 1"


def settings(url: str) -> Settings:
    return load_settings(notify_webhook_url=url, notify_webhook_secret="whsec_" + "A" * 32)


def told(web: WebReceiver) -> list[tuple[str, str]]:
    return [(each["type"], each["data"]["thread_id"]) for each in (json.loads(posted.body) for posted in web.posted)]


async def test_a_run_that_pauses_is_told_once_and_one_that_does_not_is_not(database: str, web: WebReceiver) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t")
    assert told(web) == [("review.asked", "t")]
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        assert (await engine.resume("t", approve())).status == "completed"
    assert told(web) == [("review.asked", "t")]


async def test_each_question_of_a_run_is_told(database: str, web: WebReceiver) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        run = await engine.start("parallel", {"who": "x"})
    reviews = [json.loads(posted.body)["data"]["review_id"] for posted in web.posted]
    assert sorted(reviews) == sorted(review.id for review in run.reviews)
    assert len(reviews) > 1


async def test_a_receiver_that_fails_neither_fails_nor_holds_up_the_run(database: str, web: WebReceiver) -> None:
    web.answers = [400]
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        run = await engine.start("asking", {"name": "x"}, thread_id="t")
        assert run.status == "paused"
        assert (await engine.resume("t", approve())).status == "completed"
    assert await rows(database, STATE) == [("t", "asked", 1, True)]


async def test_what_one_process_could_not_send_the_next_one_sends(database: str, web: WebReceiver) -> None:
    web.answers = ["hang"]
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t-1")
        await eventually(lambda: web.posted)
        await engine._notifications.close(0.0)
    await rows(database, "update adjourn.notices set next_at = now() returning 1")  # its claim has ended
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t-2")
    assert {thread for _, thread in told(web)} == {"t-1", "t-2"}


CHAIN = ReviewPolicy(
    roles=("legal",),
    deadline=DAY,
    remind_after=4 * HOUR,
    escalate_to=(Stage(("lead",), deadline=DAY, on_deadline=reject("nobody")),),
)


async def at(engine: AsyncEngine, web: WebReceiver, run: Run, **by: float) -> dict[str, Any]:
    """Sweep at a time after the question; return what is told then."""
    (review,) = run.reviews
    assert review.asked_at is not None
    before = len(web.posted)
    assert len(await engine.sweep(now=review.asked_at + timedelta(seconds=1, **by))) == 1
    await eventually(lambda: len(web.posted) > before)
    told = json.loads(web.posted[-1].body)
    return {"type": told["type"], **told["data"]}


async def test_what_deadlines_do_is_told_to_those_who_are_asked_then(database: str, web: WebReceiver) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=CHAIN)
        await eventually(lambda: web.posted)
        reminded = await at(engine, web, run, hours=4)
        escalated = await at(engine, web, run, days=1)
        decided = await at(engine, web, run, days=3)
    asked = json.loads(web.posted[0].body)["data"]
    assert (asked["roles"], asked["due_at"] is not None) == (["legal"], True)
    assert (reminded["type"], reminded["roles"], reminded["number"]) == ("review.reminded", ["legal"], 1)
    assert (escalated["type"], escalated["roles"], escalated["number"]) == ("review.escalated", ["lead"], 1)
    assert escalated["due_at"] > asked["due_at"]
    assert (decided["type"], decided["outcome"]) == ("review.decided", "reject by system:deadline")
    assert len(web.posted) == 4


async def test_an_expired_question_is_told_and_told_again_when_it_is_asked_anew(
    database: str, web: WebReceiver
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=ReviewPolicy(deadline=DAY))
        await eventually(lambda: web.posted)
        expired = await at(engine, web, run, days=1)
        assert (expired["type"], expired["outcome"]) == ("review.expired", "expired by system:deadline")
        assert (await engine.retry("t")).status == "paused"
    assert [kind for kind, _ in told(web)] == ["review.asked", "review.expired", "review.asked"]
    assert json.loads(web.posted[-1].body)["data"]["number"] == 1


async def test_a_sweep_sends_what_could_not_be_sent_before(database: str, web: WebReceiver) -> None:
    web.answers = [(503, {"retry-after": "3600"})]
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t")
        an_hour_has_passed = (
            "update adjourn.notices set next_at = now() where next_at > now() + interval '50 minutes' returning 1"
        )
        await eventually(lambda: rows(database, an_hour_has_passed))
        assert await engine.sweep() == []
        await eventually(lambda: len(web.posted) == 2)
    assert await rows(database, STATE) == [("t", "asked", 2, True)]


async def test_erasing_a_run_forgets_who_was_told_of_it_and_of_no_other(database: str, web: WebReceiver) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings(web.url)) as engine:
        for thread in ("t-1", "t-2"):
            await engine.start("asking", {"name": "x"}, thread_id=thread)
        await eventually(lambda: rows(database, "select 1 from adjourn.notices having bool_and(next_at is null)"))
        assert (await engine.resume("t-1", approve())).status == "completed"
        await engine.erase("t-1")
    assert [row[0] for row in await rows(database, STATE)] == ["t-2"]
    left = await rows(database, "select scope from adjourn.effects where scope like 'notices:%'")
    assert left == [("notices:t-2",)]


async def test_by_default_nothing_is_written_down(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        await engine.start("asking", {"name": "x"})
    assert await rows(database, STATE) == []


async def test_settings_that_do_not_fit_are_told_when_the_engine_opens(database: str) -> None:
    half = load_settings(notify_webhook_url="https://hooks.example.org")
    with pytest.raises(ConfigurationError, match="ADJOURN_NOTIFY_WEBHOOK_SECRET"):
        async with AsyncEngine.open(database, workflows=KNOWN, settings=half):
            pass
