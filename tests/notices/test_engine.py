"""The engine tells people, and never waits or fails for it."""

import json

import pytest

from adjourn import AsyncEngine, approve
from adjourn.errors import ConfigurationError
from adjourn.settings import Settings, load_settings
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


async def test_by_default_nothing_is_written_down(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        await engine.start("asking", {"name": "x"})
    assert await rows(database, STATE) == []


async def test_settings_that_do_not_fit_are_told_when_the_engine_opens(database: str) -> None:
    half = load_settings(notify_webhook_url="https://hooks.example.org")
    with pytest.raises(ConfigurationError, match="ADJOURN_NOTIFY_WEBHOOK_SECRET"):
        async with AsyncEngine.open(database, workflows=KNOWN, settings=half):
            pass
