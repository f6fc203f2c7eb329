"""LangGraph is called while PostgreSQL records what gives the right to a run, and does nothing before that is recorded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from structlog.testing import capture_logs

from adjourn import AsyncEngine, Event, ReviewClosed, Run, ThreadExists
from adjourn.engine.feeding import EarlyCall
from adjourn.engine.setting_up import Upcoming
from adjourn.engine.work import Claimed
from support.postgres import execute
from support.workflows import Trail, ask, chain, mark
from support.working import Gate

ASKS_FIRST = "select status from adjourn.reviews"


class Early:
    """Says when LangGraph has come to its first read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.count = 0
        read = EarlyCall.read

        async def reading(call: EarlyCall) -> Any:
            self.count += 1
            self.reached.set()
            return await read(call)

        monkeypatch.setattr(EarlyCall, "read", reading)


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> Early:
    return Early(monkeypatch)


@contextmanager
def locked(database: str, statement: str) -> Iterator[None]:
    """Hold what a statement locks while the block runs."""
    with psycopg.connect(database) as connection:
        connection.execute(statement)  # type: ignore[call-overload]
        yield


def answers_wait(database: str) -> Any:
    return locked(database, "select from adjourn.runs for update")


def new_runs_wait(database: str) -> Any:
    return locked(database, "lock table adjourn.runs in share mode")


async def some_turns() -> None:
    """Let whatever could go on do so."""
    for _ in range(200):
        await asyncio.sleep(0)


def drives() -> list[Any]:
    """Return the drives that are set up or under way."""
    found = (task.get_coro() for task in asyncio.all_tasks())
    return [each for each in found if getattr(each, "__qualname__", "") == "Driver.drive"]


@dataclass
class Counted:
    """A workflow that asks and then counts."""

    ran: int = 0

    def graph(self) -> StateGraph[Trail]:
        def count(state: Trail) -> Trail:
            self.ran += 1
            return {"trail": ["count"]}

        return chain(("ask", ask), ("count", count))


async def test_nothing_happens_before_the_answer_is_recorded(database: str, early: Early) -> None:
    counted, events = Counted(), list[Event]()
    async with AsyncEngine.open(database, workflows={"counted": counted.graph()}) as engine:
        run = await engine.start("counted", {"name": "x"})
        early.reached.clear()
        with answers_wait(database):
            answering = asyncio.create_task(engine.resume(run.thread_id, "approve", on_event=events.append))
            await early.reached.wait()
            await some_turns()
            assert execute(database, ASKS_FIRST) == [("pending",)]
            assert (counted.ran, events, engine._keeper.count, len(drives())) == (0, [], 0, 1)
        run = await answering
        assert (run.status, run.state["trail"], counted.ran) == ("completed", ["ask", "count"], 1)
        assert [each.kind for each in events].index("run_started") == 0
        assert len([each for each in events if each.kind == "run_started"]) == 1
        assert drives() == []


async def test_nothing_happens_before_the_run_is_accepted(database: str, early: Early) -> None:
    events = list[Event]()
    async with AsyncEngine.open(database, workflows={"marks": chain(("a", mark("a")))}) as engine:
        with new_runs_wait(database):
            starting = asyncio.create_task(engine.start("marks", {"name": "x"}, on_event=events.append))
            await early.reached.wait()
            await some_turns()
            assert execute(database, "select from checkpoints") == []
            assert (events, engine._keeper.count, len(drives())) == ([], 0, 1)
        assert ((await starting).status, drives()) == ("completed", [])


async def test_of_two_answers_one_drives_and_the_other_is_dropped(database: str, early: Early) -> None:
    counted = Counted()
    async with AsyncEngine.open(database, workflows={"counted": counted.graph()}) as engine:
        run = await engine.start("counted", {"name": "x"})
        early.count = 0
        with answers_wait(database):
            both = [asyncio.create_task(engine.resume(run.thread_id, each)) for each in ("approve", "reject")]
            while early.count < 2:
                await asyncio.sleep(0.001)
        with capture_logs() as logs:
            ended = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(each) for each in ended if not isinstance(each, Run)) == [ReviewClosed]
        (run,) = (each for each in ended if isinstance(each, Run))
        # the other's question was closed when it was read: it was never ours to drive
        assert (run.status, counted.ran) == ("completed", 1)
        assert (drives(), engine._keeper.count) == ([], 0)
        assert execute(database, "select count(*) from adjourn.decisions") == [(1,)]
        assert [each["event"] for each in logs if each["log_level"] == "warning"] == []


async def test_an_answer_that_is_judged_once_more_still_finds_its_drive(database: str, early: Early) -> None:
    counted = Counted()
    async with AsyncEngine.open(database, workflows={"counted": counted.graph()}) as engine:
        run = await engine.start("counted", {"name": "x"})
        early.reached.clear()
        with answers_wait(database):
            answering = asyncio.create_task(engine.resume(run.thread_id, "approve"))
            await early.reached.wait()
            # the look is too old then, and the answer is judged under the lock
            await asyncio.sleep(1.05)
        assert (await answering).status == "completed"
        assert (counted.ran, drives()) == (1, [])


async def test_an_answer_to_a_run_that_has_failed_is_kept_for_its_retry_and_drives_nothing(
    database: str, early: Early
) -> None:
    broken, ran = True, 0

    async def fails(state: Trail) -> Trail:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0.05)  # the other has asked by then
        if broken:
            raise ValueError("broken")
        return {"trail": ["mended"]}

    graph = StateGraph(Trail)
    for name, node in (("ask", ask), ("fails", fails)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    async with AsyncEngine.open(database, workflows={"half": graph}) as engine:
        run = await engine.start("half", {"name": "x"})
        assert (run.status, len(run.reviews)) == ("failed", 1)
        run = await engine.resume(run.thread_id, "approve")
        assert (run.status, run.reviews, ran, drives()) == ("failed", (), 1, [])
        broken = False
        run = await engine.retry(run.thread_id)
    assert (run.status, run.state["trail"]) == ("completed", ["ask", "mended"])


async def test_a_call_that_is_cancelled_leaves_no_drive(database: str, early: Early) -> None:
    counted = Counted()
    async with AsyncEngine.open(database, workflows={"counted": counted.graph()}) as engine:
        run = await engine.start("counted", {"name": "x"})
        early.reached.clear()
        with answers_wait(database):
            answering = asyncio.create_task(engine.resume(run.thread_id, "approve"))
            await early.reached.wait()
            answering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await answering
            assert (drives(), engine._keeper.count, counted.ran) == ([], 0, 0)
        run = await engine.get(run.thread_id)
        assert (run.status, run.error) == ("paused", None)
        assert (await engine.resume(run.thread_id, "approve")).status == "completed"


async def test_a_start_that_is_refused_leaves_no_drive(database: str, early: Early) -> None:
    events = list[Event]()
    async with AsyncEngine.open(database, workflows={"marks": chain(("a", mark("a")))}) as engine:
        await engine.start("marks", {"name": "x"}, thread_id="t")
        with pytest.raises(ThreadExists):
            await engine.start("marks", {"name": "y"}, thread_id="t", on_event=events.append)
        assert (early.count, events, drives()) == (2, [], [])
        run = await engine.get("t")
        assert (run.status, run.error, run.state["name"]) == ("completed", None, "x")


class Hears(AsyncCallbackHandler):
    """Remembers what graphs and nodes are called with."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    async def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
        self.given.append(inputs)


async def test_who_observes_langgraph_hears_of_an_answer_that_is_recorded_and_of_no_other(
    database: str, early: Early
) -> None:
    hears = Hears()
    graph = chain(("ask", ask)).compile(name="heard").with_config(callbacks=[hears])
    async with AsyncEngine.open(database, workflows={"heard": graph}) as engine:
        run = await engine.start("heard", {"name": "x"})
        hears.given.clear()
        with answers_wait(database):
            answering = asyncio.create_task(engine.resume(run.thread_id, "approve"))
            while not drives():
                await asyncio.sleep(0.001)
            await some_turns()
            assert hears.given == []
        assert (await answering).status == "completed"
    assert early.count == 0
    command = hears.given[0]
    assert isinstance(command, Command)
    assert isinstance(command.resume, dict)
    ((_, answer),) = command.resume.items()
    assert answer["decisions"] == [{"type": "approve"}]


@dataclass
class Wants:
    """What the graph wants to be given as its context."""

    name: str


async def test_a_failure_before_the_first_read_is_an_outcome_of_the_run(database: str, early: Early) -> None:
    builder = StateGraph(Trail, context_schema=Wants)
    builder.add_node("a", mark("a"))
    builder.add_edge(START, "a")
    builder.add_edge("a", END)
    async with AsyncEngine.open(database, workflows={"wants": builder}) as engine:
        with new_runs_wait(database):
            starting = asyncio.create_task(engine.start("wants", {"name": "x"}, context={"title": "?"}))
            await asyncio.sleep(0.2)  # long enough for the failure, were it not to wait
            assert len(drives()) == 1
        run = await starting
        assert (run.status, run.error and run.error["type"], early.count) == ("failed", "TypeError", 0)
        assert drives() == []


async def test_a_busy_process_does_one_thing_after_the_other(database: str, early: Early) -> None:
    gate = Gate()
    async with AsyncEngine.open(database, workflows={"gate": gate.graph, "marks": chain(("a", mark("a")))}) as engine:
        held = [asyncio.create_task(engine.start("gate", {"name": "x"}))]
        await gate.reached.wait()
        gate.reached.clear()
        held.append(asyncio.create_task(engine.start("gate", {"name": "x"})))
        await gate.reached.wait()
        early.count = 0
        assert (await engine.start("marks", {"name": "x"})).status == "completed"
        assert early.count == 0
        gate.open.set()
        assert [run.status for run in await asyncio.gather(*held)] == ["completed", "completed"]


async def test_what_is_refused_before_it_was_set_up_is_not_set_up_later() -> None:
    made: list[Any] = []
    upcoming = Upcoming(made.append, early=True)  # type: ignore[arg-type]
    upcoming.expect({"thread_id": "t"})
    await upcoming.refuse()
    await some_turns()
    assert made == []


async def test_what_cannot_be_set_up_fails_when_the_run_is_ours() -> None:
    def refuse(row: Any) -> Any:
        raise ValueError(row["thread_id"])

    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    upcoming = Upcoming(refuse, early=True)
    upcoming.expect({"thread_id": "t"})
    await some_turns()
    with pytest.raises(ValueError, match="t"):
        upcoming.ours(Claimed({"thread_id": "t"}))
    assert unheard == []
