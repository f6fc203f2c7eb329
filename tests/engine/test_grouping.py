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
from adjourn.engine.run_groups import RunGroups
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
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), Item("unknown"), Item("b"))
    work.gate.set()
    assert await asyncio.gather(*tasks) == ["a done", "b done", None, "b done"]
    assert work.groups == [["a"], ["b", "unknown"], ["b"]], "a thread is in a group once"


async def test_a_refused_one_fails_alone(work: Work) -> None:
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), Item("c", bad=True), Item("d"))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in results] == ["a done", "b done", "no", "d done"]


async def test_one_that_cannot_even_be_sent_fails_alone(work: Work) -> None:
    work.error = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), Item("c", bad=True))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:2] == ["a done", "b done"]
    assert isinstance(results[2], UnicodeEncodeError)


async def test_a_dead_connection_is_told_to_all_and_nothing_is_done_twice(work: Work) -> None:
    work.error = psycopg.OperationalError("the connection is lost")
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), Item("c", bad=True))
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(each) for each in results] == ["a done", "the connection is lost", "the connection is lost"]
    assert work.groups == [["a"], ["b", "c"]]


async def test_a_cancelled_caller_harms_nobody(work: Work) -> None:
    tasks = await handed_over(Grouping(work), Item("a"), Item("b"), Item("c"))
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(*tasks[2:]) == ["c done"]
    assert [task.cancelled() for task in tasks] == [True, True, False]


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


async def test_the_last_checkpoint_brings_the_end_with_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*args: Any) -> None:
        raise AssertionError("the end was recorded by itself")

    monkeypatch.setattr(RunGroups, "end", never)
    graph, _ = counting()
    async with AsyncEngine.open(database, workflows={"counting": graph}) as engine:
        run = await engine.start("counting", {"name": "x"})
        assert (run.status, run.state["answer"]) == ("completed", "x")
        assert run.ended_at is not None
        with psycopg.connect(database) as connection:
            lease = connection.execute("select expires_at = '-infinity' from adjourn.leases").fetchall()
        assert lease == [(True,)], "the lease was given back with it"


async def test_a_run_that_somebody_has_locked_is_ended_after_its_last_checkpoint(database: str) -> None:
    """Whoever has locked the run may wait for its lease, which the commit holds: the commit must not wait for them."""
    held: list[psycopg.AsyncConnection[Any]] = []

    async def lock(state: Trail) -> Trail:
        connection = await psycopg.AsyncConnection.connect(database)
        await connection.execute("select from adjourn.runs where thread_id = 't' for update")
        held.append(connection)
        return {"answer": "locked"}

    async with AsyncEngine.open(database, workflows={"locking": chain(("lock", lock))}) as engine:
        starting = asyncio.create_task(engine.start("locking", {"name": "x"}, thread_id="t"))
        try:
            async with asyncio.timeout(20):
                while not held or not await last_checkpoint_is_there(database):
                    await asyncio.sleep(0.02)
            assert not starting.done(), "the run was recorded as ended while it was locked"
        finally:
            for connection in held:
                await connection.close()
        run = await starting
    assert (run.status, run.state["answer"]) == ("completed", "locked")


async def last_checkpoint_is_there(database: str) -> bool:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        rows = await connection.execute("select from checkpoints where metadata ->> 'step' = '1'")
        return await rows.fetchone() is not None
