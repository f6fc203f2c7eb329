"""What LangGraph streams is told of a moment later: in order, with the times at which it came, and all of it."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from adjourn import AsyncEngine
from adjourn.engine.events import Custom, Event, NodeFinished, NodeStarted
from adjourn.engine.internals import Part
from adjourn.engine.telling import Moment, Teller
from adjourn.engine.translate import Translator
from support.eventually import eventually


def begun(node: str) -> Part:
    return (), "tasks", {"id": node, "name": node}


def finished(node: str) -> Part:
    return (), "tasks", {"id": node, "name": node, "error": None, "result": {"log": 1}, "interrupts": []}


def custom(data: Any) -> Part:
    return (), "custom", data


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def teller(told: list[Event], moment: Moment) -> Teller:
    return Teller(Translator("t"), told.append, moment)


async def test_parts_that_come_together_are_told_of_together_a_moment_later(teller: Teller, told: list[Event]) -> None:
    teller.take(begun("a"))
    teller.take(finished("a"))
    teller.take(begun("b"))
    assert told == []
    await eventually(lambda: bool(told))
    assert [(type(event), getattr(event, "node", None)) for event in told] == [
        (NodeStarted, "a"),
        (NodeFinished, "a"),
        (NodeStarted, "b"),
    ]
    teller.take(finished("b"))
    await eventually(lambda: len(told) == 4)  # and the next ones a moment after they come


async def test_a_node_took_the_time_between_its_parts_not_between_the_tellings(
    teller: Teller, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("adjourn.engine.telling.time.monotonic", lambda: now)
    teller.take(begun("a"))
    now = 107.5
    teller.take(finished("a"))
    now = 200.0
    teller.tell()
    assert isinstance(told[-1], NodeFinished)
    assert told[-1].seconds == 7.5


async def test_what_a_node_sends_is_told_of_at_once_behind_what_came_before(teller: Teller, told: list[Event]) -> None:
    data = {"n": 1}
    teller.take(begun("a"))
    teller.take(custom(data))
    assert [type(event) for event in told] == [NodeStarted, Custom]
    teller.take(finished("a"))
    assert len(told) == 2


async def test_telling_now_leaves_nothing_for_later(teller: Teller, told: list[Event], moment: Moment) -> None:
    teller.take(begun("a"))
    teller.tell()
    teller.tell()
    assert len(told) == 1
    assert moment._waiting == {}, "what has told is not kept in memory until the moment has passed"


WHO: ContextVar[str] = ContextVar("who")


async def test_drives_share_a_moment_and_each_tells_in_its_own_context(moment: Moment) -> None:
    told: list[tuple[str, str]] = []
    timers = []

    async def drive(name: str) -> None:
        WHO.set(name)
        teller = Teller(Translator(name), lambda event: told.append((WHO.get(), event.thread_id)), moment)
        teller.take(begun("a"))
        timers.append(moment._timer)

    await asyncio.gather(*(asyncio.create_task(drive(name)) for name in "abc"))
    await eventually(lambda: len(told) == 3)
    assert told == [("a", "a"), ("b", "b"), ("c", "c")]
    assert len(set(timers)) == 1


@pytest.fixture
def never_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.telling._MOMENT_SECONDS", 3600.0)


@pytest.mark.usefixtures("never_in_a_moment")
@pytest.mark.parametrize("tokens", [False, True])
async def test_everything_is_told_of_before_the_end_of_the_run(engine: AsyncEngine, tokens: bool) -> None:
    kinds: list[str] = []
    run = await engine.start("asking", {"name": "x"}, on_event=lambda event: kinds.append(event.kind), tokens=tokens)
    assert run.status == "paused"
    assert kinds == ["run_started", *["node_started", "node_finished"] * 2, "paused"]


@pytest.mark.usefixtures("never_in_a_moment")
async def test_the_node_that_failed_is_known_at_the_end(engine: AsyncEngine) -> None:
    kinds: list[str] = []
    run = await engine.start("flaky", {"name": "x"}, on_event=lambda event: kinds.append(event.kind))
    assert run.error is not None
    assert run.error["node"] == "flaky"
    assert kinds[-2:] == ["node_finished", "failed"]
