"""Events of reviews reach their receivers: once, however often they are posted and swept, and however processes die."""

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import structlog
from pydantic import SecretStr

from adjourn import AsyncEngine, approve
from adjourn.engine.notice_events import NoticeEvent
from adjourn.engine.notices import Notice
from adjourn.engine.notifiers import LogNotifier, NotDelivered, Receiver
from adjourn.engine.webhook import Patience, WebhookNotifier, signing_keys
from support import workflows
from support.eventually import eventually
from support.mail_receiver import mail_receiver
from support.processes import child
from support.telling import AT_ONCE, Box, ask, execute, notifications, posted, rows
from support.web_receiver import WebReceiver

TESTS = Path(__file__).parents[1]
KEYS = signing_keys(SecretStr("whsec_" + "A" * 32))
LATER = (timedelta(hours=1),) * 5
STATE = "select kind, attempts, next_at is null, refused from adjourn.notices order by kind"
LEDGER = "select key, status, attempts, error from adjourn.effects where scope like 'notices:%' order by key"


def hook(web: WebReceiver) -> Receiver:
    return Receiver("webhook", WebhookNotifier(SecretStr(web.url), KEYS, Patience(attempts=1)))


async def test_an_open_question_is_told_once_however_often_it_is_posted_and_swept(database: str) -> None:
    box = Box()
    await ask(database, "t")
    async with notifications(database, Receiver("box", box)) as telling:
        for _ in range(3):
            await posted(database, telling, "t")
            await telling.deliver()
    (notice,) = box.notices
    assert (notice.kind, notice.thread_id, notice.workflow) == ("asked", "t", "asking")
    assert notice.decisions == ("approve", "edit", "reject", "respond")
    assert await rows(database, STATE) == [("asked", 1, True, [])]


async def test_what_is_asked_is_said_only_when_it_may_be(database: str) -> None:
    silent, open_hearted = Box(), Box()
    await ask(database, "t")
    async with notifications(database, Receiver("silent", silent)) as telling:
        await posted(database, telling, "t")
        await telling.deliver()
    await execute(database, "update adjourn.notices set next_at = now()")
    async with notifications(database, Receiver("open", open_hearted), content=True) as telling:
        await telling.deliver()
    assert [silent.notices[0].asked, open_hearted.notices[0].asked] == [None, "pay: Pay?"]
    kept = await rows(database, "select n::text from adjourn.notices n union all select e::text from adjourn.effects e")
    assert "Pay?" not in str(kept)


async def test_several_sweepers_at_once_send_each_event_once(database: str, web: WebReceiver) -> None:
    threads = [f"t-{number}" for number in range(24)]
    await ask(database, *threads)
    async with AsyncExitStack() as stack:
        sweepers = [await stack.enter_async_context(notifications(database, hook(web))) for _ in range(4)]
        await asyncio.gather(*(posted(database, each, *threads) for each in sweepers))
        taken = await asyncio.gather(*(each.deliver() for each in sweepers))
    told = Counter(json.loads(each.body)["data"]["thread_id"] for each in web.posted)
    assert told == dict.fromkeys(threads, 1)
    assert sum(taken) == len(threads)


async def test_a_failed_delivery_is_in_the_ledger_and_in_the_log_and_is_tried_again(
    database: str, web: WebReceiver
) -> None:
    box = Box()
    await ask(database, "t")
    web.answers = [500]
    async with notifications(database, hook(web), Receiver("box", box), waits=LATER) as telling:
        await posted(database, telling, "t")
        with structlog.testing.capture_logs() as lines:
            await telling.deliver()
            assert await telling.deliver() == 0  # not before its time
        assert await rows(database, LEDGER) == [
            ("box", "done", 1, None),
            ("webhook", "failed", 1, "NotDelivered: the webhook answered 500"),
        ]
        ((line,), event_id) = (lines, web.posted[0].headers["webhook-id"])
        assert (line["log_level"], line["receiver"], line["notice"]) == ("warning", "webhook", event_id)
        assert "t0ken" not in str(line)
        await execute(database, "update adjourn.notices set next_at = now()")
        await telling.deliver()
    assert len({each.headers["webhook-id"] for each in web.posted}) == 1
    assert (len(web.posted), len(box.notices)) == (2, 1)
    assert [status for _, status, _, _ in await rows(database, LEDGER)] == ["done", "done"]
    assert await rows(database, STATE) == [("asked", 2, True, [])]


async def test_it_is_given_up_after_so_many_attempts(database: str) -> None:
    failing = Box(*[NotDelivered("busy")] * 99)
    await ask(database, "t")
    async with notifications(database, Receiver("box", failing), waits=AT_ONCE) as telling:
        await posted(database, telling, "t")
        with structlog.testing.capture_logs() as lines:
            await telling.deliver()
    assert (len(failing.errors), await rows(database, STATE)) == (99 - 6, [("asked", 6, True, [])])
    assert [line["log_level"] for line in lines] == ["warning"] * 5 + ["error"]


async def test_a_receiver_that_refuses_for_good_is_not_asked_again_and_the_others_are(database: str) -> None:
    refusing, busy = Box(*[NotDelivered("no such user", for_good=True)] * 9), Box(NotDelivered("busy"))
    await ask(database, "t")
    async with notifications(database, Receiver("a", refusing), Receiver("b", busy), waits=AT_ONCE) as telling:
        await posted(database, telling, "t")
        await telling.deliver()
    assert (len(refusing.errors), len(busy.notices)) == (8, 1)
    assert await rows(database, STATE) == [("asked", 2, True, ["a"])]
    assert [row[:2] for row in await rows(database, LEDGER)] == [("a", "failed"), ("b", "done")]


async def test_a_receiver_that_asks_for_patience_gets_it_within_reason(database: str) -> None:
    waits = (timedelta(minutes=1), timedelta(minutes=90))
    patient = Box(*(NotDelivered("busy", retry_after=timedelta(hours=hours)) for hours in (1, 24 * 365)))
    await ask(database, "t")
    left = "select round(extract(epoch from next_at - now()) / 60)::int from adjourn.notices"
    async with notifications(database, Receiver("box", patient), waits=waits) as telling:
        await posted(database, telling, "t")
        await telling.deliver()
        assert await rows(database, left) == [(60,)]
        await execute(database, "update adjourn.notices set next_at = now()")
        await telling.deliver()
        assert await rows(database, left) == [(90,)]


async def test_a_notifier_that_breaks_holds_up_nobody(database: str) -> None:
    box = Box()
    await ask(database, "t")
    async with notifications(database, Receiver("a", Box(KeyError("oops"))), Receiver("b", box)) as telling:
        await posted(database, telling, "t")
        await telling.deliver()
    assert len(box.notices) == 1
    assert (await rows(database, LEDGER))[0] == ("a", "failed", 1, "NotDelivered: KeyError: 'oops'")


async def test_a_notifier_that_never_ends_is_stopped(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        async def notify(self, _: Notice) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("adjourn.engine.notifications._DELIVERY_SECONDS", 0.1)
    await ask(database, "t")
    async with notifications(database, Receiver("endless", Endless()), waits=LATER) as telling:
        await posted(database, telling, "t")
        await telling.deliver()
    assert [row[:2] for row in await rows(database, LEDGER)] == [("endless", "failed")]


async def test_a_question_that_cannot_be_read_holds_up_nobody(database: str) -> None:
    box = Box()
    await ask(database, "broken", "t")
    async with notifications(database, Receiver("box", box)) as telling:
        await posted(database, telling, "broken", "t")
        await execute(database, "update adjourn.reviews set question = 'x' where thread_id = 'broken'")
        with structlog.testing.capture_logs() as lines:
            await telling.deliver()
    assert [notice.thread_id for notice in box.notices] == ["t"]
    assert [(line["log_level"], line["thread"]) for line in lines] == [("error", "broken")]


async def test_a_question_that_was_answered_meanwhile_is_not_asked_any_more(database: str) -> None:
    box = Box()
    await ask(database, "t")
    async with notifications(database, Receiver("box", box)) as telling:
        await posted(database, telling, "t")
        async with AsyncEngine.open(database, workflows={"asking": workflows.asking}) as engine:
            (review,) = (await engine.get("t")).reviews
            await engine.resume("t", approve())
        events = [NoticeEvent("t", review.id, "decided"), NoticeEvent("t", review.id, "reminded", 1)]
        async with telling._pool.connection() as connection:
            await telling.post(connection, events)
        await telling.deliver()
    assert [notice.kind for notice in box.notices] == ["decided"]
    assert box.notices[0].outcome


async def test_events_of_one_kind_are_told_apart_by_their_number(database: str) -> None:
    box = Box()
    await ask(database, "t")
    async with notifications(database, Receiver("box", box)) as telling:
        ((review_id,),) = await rows(database, "select review_id from adjourn.reviews")
        async with telling._pool.connection() as connection:
            for number in (1, 2, 2, 1):
                await telling.post(connection, [NoticeEvent("t", review_id, "reminded", number)])
            await telling.post(connection, [NoticeEvent("t", "no such review", "reminded", 1)])
        await telling.deliver()
    assert sorted(notice.number for notice in box.notices) == [1, 2]


async def test_an_event_whose_transaction_is_rolled_back_is_not_told(database: str) -> None:
    box = Box()
    await ask(database, "t")
    async with notifications(database, Receiver("box", box)) as telling:
        async with telling._pool.connection() as connection, connection.transaction() as transaction:
            await telling.post_asked(connection, "t")
            raise psycopg.Rollback(transaction)
        assert await telling.deliver() == 0
    assert box.notices == []


async def test_without_receivers_nothing_is_written_down(database: str) -> None:
    await ask(database, "t")
    async with notifications(database) as telling:
        await posted(database, telling, "t")
        telling.wake()
        await telling.close()
    assert await rows(database, STATE) == []


async def test_waking_sends_in_the_background_and_again_when_more_comes(database: str) -> None:
    box = Box()
    await ask(database, "t-1", "t-2")
    async with notifications(database, Receiver("box", box)) as telling:
        for thread in ("t-1", "t-2"):
            await posted(database, telling, thread)
            telling.wake()
            await eventually(lambda thread=thread: thread in [each.thread_id for each in box.notices])  # type: ignore[misc]
        await telling.close()
    assert len(box.notices) == 2


async def test_closing_does_not_wait_for_a_receiver_that_hangs(database: str, web: WebReceiver) -> None:
    await ask(database, "t")
    web.answers = ["hang"]
    async with notifications(database, hook(web)) as telling:
        await posted(database, telling, "t")
        telling.wake()
        await eventually(lambda: web.posted)
        await telling.close(0.0)
    assert await rows(database, "select status from adjourn.effects") == [("started",)]
    assert await rows(database, "select next_at > now() from adjourn.notices") == [(True,)]  # when the claim ends


async def test_whoever_looks_for_events_passes_over_those_that_somebody_takes(database: str) -> None:
    async with notifications(database, Receiver("log", LogNotifier())) as telling:
        for thread in ("a", "b"):
            await ask(database, thread)
            await posted(database, telling, thread)
        with psycopg.connect(database) as other:
            other.execute("select from adjourn.notices where thread_id = 'a' for update")
            taken = await asyncio.wait_for(telling._claim(5), 10)
            assert [row["thread_id"] for row in taken] == ["b"]


async def test_what_became_of_an_event_is_not_recorded_once_somebody_else_has_taken_it(database: str) -> None:
    """Whoever took so long that the claim ended must not end the attempt of the next."""
    await ask(database, "t")
    async with notifications(database, Receiver("log", LogNotifier())) as telling:
        await posted(database, telling, "t")
        (first,) = await telling._claim(5)
        await rows(database, "update adjourn.notices set next_at = now() returning 1")
        (second,) = await telling._claim(5)
        state = "select next_at is null, refused from adjourn.notices"
        await telling._leave(first, None, ["log"])
        assert await rows(database, state) == [(False, [])]
        await telling._leave(second, None, ["log"])
        assert await rows(database, state) == [(True, ["log"])]


async def test_the_log_is_a_receiver(database: str) -> None:
    await ask(database, "t")
    async with notifications(database, Receiver("log", LogNotifier())) as telling:
        await posted(database, telling, "t")
        structlog.reset_defaults()  # the engine's own keep warnings only
        with structlog.testing.capture_logs() as lines:
            await telling.deliver()
    (line,) = lines
    assert (line["log_level"], line["thread"]) == ("info", "t")
    assert line["next"] == f"adjourn review {line['review']}"


DYING = """
import asyncio

from adjourn.engine.receivers import receivers_of
from adjourn.settings import load_settings
from support.telling import notifications

class Stopping:
    def __init__(self, notifier):
        self.notifier = notifier

    async def notify(self, notice):
        await self.notifier.notify(notice)
        reach("sent, and not written down")

async def main():
    (receiver,) = receivers_of(load_settings())
    object.__setattr__(receiver, "notifier", Stopping(receiver.notifier))
    async with notifications(sys.argv[1], receiver) as telling:
        await telling.deliver()

asyncio.run(main())
"""


async def after_a_kill(database: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Post; let a child send; kill it before it can write that down; sweep here, before and after its claim has ended."""
    from adjourn.engine.receivers import receivers_of
    from adjourn.settings import load_settings

    await ask(database, "t")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with notifications(database, *receivers_of(load_settings())) as telling:
        await posted(database, telling, "t")
        with child(DYING, database, environment={**environment, "PYTHONPATH": str(TESTS)}) as dying:
            await asyncio.to_thread(dying.wait_for, "sent, and not written down")
            dying.kill()
        assert await telling.deliver() == 0  # the claim still stands
        assert await rows(database, "select status from adjourn.effects") == [("started",)]
        await execute(database, "update adjourn.notices set next_at = now()")  # and now it has ended
        await telling.deliver()
        await execute(database, "update adjourn.notices set next_at = now()")
        await telling.deliver()
    assert await rows(database, "select status, attempts from adjourn.effects") == [("done", 2)]


async def test_killed_between_sending_and_writing_it_down_a_webhook_gets_the_same_id_again(
    database: str, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"ADJOURN_NOTIFY_WEBHOOK_URL": web.url, "ADJOURN_NOTIFY_WEBHOOK_SECRET": "whsec_" + "A" * 32}
    await after_a_kill(database, environment, monkeypatch)
    first, second = web.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_killed_between_sending_and_writing_it_down_a_mail_is_sent_again_as_the_same_message(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_receiver() as server:
        environment = {
            "ADJOURN_NOTIFY_SMTP_URL": f"smtp+plain://127.0.0.1:{server.port}",
            "ADJOURN_NOTIFY_MAIL_FROM": "adjourn@example.org",
            "ADJOURN_NOTIFY_MAIL_TO": '{"*": ["dana@example.org"]}',
        }
        await after_a_kill(database, environment, monkeypatch)
    first, second = server.delivered
    assert first.message["Message-ID"] == second.message["Message-ID"]
