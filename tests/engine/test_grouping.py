"""What many runs need at one moment is done together, and each caller has its own outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import errors

from adjourn import AsyncEngine
from adjourn.engine.grouping import Grouping
from support.workflows import Trail, chain


@dataclass
class Item:
    thread_id: str
    bad: bool = False


class Work:
    """Does groups when it is let; refuses those with a bad item."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception = errors.CheckViolation("no")

    async def __call__(self, items: Sequence[Item]) -> dict[str, str]:
        self.groups.append([item.thread_id for item in items])
        await self.gate.wait()
        if any(item.bad for item in items):
            raise self.error
        return {item.thread_id: f"{item.thread_id} done" for item in items if item.thread_id != "unknown"}


@pytest.fixture
async def work() -> Work:
    return Work()


async def handed_over(grouping: Grouping[Item, str], *items: Item) -> list[asyncio.Task[str | None]]:
    tasks = []
    for item in items:
        tasks.append(asyncio.create_task(grouping.do(item)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_what_arrives_while_one_is_done_is_the_next_group(work: Work) -> None:
    tasks = await handed_over(Grouping(work), *(Item(each) for each in ("a", "b", "c", "unknown", "c")))
    work.gate.set()
    assert await asyncio.gather(*tasks) == ["a done", "b done", "c done", None, "c done"]
    assert work.groups == [["a"], ["b"], ["c", "unknown"], ["c"]], "a thread is in a group once"


async def test_what_arrives_at_the_moment_at_which_all_is_done_is_done(work: Work) -> None:
    grouping = Grouping(work)

    async def twice() -> list[str | None]:
        return [await grouping.do(Item("a")), await grouping.do(Item("a"))]

    task = asyncio.create_task(twice())
    await asyncio.sleep(0)
    (other,) = await handed_over(grouping, Item("b"))
    work.gate.set()
    assert await asyncio.wait_for(task, 5) == ["a done", "a done"]
    assert await other == "b done"


async def test_a_refused_one_fails_alone(work: Work) -> None:
    tasks = await handed_over(Grouping(work), Item("x"), Item("a"), Item("b"), Item("c", bad=True), Item("d"))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in results] == ["x done", "a done", "b done", "no", "d done"]


async def test_one_that_cannot_even_be_sent_fails_alone(work: Work) -> None:
    work.error = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    tasks = await handed_over(Grouping(work), Item("x"), Item("a"), Item("b"), Item("c", bad=True))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:3] == ["x done", "a done", "b done"]
    assert isinstance(results[3], UnicodeEncodeError)


@pytest.mark.parametrize("kind", [psycopg.OperationalError, errors.AdminShutdown])
async def test_a_dead_connection_is_told_to_all_and_nothing_is_done_twice(
    work: Work, kind: type[psycopg.Error]
) -> None:
    work.error = kind("the connection is lost")
    tasks = await handed_over(Grouping(work), Item("x"), Item("a"), Item("b"), Item("c", bad=True))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in results] == ["x done", "a done", "the connection is lost", "the connection is lost"]
    assert work.groups == [["x"], ["a"], ["b", "c"]]


async def test_a_cancelled_caller_harms_nobody(work: Work) -> None:
    tasks = await handed_over(Grouping(work), Item("x"), Item("a"), Item("b"), Item("c"))
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(tasks[1], tasks[3]) == ["a done", "c done"]
    assert [task.cancelled() for task in tasks] == [True, False, True, False]


async def test_a_cancelled_caller_of_what_fails_harms_nobody_either(work: Work) -> None:
    grouping = Grouping(work)
    tasks = await handed_over(grouping, Item("x"), Item("a", bad=True), Item("b"))
    tasks[1].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.wait_for(tasks[2], 5) == "b done"


async def test_a_group_has_an_end(work: Work) -> None:
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), *(Item(f"t{number}") for number in range(40)))
    work.gate.set()
    assert None not in await asyncio.gather(*tasks)
    assert [len(group) for group in work.groups] == [1, 1, 16, 16, 8]
    assert [thread for group in work.groups[2:] for thread in group] == [f"t{number}" for number in range(40)]


async def test_callers_are_let_go_when_the_work_is_stopped(work: Work) -> None:
    """As the end of an event loop does: nobody may wait for ever for what nobody does any more."""
    grouping = Grouping(work)
    (task,) = await handed_over(grouping, Item("a"))
    (lane,) = grouping._lanes
    lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def counting() -> tuple[Any, list[str]]:
    calls: list[str] = []

    async def node(state: Trail) -> Trail:
        calls.append(str(state["name"]))
        return {"answer": state["name"]}

    return chain(("node", node)), calls


async def test_of_many_starts_with_one_id_one_runs_and_their_neighbours_are_not_mixed_up(database: str) -> None:
    graph, calls = counting()
    async with AsyncEngine.open(database, workflows={"counting": graph}) as engine:
        same = [engine.start("counting", {"name": "same"}, thread_id="same") for _ in range(8)]
        others = [engine.start("counting", {"name": f"n{n}"}, thread_id=f"t{n}") for n in range(12)]
        runs = await asyncio.gather(*same, *others)
        assert {run.thread_id for run in runs[:8]} == {"same"}
        assert [(run.thread_id, run.status, run.state["answer"]) for run in runs[8:]] == [
            (f"t{n}", "completed", f"n{n}") for n in range(12)
        ]
        assert sorted(calls) == sorted(["same", *(f"n{n}" for n in range(12))])
        assert (await engine.get("same")).status == "completed"


async def test_the_end_of_a_run_is_not_read_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = counting()
    async with AsyncEngine.open(database, workflows={"counting": graph}) as engine:

        async def never(thread_id: str) -> Any:
            raise AssertionError("the last checkpoint was read")

        monkeypatch.setattr(engine._reader, "latest", never)
        run = await engine.start("counting", {"name": "x"})
    assert (run.status, run.state["answer"]) == ("completed", "x")
    with psycopg.connect(database) as connection:
        lease = connection.execute("select expires_at = '-infinity' from adjourn.leases").fetchall()
    assert lease == [(True,)], "the lease was given back with the end"
