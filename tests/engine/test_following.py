"""follow: the events of a run that another process drives; nothing is lost, whatever happens to the listener."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from adjourn import AsyncEngine, Engine, Principal, UnknownThread, approve
from adjourn.engine import follow
from adjourn.engine.event_json import LARGEST, from_row, to_payload
from adjourn.engine.events import (
    Cancelled,
    Completed,
    Custom,
    Event,
    Failed,
    ModelToken,
    NodeFinished,
    NodeStarted,
    Paused,
    Started,
)
from adjourn.engine.recorder import KEPT, Recorder
from adjourn.settings import Settings
from support.eventually import eventually
from support.postgres import execute
from support.processes import Child, child
from support.workflows import asking, chain, mark

ASKED = [Started, NodeStarted, NodeFinished, NodeStarted, NodeFinished, Paused]
ANSWERED = [Started, NodeStarted, NodeFinished, NodeStarted, NodeFinished, Completed]

DRIVER = """
    from adjourn import Engine, approve
    from support.workflows import chain, mark
    from langgraph.config import get_stream_writer

    def told(number):
        def node(state):
            reach(f"node{number}")
            get_stream_writer()(number)
            return {"trail": [f"node{number}"]}
        return node

    graph = chain(*((f"node{number}", told(number)) for number in range(4)))
    with Engine.open(sys.argv[1], workflows={"told": graph}) as engine:
        run = engine.start("told", {"name": "x"}, thread_id="t")
        print(run.status)
"""


@contextlib.contextmanager
def driver(database: str) -> Any:
    with child(DRIVER, database, environment={"PYTHONPATH": str(Path(__file__).parents[1])}) as process:
        yield process


class Follower:
    """Follows a run in the background."""

    def __init__(self, engine: AsyncEngine, thread_id: str, **options: Any) -> None:
        self.seen: list[Event] = []
        self.task = asyncio.create_task(self._follow(engine, thread_id, options))

    async def _follow(self, engine: AsyncEngine, thread_id: str, options: dict[str, Any]) -> None:
        async for event in engine.follow(thread_id, **options):
            self.seen.append(event)

    def custom(self) -> list[int]:
        return [event.data for event in self.seen if isinstance(event, Custom)]


async def through(process: Child, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await asyncio.to_thread(process.wait_for, f"node{number}")
        process.go_on()


@pytest.fixture
async def watching(database: str) -> AsyncIterator[AsyncEngine]:
    """An engine that only looks; it knows none of the workflows."""
    async with AsyncEngine.open(database) as engine:
        yield engine


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers look after tenths of a second where it would be seconds."""
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.3)
    monkeypatch.setattr(follow, "GRACE_SECONDS", 0.2)


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


async def test_a_run_is_followed_across_its_pause_to_its_end(engine: AsyncEngine, watching: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    follower = Follower(watching, run.thread_id)
    await eventually(lambda: kinds(follower.seen) == ASKED)
    assert follower.seen[-1].reviews == run.reviews  # type: ignore[attr-defined]
    await engine.resume(run.thread_id, approve())
    await asyncio.wait_for(follower.task, 10)
    assert kinds(follower.seen) == ASKED + ANSWERED
    assert [event.seq for event in follower.seen] == list(range(1, 13))


async def test_the_events_are_those_that_the_driver_saw(engine: AsyncEngine, watching: AsyncEngine) -> None:
    events: list[Event] = []
    run = await engine.start("flaky", {"name": "x"}, on_event=events.append)
    follower = Follower(watching, run.thread_id)
    await asyncio.wait_for(follower.task, 10)
    assert follower.seen == events


async def test_a_run_that_has_ended_is_told_again_and_from_any_number(
    engine: AsyncEngine, watching: AsyncEngine
) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve())
    whole = Follower(watching, run.thread_id)
    await asyncio.wait_for(whole.task, 10)
    assert kinds(whole.seen)[:6] == ASKED
    assert whole.seen[5].reviews == ()  # type: ignore[attr-defined]
    rest, nothing = (Follower(watching, run.thread_id, after=after) for after in (9, 12))
    async with asyncio.timeout(10):
        await asyncio.gather(rest.task, nothing.task)
    assert [event.seq for event in rest.seen] == [10, 11, 12]
    assert nothing.seen == []


async def test_a_run_that_is_started_later_can_be_waited_for(engine: AsyncEngine, watching: AsyncEngine) -> None:
    with pytest.raises(UnknownThread):
        async for _ in watching.follow("t"):
            pass
    follower = Follower(watching, "t", wait_for_start=30.0)
    await engine.start("asking", {"name": "x"}, thread_id="t")
    await engine.cancel("t", reason="enough", by="dana")
    await asyncio.wait_for(follower.task, 10)
    assert kinds(follower.seen) == [*ASKED, Cancelled]
    assert follower.seen[-1] == Cancelled("t", {"type": "Cancelled", "message": "enough", "by": "dana"})


async def test_another_process_is_followed_while_it_works(watching: AsyncEngine, database: str) -> None:
    with driver(database) as process:
        follower = Follower(watching, "t", wait_for_start=30.0)
        for number in range(4):
            await through(process, number, number)
            await eventually(lambda number=number: follower.custom() == list(range(number + 1)), timeout=2.5)  # type: ignore[misc]
        await asyncio.wait_for(follower.task, 10)
        assert "completed" in process.finish()
    assert follower.custom() == [0, 1, 2, 3]


async def test_nothing_is_lost_when_the_listener_is_cut_off(watching: AsyncEngine, database: str) -> None:
    listening = "pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    with driver(database) as process:
        follower = Follower(watching, "t", wait_for_start=30.0)
        await through(process, 0, 0)
        await eventually(lambda: follower.custom() == [0])
        first = execute(database, f"select {listening}")
        execute(database, f"select pg_terminate_backend(pid) from (select {listening}) as gone")
        await through(process, 1, 2)
        await eventually(lambda: follower.custom() == [0, 1, 2])
        again = await eventually(lambda: execute(database, f"select {listening}"))
        assert again != first
        await through(process, 3, 3)
        await asyncio.wait_for(follower.task, 10)
    assert follower.custom() == [0, 1, 2, 3]
    assert [event.seq for event in follower.seen] == list(range(1, len(follower.seen) + 1))


async def test_without_any_notification_the_follower_reads_by_itself(database: str, hurried: None) -> None:
    # what a transaction pooler does to LISTEN: it is accepted, and nothing comes
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        engine._listener._wake = lambda payload: None  # type: ignore[method-assign]
        run = await engine.start("asking", {"name": "x"})
        follower = Follower(engine, run.thread_id)
        await eventually(lambda: kinds(follower.seen) == ASKED)
        await engine.resume(run.thread_id, approve())
        await asyncio.wait_for(follower.task, 10)
    assert kinds(follower.seen) == ASKED + ANSWERED


async def test_a_run_whose_last_event_was_never_written_still_ends(
    engine: AsyncEngine, database: str, hurried: None
) -> None:
    run = await engine.start("flaky", {"name": "x"})
    stored = f"select count(*) from adjourn.events where thread_id = '{run.thread_id}'"
    await eventually(lambda: execute(database, stored)[0][0] == 6)
    # whichever batches they came in: the last event is taken off, with its batch if it was alone there
    execute(database, "delete from adjourn.event_batches where last_seq = 6 and jsonb_array_length(events) = 1")
    execute(database, "update adjourn.event_batches set events = events - (-1), last_seq = 5 where last_seq = 6")
    follower = Follower(engine, run.thread_id)
    await asyncio.wait_for(follower.task, 10)
    assert kinds(follower.seen)[-1] is Failed
    assert (follower.seen[-1].seq, follower.seen[-1].error) == (None, run.error)  # type: ignore[attr-defined]


async def test_an_earlier_failure_is_not_taken_for_the_end(engine: AsyncEngine, flaky: Any) -> None:
    run = await engine.start("flaky", {"name": "x"})
    flaky.broken = False
    await engine.retry(run.thread_id)
    follower = Follower(engine, run.thread_id)
    await asyncio.wait_for(follower.task, 10)
    assert [each for each in kinds(follower.seen) if each in (Failed, Completed)] == [Failed, Completed]


async def test_the_failure_of_an_earlier_attempt_is_not_taken_for_that_of_a_later_one(
    engine: AsyncEngine, watching: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch, hurried: None
) -> None:
    run = await engine.start("flaky", {"name": "x"})
    await eventually(lambda: execute(database, "select 1 from adjourn.events where kind = 'failed'"))
    monkeypatch.setattr(engine._recorder, "record", lambda event: None)  # the second attempt dies before it tells
    await engine.retry(run.thread_id)
    follower = Follower(watching, run.thread_id)
    await asyncio.wait_for(follower.task, 10)
    assert [event.seq is None for event in follower.seen if isinstance(event, Failed)] == [False, True]


async def test_a_run_that_is_cancelled_while_it_works_ends_with_that(database: str, watching: AsyncEngine) -> None:
    reached = asyncio.Event()

    async def forever(state: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    quick = Settings(cancel_grace_seconds=0.1)
    async with AsyncEngine.open(database, workflows={"slow": chain(("forever", forever))}, settings=quick) as engine:
        starting = asyncio.create_task(engine.start("slow", {"name": "x"}, thread_id="t"))
        await reached.wait()
        follower = Follower(watching, "t")
        await engine.cancel("t", reason="enough")
        assert (await starting).status == "cancelled"
        await asyncio.wait_for(follower.task, 10)
    assert kinds(follower.seen) == [Started, NodeStarted, Cancelled]
    stored = execute(database, "select kind from adjourn.events order by seq")
    assert [kind for (kind,) in stored] == ["run_started", "node_started", "cancelled"]


async def test_a_run_of_another_tenant_is_unknown(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"})
    async with AsyncEngine.open(database, principal=Principal("eve", tenant="other")) as other:
        with pytest.raises(UnknownThread):
            async for _ in other.follow(run.thread_id):
                pass


async def test_the_pieces_of_a_models_text_come_joined(database: str, watching: AsyncEngine) -> None:
    from adjourn.testing import ScriptedChatModel

    model = ScriptedChatModel(["good morning to you all, and a good day too"])

    async def speak(state: Any) -> dict[str, Any]:
        return {"answer": (await model.ainvoke("hello")).text}

    async with AsyncEngine.open(database, workflows={"speaking": chain(("speak", speak))}) as engine:
        events: list[Event] = []
        run = await engine.start("speaking", {"name": "x"}, tokens=True, on_event=events.append)
        follower = Follower(watching, run.thread_id)
        await asyncio.wait_for(follower.task, 10)
    pieces = [event for event in events if isinstance(event, ModelToken)]
    joined = [event for event in follower.seen if isinstance(event, ModelToken)]
    assert len(joined) < len(pieces)
    assert "".join(event.text for event in joined) == "good morning to you all, and a good day too"


async def test_a_long_run_keeps_its_last_events_and_old_ones_go(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="long")
        await engine.start("asking", {"name": "x"}, thread_id="old")
        await engine.cancel("old", reason="r")
        await engine.start("asking", {"name": "x"}, thread_id="paused")
    for thread, count in (("long", KEPT + 897), ("old", 20), ("paused", 20)):
        execute(
            database,
            f"""insert into adjourn.event_batches
                select '{thread}', g + 100, now() - interval '30 days', '[{{"kind": "completed", "payload": {{}}}}]'
                from generate_series(1, {count}) as g""",
        )
    execute(database, "update adjourn.runs set ended_at = now() - interval '20 days' where thread_id = 'old'")
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        await engine.resume("long", approve())
    left = dict(execute(database, "select thread_id, count(*) from adjourn.events group by 1"))
    assert left["paused"] == 26
    assert left["old"] == 8  # those of today, and the last of the old ones: its number must not be given again
    assert KEPT <= left["long"] < KEPT + 100  # how events fall into batches decides about the last few


def test_the_blocking_engine_follows_too(database: str) -> None:
    with Engine.open(database, workflows={"asking": asking}) as engine:
        run = engine.start("asking", {"name": "x"})
        events = engine.follow(run.thread_id)
        assert [type(next(events)) for _ in ASKED] == ASKED
        engine.resume(run.thread_id, approve())
        assert kinds(list(events)) == ANSWERED


EVENTS: list[Event] = [
    Started("t", "w"),
    NodeStarted("t", "n", ("a", "b")),
    NodeFinished("t", "n", (), 0.5, ("key",), "failed", "ValueError: no"),
    ModelToken("t", "n", "text"),
    Custom("t", ("a",), {"x": [1, None]}),
    Completed("t"),
    Failed("t", {"type": "ValueError", "message": "no", "node": "n"}),
    Cancelled("t", {"message": "no"}),
    Paused("t", ()),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_each_event_comes_back_as_it_was(event: Event) -> None:
    row = {"seq": 3, "at": None, "kind": event.kind, "payload": to_payload(event)}
    found = from_row("t", row, {})
    assert (found, found and found.seq) == (event, 3)


def test_what_is_no_json_or_too_large_is_described() -> None:
    assert to_payload(Custom("t", (), {"o": object}))["data"].startswith("dict: {'o': <class 'object'>}")
    assert to_payload(Custom("t", (), float("nan")))["data"] == "float: nan"
    assert to_payload(Custom("t", ("a\x00b", "c"), None)) == {"path": "list: ['a\\x00b', 'c']", "data": None}
    assert to_payload(Custom("t", (), ["x" * LARGEST]))["data"] == "a list of about 16,388 characters"
    assert len(to_payload(ModelToken("t", "n", "x" * 2 * LARGEST))["text"]) == LARGEST


def test_an_event_of_a_newer_adjourn_is_passed_over() -> None:
    assert from_row("t", {"seq": 1, "at": None, "kind": "sneezed", "payload": {}}, {}) is None
    assert from_row("t", {"seq": 1, "at": None, "kind": "completed", "payload": {"new": 1}}, {}) == Completed("t")


async def test_a_slow_database_costs_details_and_no_more(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from adjourn.engine import recorder as module

    monkeypatch.setattr(module, "_FEW", 3)
    recorder = module.Recorder(pool=None, seal=None, days=7)  # type: ignore[arg-type]
    monkeypatch.setattr(recorder, "_writer", object())  # nobody writes
    for number in range(10):
        recorder.record(Custom("t", (), number))
        recorder.record(ModelToken("t", str(number), "x"))
        recorder.record(NodeStarted("t", str(number), ()))
    assert len([event for event in recorder._waiting if isinstance(event, NodeStarted)]) == 10
    assert len(recorder._waiting) == 12


async def test_two_processes_that_tell_of_one_run_lose_nothing(engine: AsyncEngine, database: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    stored = "select seq, kind from adjourn.events where thread_id = 't' order by seq"
    await eventually(lambda: len(execute(database, stored)) == 6)
    with psycopg.connect(database) as other:
        event = '{"kind": "custom", "payload": {"path": [], "data": 1}}'
        other.execute("select adjourn.add_events(%s, 'c')", [f'[{{"thread": "t", "events": [{event}, {event}]}}]'])
        engine._recorder.record(Custom("t", (), 2))
        blocked = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%adjourn.add_events%'"
        await eventually(lambda: execute(database, blocked))
        other.commit()
    assert await eventually(lambda: execute(database, stored)[6:] == [(7, "custom"), (8, "custom"), (9, "custom")])


async def test_events_of_several_runs_are_written_in_the_order_in_which_everybody_locks_runs(
    engine: AsyncEngine, database: str
) -> None:
    for number in range(6):
        await engine.start("asking", {"name": "x"}, thread_id=f"t{number}")
    event = '{"kind": "custom", "payload": {}}'
    given = "[" + ", ".join(f'{{"thread": "t{number}", "events": [{event}]}}' for number in reversed(range(6))) + "]"
    writing = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%add_events%'"
    with psycopg.connect(database) as erasing, psycopg.connect(database) as writer:
        erasing.execute("select from adjourn.runs where thread_id = 't0' for update")
        told = asyncio.create_task(asyncio.to_thread(writer.execute, "select adjourn.add_events(%s, 'c')", [given]))
        await eventually(lambda: execute(database, writing))
        # it waits for the first and holds none of the others
        free = erasing.execute("select thread_id from adjourn.runs order by thread_id for update nowait").fetchall()
        assert [thread for (thread,) in free] == [f"t{number}" for number in range(6)]
        erasing.rollback()
        await told


async def test_a_recorder_that_cannot_write_harms_no_run(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"marked": chain(("a", mark("a")))}) as engine:
        execute(database, "drop table adjourn.event_batches cascade")
        run = await engine.start("marked", {"name": "x"})
    assert run.status == "completed"


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no words")


async def test_an_event_that_cannot_even_be_put_into_words_costs_no_other_one(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr("adjourn.engine.recorder._log", log)
    for data in ("before", Unspeakable(), "after"):
        engine._recorder.record(Custom("t", (), data))
    await eventually(lambda: [call.kwargs for call in log.calls if call.method_name == "warning"] == [{"count": 1}])
    said = "select payload ->> 'data' from adjourn.events where kind = 'custom' order by seq"
    assert execute(database, said) == [("before",), ("after",)]


async def test_an_engine_that_is_closed_while_it_writes_events_writes_none_twice(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Recorder._insert

    async def told_late(self: Recorder, batch: list[Event]) -> None:
        await insert(self, batch)
        await asyncio.sleep(0.2)

    monkeypatch.setattr(Recorder, "_insert", told_late)
    kinds = "select kind from adjourn.events where kind = 'completed'"
    async with AsyncEngine.open(database, workflows={"quick": chain(("mark", mark("mark")))}) as engine:
        await engine.start("quick", {"name": "x"})
        await eventually(lambda: execute(database, kinds))
    assert execute(database, kinds) == [("completed",)]


async def test_events_that_come_while_others_are_written_are_written_together_and_none_is_lost_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[list[str]] = []
    writing, go_on = asyncio.Event(), asyncio.Event()

    async def insert(self: Recorder, batch: list[Event]) -> None:
        batches.append([event.thread_id for event in batch])
        writing.set()
        await go_on.wait()

    async def write_and_add(name: str) -> None:
        """Have the next batch written, add an event meanwhile, and let everything go on that can."""
        recorder.hasten()
        await asyncio.wait_for(writing.wait(), 5)
        recorder.record(Completed(name))
        go_on.set()
        for _ in range(10):
            await asyncio.sleep(0)
        go_on.clear()
        writing.clear()

    monkeypatch.setattr(Recorder, "_insert", insert)
    monkeypatch.setattr("adjourn.engine.recorder._PAUSE", 60.0)
    recorder = Recorder(None, None, 1)  # type: ignore[arg-type]
    recorder.record(Completed("a"))
    await write_and_add("b")
    assert batches == [["a"]], "what came meanwhile waits for more"
    recorder.record(Completed("c"))
    monkeypatch.setattr("adjourn.engine.recorder._PAUSE", 0.01)
    closing = asyncio.create_task(recorder.close())
    await write_and_add("d")
    go_on.set()
    await asyncio.wait_for(closing, 5)
    assert batches == [["a"], ["b", "c"], ["d"]]
