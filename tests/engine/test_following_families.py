"""follow with children: the events of a whole family in one sequence, each with its place in the tree."""

import asyncio
from typing import Any

import pytest

from adjourn import AsyncEngine, approve
from adjourn.engine import follow_family
from adjourn.engine.events import Event, NodeStarted, Paused, Started
from adjourn.nodes.children import child
from support.eventually import eventually
from support.families import parent_of, told, working
from support.postgres import execute
from support.workflows import asking, chain, mark
from support.working import Gate

TOP, MIDDLE, LEAF = (), ("it",), ("it", "it")


def known(leaf: Any) -> dict[str, Any]:
    return {"leaf": leaf, "middle": parent_of("leaf"), "top": parent_of("middle")}


async def followed(engine: AsyncEngine, thread_id: str, **options: Any) -> list[Event]:
    return [event async for event in engine.follow(thread_id, children=True, **options)]


def said(events: list[Event]) -> list[tuple[str, tuple[str, ...]]]:
    """What kind of event each is, with the node where there is one, and of which run."""
    return [(f"{event.kind} {getattr(event, 'node', '')}".strip(), event.place) for event in events]


NESTED = [
    *[("run_started", TOP), ("node_started work", TOP)],
    *[("run_started", MIDDLE), ("node_started work", MIDDLE)],
    *[("run_started", LEAF), ("node_started one", LEAF), ("node_finished one", LEAF), ("completed", LEAF)],
    *[("node_finished work", MIDDLE), ("node_started last", MIDDLE), ("node_finished last", MIDDLE)],
    *[("completed", MIDDLE), ("node_finished work", TOP), ("node_started last", TOP), ("node_finished last", TOP)],
    ("completed", TOP),
]


async def test_a_family_is_told_as_it_happened_each_run_at_its_place(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncEngine.open(database, workflows=known(chain(("one", mark("one"))))) as engine:
        run = await engine.start("top", {"name": "x"}, thread_id="z")
    async with AsyncEngine.open(database) as engine:
        events = await followed(engine, "z")
        assert said(events) == NESTED
        runs = {event.place: event.thread_id for event in events}
        (middle,) = run.children
        assert runs == {TOP: "z", MIDDLE: middle.thread_id, LEAF: middle.children[0].thread_id}
        own = [event async for event in engine.follow("z")]
        assert said(own) == [each for each in NESTED if each[1] == TOP]
        # of the run itself only what was not seen; of its children all
        rest = await followed(engine, "z", after=own[-2].seq)
        assert said(rest) == [each for each in NESTED if each[1] != TOP] + [("completed", TOP)]
        assert said(await followed(engine, middle.thread_id))[2] == ("run_started", ("it",))
        monkeypatch.setattr(follow_family, "_AT_ONCE", 1)
        monkeypatch.setattr(follow_family, "_FEWEST", 1)
        assert said(await followed(engine, "z")) == NESTED  # page by page


async def test_what_a_child_does_elsewhere_is_told_while_it_does_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is found by looking again after a while: the database says that there is something new, and someone new."""
    monkeypatch.setattr(follow_family, "POLL_SECONDS", 60.0)
    gate, goes_on, seen = Gate(), asyncio.Event(), list[Event]()

    async def work(state: Any) -> Any:
        await goes_on.wait()
        return {"got": [told(await child("it", "leaf", {"name": "x"}))]}

    async def follow(engine: AsyncEngine) -> None:
        async for event in engine.follow("z", children=True, wait_for_start=10):
            seen.append(event)

    workflows = {"leaf": gate.graph, "top": working(work)}
    async with AsyncEngine.open(database, workflows=workflows) as engine, AsyncEngine.open(database) as other:
        driving = asyncio.create_task(engine.start("top", {"name": "x"}, thread_id="z"))
        following = asyncio.create_task(follow(other))
        await eventually(lambda: said(seen)[-1:] == [("node_started work", TOP)])
        goes_on.set()
        await eventually(lambda: said(seen)[-1:] == [("node_started wait", ("it",))])
        gate.open.set()
        await driving
        await asyncio.wait_for(following, 20)
    assert [each for each in said(seen) if each[1]][-1] == ("completed", ("it",))
    assert said(seen)[-1] == ("completed", TOP)


async def test_questions_of_children_are_shown_while_they_are_open_and_a_retry_goes_on(database: str) -> None:
    broken = [True]

    def last(state: Any) -> Any:
        if broken:
            raise OSError("not today")
        return {}

    async def work(state: Any) -> Any:
        return {"got": [told(await child("it", "asking", {"name": "x"}))]}

    workflows = {"asking": asking, "top": working(work, last)}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        run = await engine.start("top", {"name": "x"}, thread_id="z")
        seen: list[Event] = []
        async for event in engine.follow("z", children=True):
            seen.append(event)
            if isinstance(event, Paused) and event.place:
                assert [review.thread_id for review in event.reviews] == [run.children[0].thread_id]
                await engine.resume(run.children[0].thread_id, approve())
        assert said(seen)[-1] == ("failed", TOP)
        broken.clear()
        await engine.retry("z")
        again = said(await followed(engine, "z"))
        assert again[: len(seen)] == said(seen)
        assert again[-1] == ("completed", TOP)
        assert [each for each in again if each[1] == TOP].count(("run_started", TOP)) == 3
    assert any(isinstance(event, Started | NodeStarted) and event.place for event in seen)


async def test_the_end_of_a_run_is_told_after_what_its_children_wrote_down_late(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_family, "GRACE_SECONDS", 40.0)
    seen: list[Event] = []

    async def follow(engine: AsyncEngine) -> None:
        seen.extend([event async for event in engine.follow("z", children=True)])

    async with AsyncEngine.open(database, workflows=known(chain(("one", mark("one"))))) as engine:
        run = await engine.start("top", {"name": "x"}, thread_id="z")
        await eventually(
            lambda: execute(database, "select count(distinct thread_id) from adjourn.event_batches") == [(3,)]
        )
    leaf = run.children[0].children[0].thread_id
    execute(
        database,
        "create table kept as select * from adjourn.event_batches",
        f"delete from adjourn.event_batches where thread_id = '{leaf}'",
    )
    async with AsyncEngine.open(database) as engine:
        following = asyncio.create_task(follow(engine))
        await eventually(lambda: engine._listener._waiting.get(leaf))
        execute(
            database,
            f"insert into adjourn.event_batches select * from kept where thread_id = '{leaf}'",
            f"""select pg_notify('adjourn_events', '["{leaf}", 1]')""",
        )
        await asyncio.wait_for(following, 20)
    assert (said(seen)[-1], ("completed", LEAF) in said(seen)) == (("completed", TOP), True)


async def test_a_child_whose_end_nobody_wrote_down_holds_the_follower_up_for_a_moment_only(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_family, "GRACE_SECONDS", 0.1)
    async with AsyncEngine.open(database, workflows=known(chain(("one", mark("one"))))) as engine:
        await engine.start("top", {"name": "x"}, thread_id="z")
    execute(database, "delete from adjourn.event_batches where thread_id <> 'z'")
    async with AsyncEngine.open(database) as engine:
        assert said(await followed(engine, "z")) == [each for each in NESTED if each[1] == TOP]
