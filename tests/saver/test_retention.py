"""What is kept of a run, and for how long."""

import operator
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import psycopg
import pytest
from langgraph.channels import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from adjourn.checkpoints import Storage, retention
from adjourn.checkpoints.fence import take
from adjourn.checkpoints.retention import LOCK_KEY, Policy, Pruned, prune
from adjourn.errors import ConfigurationError
from support.postgres import execute
from support.saving import config, count_of, four_steps, rows_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def pausing(saver: Any) -> Any:
    """A graph that asks inside a subgraph, after a step in each."""
    inner = StateGraph(State)
    inner.add_node("before", lambda state: {"log": ["inner"]})
    inner.add_node("ask", lambda state: {"log": [interrupt("go on?")]})
    inner.add_edge(START, "before")
    inner.add_edge("before", "ask")
    outer = StateGraph(State)
    outer.add_node("first", lambda state: {"log": ["outer"]})
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "first")
    outer.add_edge("first", "inner")
    outer.add_edge("inner", END)
    return outer.compile(checkpointer=saver)


def record(storage: Storage, thread_id: str, status: str, ended_at: datetime | None) -> None:
    """What the engine keeps of a run."""
    with psycopg.connect(storage.url.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            """insert into adjourn.runs
                 (thread_id, tenant, workflow, version, source, status, requested_by, input_digest, ended_at)
               values (%s, 'default', 'w', '1', 'test', %s, 'kim', 'd', %s)
               on conflict (thread_id) do update set status = excluded.status, ended_at = excluded.ended_at""",
            (thread_id, status, ended_at),
        )


async def ended_run(storage: Storage, thread_id: str, ended_at: datetime, status: str = "completed") -> None:
    await four_steps(storage.saver).ainvoke({"log": [], "text": ""}, config(thread_id), durability="sync")
    record(storage, thread_id, status, ended_at)


def checkpoints_of(storage: Storage, thread_ids: Sequence[str]) -> list[int]:
    return [len(rows_of(storage.url.get_secret_value(), each)["checkpoints"]) for each in thread_ids]


@pytest.mark.parametrize(
    ("status", "age", "kept"),
    [
        ("queued", None, 6),
        ("running", None, 6),
        ("paused", None, 6),
        ("completed", 0.5 * DAY, 6),
        ("completed", 2 * DAY, 1),
        ("failed", 2 * DAY, 1),
        ("cancelled", 2 * DAY, 1),
        ("completed", 8 * DAY, 0),
    ],
)
async def test_what_is_kept_depends_on_status_and_age(
    status: str, age: timedelta | None, kept: int, storage: Storage
) -> None:
    await ended_run(storage, "t", NOW, status)
    record(storage, "t", status, None if age is None else NOW - age)
    policy = Policy(prune_after=DAY, erase_after=7 * DAY)
    await prune(storage.pool, storage.saver, policy, now=NOW)
    assert checkpoints_of(storage, ["t"]) == [kept]


async def test_everything_due_goes_in_batches_and_once_only(storage: Storage) -> None:
    thread_ids = [f"t{n}" for n in range(7)]
    for thread_id in thread_ids:
        await ended_run(storage, thread_id, NOW - 2 * DAY)
    policy = Policy(prune_after=DAY)
    assert await prune(storage.pool, storage.saver, policy, now=NOW, batch=3) == Pruned(pruned=7)
    assert checkpoints_of(storage, thread_ids) == [1] * 7
    assert await prune(storage.pool, storage.saver, policy, now=NOW, batch=3) == Pruned()
    ended = await four_steps(storage.saver).aget_state(config("t3"))
    assert ended.values["log"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("policy", [Policy(prune_after=DAY), Policy(erase_after=DAY)], ids=["prune", "erase"])
async def test_a_batch_is_no_larger_than_asked_and_the_oldest_come_first(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    for number in (3, 1, 4, 0, 2):
        record(storage, f"t{number}", "completed", NOW - 9 * DAY + number * timedelta(hours=1))
    due, batches = retention._due, []

    async def seen(*given: Any) -> list[str]:
        batches.append(await due(*given))
        return batches[-1]

    monkeypatch.setattr(retention, "_due", seen)
    await prune(storage.pool, storage.saver, policy, now=NOW, batch=2)
    assert batches == [["t0", "t1"], ["t2", "t3"], ["t4"]]


async def test_a_run_that_was_retried_and_ended_again_is_due_again(storage: Storage) -> None:
    policy = Policy(prune_after=DAY)
    await ended_run(storage, "t", NOW - 2 * DAY, "failed")
    assert await prune(storage.pool, storage.saver, policy, now=NOW) == Pruned(pruned=1)
    await ended_run(storage, "t", NOW + DAY)
    assert await prune(storage.pool, storage.saver, policy, now=NOW + 3 * DAY) == Pruned(pruned=1)
    assert checkpoints_of(storage, ["t"]) == [1]


async def test_a_thread_that_somebody_drives_is_never_touched(storage: Storage) -> None:
    await ended_run(storage, "t", NOW - 9 * DAY)
    async with storage.pool.connection() as connection:
        await take(connection, "t", "one", 60)
    await prune(storage.pool, storage.saver, Policy(DAY, DAY), now=NOW)
    assert checkpoints_of(storage, ["t"]) == [6]


async def test_a_run_that_is_being_claimed_at_this_moment_is_passed_over(storage: Storage) -> None:
    await ended_run(storage, "t", NOW - 9 * DAY, "failed")
    with psycopg.connect(storage.url.get_secret_value()) as retry:
        retry.execute("update adjourn.runs set status = 'running', ended_at = null where thread_id = 't'")
        await prune(storage.pool, storage.saver, Policy(DAY, DAY), now=NOW)
        retry.commit()
    assert checkpoints_of(storage, ["t"]) == [6]


async def test_two_processes_do_not_prune_at_once(storage: Storage) -> None:
    await ended_run(storage, "t", NOW - 9 * DAY)
    with psycopg.connect(storage.url.get_secret_value()) as other:
        other.execute("select pg_advisory_xact_lock(%s)", (LOCK_KEY,))
        assert await prune(storage.pool, storage.saver, Policy(DAY, DAY), now=NOW) == Pruned()
    assert checkpoints_of(storage, ["t"]) == [6]


async def test_a_paused_thread_can_be_answered_after_a_prune(storage: Storage) -> None:
    graph = pausing(storage.saver)
    await graph.ainvoke({"log": []}, config("t"), durability="sync")
    before = count_of(storage.url.get_secret_value(), ["t"])
    await storage.saver.aprune(["t"])
    assert count_of(storage.url.get_secret_value(), ["t"]) < before
    paused = await graph.aget_state(config("t"))
    assert [each.value for each in paused.interrupts] == ["go on?"]
    ended = await graph.ainvoke(Command(resume="yes"), config("t"))
    assert ended["log"] == ["outer", "outer", "inner", "yes"]


async def test_a_prune_while_a_run_is_under_way_takes_nothing_that_it_needs(storage: Storage) -> None:
    class Pruning(TypedDict):
        log: Annotated[list[str], operator.add]

    async def step(state: Pruning) -> dict[str, list[str]]:
        await storage.saver.aprune(["t"])
        return {"log": ["step"]}

    builder = StateGraph(Pruning)
    for n in range(4):
        builder.add_node(f"s{n}", step)
        builder.add_edge(f"s{n - 1}" if n else START, f"s{n}")
    graph = builder.compile(checkpointer=storage.saver)
    for durability in ("sync", "async"):
        ended = await graph.ainvoke({"log": []}, config("t"), durability=durability)
    assert ended["log"] == ["step"] * 8


async def test_erasing_leaves_the_run_its_ids_status_and_times(storage: Storage) -> None:
    await ended_run(storage, "t", NOW - 9 * DAY, "failed")
    url = storage.url.get_secret_value()
    execute(
        url, 'update adjourn.runs set input = \'secret\', input_type = \'x\', error = \'{"message": "m", "node": "n"}\''
    )
    assert await prune(storage.pool, storage.saver, Policy(erase_after=DAY), now=NOW) == Pruned(erased=1)
    assert count_of(url, ["t"]) == 0
    found = execute(url, "select status, input, context, error, ended_at from adjourn.runs")
    assert found == [("failed", None, None, {"node": "n"}, NOW - 9 * DAY)]


class Notes(TypedDict):
    notes: Annotated[list[str], DeltaChannel(lambda state, added: [*state, *(n for each in added for n in each)])]


async def test_a_thread_with_a_delta_channel_is_left_whole(storage: Storage) -> None:
    builder = StateGraph(Notes)
    builder.add_node("note", lambda state: {"notes": ["x"]})
    builder.add_edge(START, "note")
    graph = builder.compile(checkpointer=storage.saver)
    for _ in range(3):
        await graph.ainvoke({"notes": ["in"]}, config("t"))
    record(storage, "t", "completed", NOW - 9 * DAY)
    assert await prune(storage.pool, storage.saver, Policy(DAY), now=NOW) == Pruned(left=1)
    assert (await graph.aget_state(config("t"))).values["notes"] == ["in", "x"] * 3


async def test_the_trace_of_a_deleted_thread_is_forgotten_after_a_week(storage: Storage) -> None:
    url = storage.url.get_secret_value()
    await four_steps(storage.saver).ainvoke({"log": [], "text": ""}, config("t"))
    await storage.saver.adelete_thread("t")
    moment: Any = execute(url, "select deleted_at from adjourn.leases")[0][0]
    await prune(storage.pool, storage.saver, Policy(), now=moment + 6 * DAY)
    assert execute(url, "select thread_id from adjourn.leases") == [("t",)]
    await prune(storage.pool, storage.saver, Policy(), now=moment + 8 * DAY)
    assert execute(url, "select thread_id from adjourn.leases") == []


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="prune_after is negative"):
        Policy(prune_after=-DAY)
