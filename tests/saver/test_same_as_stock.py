"""Our saver and LangGraph's leave the same rows and read each other's."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt

from adjourn.checkpoints import Saver, Storage
from adjourn.checkpoints.arrays import register_arrays
from adjourn.checkpoints.latest import with_latest
from adjourn.checkpoints.priming import UNREAD
from adjourn.checkpoints.rows import put_call, writes_call
from adjourn.checkpoints.statement import store
from support.saving import checkpoint, config, four_steps, rows_of

CHANNELS = ("text", "__error__", "__interrupt__", "__resume__", "__scheduled__")
writes = st.tuples(
    st.just("writes"),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["task-a", "task-b"]),
    st.sampled_from(["", "~path"]),
    st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 99)), min_size=1, max_size=3),
)
puts = st.tuples(
    st.just("put"),
    st.sampled_from(["1", "2"]),
    st.sampled_from([None, "0", "1"]),
    st.dictionaries(st.sampled_from(["text", "list", "none"]), st.sampled_from(["x", ["y"], 3, None, True, 2.5])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(writes | puts, min_size=1, max_size=12))
async def test_one_batch_leaves_what_the_stock_saver_leaves_after_the_same_calls_in_order(
    calls: list[Any], storage: Storage
) -> None:
    stock, ours = AsyncPostgresSaver(storage.pool), []
    await storage.saver.adelete_thread("stock")
    await storage.saver.adelete_thread("ours")
    for kind, first, second, *rest in calls:
        if kind == "writes":
            path, written = rest
            await stock.aput_writes(config("stock", first), written, second, path)
            ours.append(writes_call(stock.serde, config("ours", first), written, second, path))
        else:
            new = checkpoint(first, **rest[0])
            await stock.aput(config("stock", second), new, {"step": len(ours)}, new["channel_versions"])
            saved = put_call(
                stock.serde, config("ours", second), new, {"step": len(ours)}, new["channel_versions"], inline=True
            )
            ours.append(saved)
    async with storage.pool.connection() as connection:
        register_arrays(connection)
        await connection.execute("delete from adjourn.leases")
        assert await store(connection, ours, fenced=True, hooks=[]) == {}
    url = storage.url.get_secret_value()
    assert rows_of(url, "ours") == rows_of(url, "stock")


async def test_a_run_leaves_the_same_rows_with_either_saver(storage: Storage) -> None:
    given_input: Any = {"log": ["in"], "text": "in"}
    await four_steps(storage.saver).ainvoke(given_input, config("ours"), durability="sync")
    await four_steps(AsyncPostgresSaver(storage.pool)).ainvoke(given_input, config("stock"), durability="sync")
    url = storage.url.get_secret_value()
    ours, stock = rows_of(url, "ours"), rows_of(url, "stock")
    assert {table: len(rows) for table, rows in ours.items()} == {table: len(rows) for table, rows in stock.items()}


class Asked(TypedDict):
    log: Annotated[list[str], operator.add]
    notes: Annotated[list[str], DeltaChannel(lambda state, added: [*state, *(n for each in added for n in each)])]
    answer: str


def asking(saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[Asked, None, Asked, Asked]:
    builder = StateGraph(Asked)
    builder.add_node("before", lambda state: {"log": ["before"], "notes": ["one", "two"]})
    builder.add_node("ask", lambda state: {"answer": interrupt("go on?"), "notes": ["three"]})
    builder.add_edge(START, "before")
    builder.add_edge("before", "ask")
    builder.add_edge("ask", END)
    return builder.compile(checkpointer=saver)


async def a_run_begun_with_one_and_ended_with_the_other(first: Any, second: Any) -> None:
    start: Any = {"log": [], "notes": ["zero"]}
    await asking(first).ainvoke(start, config("t"))
    paused = await asking(second).aget_state(config("t"))
    assert [each.value for each in paused.interrupts] == ["go on?"]
    ended = await asking(second).ainvoke(Command(resume="yes"), config("t"))
    assert ended == {"log": ["before"], "notes": ["zero", "one", "two", "three"], "answer": "yes"}
    assert (await asking(first).aget_state(config("t"))).values == ended
    assert len([each async for each in first.alist(config("t"))]) == len(
        [each async for each in second.alist(config("t"))]
    )


async def test_what_the_stock_saver_wrote_is_continued_by_ours(storage: Storage) -> None:
    await a_run_begun_with_one_and_ended_with_the_other(AsyncPostgresSaver(storage.pool), storage.saver)


async def test_what_ours_wrote_is_continued_by_the_stock_saver(storage: Storage) -> None:
    await a_run_begun_with_one_and_ended_with_the_other(storage.saver, AsyncPostgresSaver(storage.pool))


@pytest.mark.parametrize("few", [0, 65_536])
async def test_a_checkpoint_that_came_with_another_statement_is_the_one_that_the_stock_saver_reads(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("adjourn.checkpoints.saver._FEW_BYTES", few)
    stock, saver = AsyncPostgresSaver(storage.pool), storage.saver
    for number in ("1", "2"):
        new = checkpoint(number, text=f"x{number}", list=["y"])
        await stock.aput(config("t", None), new, {"step": 1}, new["channel_versions"])
        await stock.aput_writes(config("t", number), [("text", number), ("list", ["z"])], "task-a", "~path")
    query = with_latest("select saved.* from (values (1)) as one left join lateral ({latest}) as saved on true", "%s")

    async def row_of(thread_id: str) -> Any:
        async with storage.pool.connection() as connection:
            return await (await connection.execute(query, [thread_id], binary=True)).fetchone()

    found = await row_of("t")
    read = await stock.aget_tuple(config("t", None))
    assert read is not None
    assert read.checkpoint["id"] == "2"
    assert (await saver.from_row(found), await saver.aget_tuple(config("t", None))) == (read, read)
    assert await saver.from_row(await row_of("none")) is None
    old = {**found, "checkpoint": {**found["checkpoint"], "v": 3}, "parent_checkpoint_id": "1"}
    assert await saver.from_row(old) is UNREAD, "LangGraph reads more of it"


async def test_it_is_made_and_set_up_like_the_stock_saver(any_empty_database: str) -> None:
    async with Saver.from_conn_string(any_empty_database) as saver:
        await saver.setup()
        ended = await four_steps(saver).ainvoke({"log": [], "text": ""}, config("t"), durability="sync")
    assert ended["log"] == ["a", "b", "c", "d"]
