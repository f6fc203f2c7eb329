"""The saver that `open_storage` and `open_saver` give to LangGraph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from adjourn.checkpoints import Saver, graph_types, open_saver, open_storage
from adjourn.errors import StorageUnavailable
from adjourn.settings import load_settings
from support.postgres import execute, postmaster
from support.processes import child

CONFIG: Any = {"configurable": {"thread_id": "t"}}


@dataclass
class Money:
    amount: int


class State(TypedDict):
    text: str
    price: Money


def shout(state: State) -> dict[str, object]:
    return {"text": state["text"].upper(), "price": Money(7)}


def told(saver: Saver) -> BaseCheckpointSaver[str]:
    """The saver, told of the types in the graph's state."""
    return saver.with_allowlist(graph_types(graph()))


def graph() -> StateGraph[State, None, State, State]:
    builder = StateGraph(State)
    builder.add_node("shout", shout)
    builder.add_edge(START, "shout")
    builder.add_edge("shout", END)
    return builder


async def test_a_run_is_found_again_after_the_storage_was_closed(any_database: str) -> None:
    async with open_storage(load_settings(), any_database) as storage:
        await graph().compile(checkpointer=told(storage.saver)).ainvoke({"text": "hello"}, CONFIG)
    async with open_storage(load_settings(), any_database) as storage:
        found = await graph().compile(checkpointer=told(storage.saver)).aget_state(CONFIG)
    assert found.values["text"] == "HELLO"


async def test_a_type_comes_back_only_if_the_saver_was_told_of_it(database: str) -> None:
    async with open_saver(database) as saver:
        await graph().compile(checkpointer=told(saver)).ainvoke({"text": "hello"}, CONFIG)
        assert (await graph().compile(checkpointer=told(saver)).aget_state(CONFIG)).values["price"] == Money(7)
        assert (await graph().compile(checkpointer=saver).aget_state(CONFIG)).values["price"] == {"amount": 7}


def test_the_types_of_a_graph_are_those_that_langgraph_collects_in_its_strict_mode() -> None:
    program = """
        from dataclasses import dataclass
        from typing import TypedDict
        from langgraph.graph import START, StateGraph
        from adjourn.checkpoints import graph_types

        @dataclass
        class Money:
            amount: int

        class State(TypedDict):
            price: Money

        builder = StateGraph(State)
        builder.add_node("node", lambda state: {})
        builder.add_edge(START, "node")
        assert builder.compile()._serde_allowlist == graph_types(builder)
        assert ("__main__", "Money") in graph_types(builder)
    """
    with child(program, environment={"LANGGRAPH_STRICT_MSGPACK": "true"}, fresh=True) as strict:
        strict.finish()


async def test_everything_the_saver_offers_works(any_database: str) -> None:
    async with open_saver(any_database) as saver:
        await graph().compile(checkpointer=told(saver)).ainvoke({"text": "hello"}, CONFIG)
        listed = [found async for found in saver.alist(CONFIG, limit=2)]
        assert len(listed) == 2
        latest = await saver.aget_tuple(CONFIG)
        assert latest is not None
        assert latest.checkpoint["id"] == listed[0].checkpoint["id"]
        await saver.adelete_thread("t")
        assert await saver.aget_tuple(CONFIG) is None


async def test_an_error_of_the_saver_is_ours_and_names_the_thread(database: str) -> None:
    async with open_saver(database) as saver:
        execute(database, "drop table checkpoints")
        with pytest.raises(StorageUnavailable, match="open the storage again") as caught:
            await graph().compile(checkpointer=told(saver)).ainvoke({"text": "hello"}, CONFIG)
    assert caught.value.thread_id == "t"


async def test_the_setting_selects_the_server(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    async with open_saver() as saver:
        await graph().compile(checkpointer=told(saver)).ainvoke({"text": "hello"}, CONFIG)
    assert execute(database, "select distinct thread_id from checkpoints") == [("t",)]


async def test_without_a_url_the_embedded_server_runs_as_long_as_the_block(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_HOME", str(home))
    async with open_saver() as saver:
        await graph().compile(checkpointer=told(saver)).ainvoke({"text": "hello"}, CONFIG)
        assert postmaster(home) is not None
    assert postmaster(home) is None
