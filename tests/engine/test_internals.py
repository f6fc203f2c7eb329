"""The private names of LangGraph that the engine uses are what it takes them for."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from anygraph.graphs import KINDS, Place, agent, fill
from langchain_core.runnables import RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.func import task
from langgraph.pregel._read import PregelNode
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry
from langgraph.types import Interrupt

from adjourn.engine.internals import (
    allow_list,
    checked_writers,
    heard_by,
    inner_runnables,
    is_server_runtime,
    open_interrupts,
    server_runtime,
    task_function,
    values_used_by,
)
from adjourn.engine.storable import storable_types
from support.workflows import Trail, chain

if TYPE_CHECKING:
    from adjourn.nowhere import Nothing


def test_a_question_is_open_until_its_task_has_an_output() -> None:
    asked = Interrupt(value="?", id="i")
    writes = [("task", "__interrupt__", [asked]), ("above", "__interrupt__", [asked])]
    assert open_interrupts(writes) == [asked]
    assert open_interrupts([*writes, ("task", "log", ["x"]), ("above", "log", ["x"])]) == []


def test_the_allow_list_names_what_a_schema_reaches_and_messages() -> None:
    found = allow_list([Place], {})
    assert (Place.__module__, "Place") in found
    assert any(name == "AIMessage" for _, name, *_ in found)


def test_functions_are_found_below_runnables_and_tasks() -> None:
    assert inner_runnables(RunnableLambda(fill)) == [fill]
    assert inner_runnables(RunnableLambda(fill) | RunnableLambda(fill)) == [RunnableLambda(fill)] * 2
    assert task_function(task(fill)) is fill
    assert task_function(fill) is None
    assert Place in values_used_by(lambda: Place("a", None))  # type: ignore[arg-type]


def test_a_runtime_is_recognised_in_every_form_and_can_be_made() -> None:
    from langgraph_sdk.runtime import ServerRuntime

    forms = [ServerRuntime, ServerRuntime[dict[str, Any]], Annotated[ServerRuntime[Any], "x"]]
    assert [is_server_runtime(form) for form in [*forms, dict, int | None]] == [True, True, True, False, False]
    running = server_runtime(running=True, context={"a": 1})
    assert (running.access_context, running.execution_runtime.context) == ("threads.create_run", {"a": 1})
    assert server_runtime(running=False, context=None).execution_runtime is None


def test_types_are_found_in_the_code_of_a_graph_and_not_in_that_of_libraries() -> None:
    def unreadable(state: Trail, other: Nothing) -> Trail:
        return helper()

    def helper() -> Any:
        return {"answer": Place("a", None)}  # type: ignore[arg-type]

    graph = chain(("a", partial(unreadable, other=None))).compile(name="x")
    assert (Place.__module__, "Place") in storable_types(graph)
    names = {name for _, name, *_ in storable_types(agent("batched"))}
    assert "ScriptedChatModel" not in names
    loose = {name for _, name, *_ in storable_types(KINDS["loose_state"].graph.compile())}
    assert {"Person", "Place", "Mood", "Level"} <= loose


async def test_what_a_graph_streams_is_handed_over_in_the_thread_of_the_event_loop() -> None:
    def inside(state: Trail) -> Trail:
        get_stream_writer()("inside")
        return {"trail": ["inside"]}

    inner = chain(("inside", inside)).compile()

    def plain(state: Trail) -> Trail:
        """A function that is no coroutine: LangGraph runs it in a thread, and the graph that it invokes, too."""
        get_stream_writer()("plain")
        return {"trail": inner.invoke({"name": "x"})["trail"]}

    graph, heard = chain(("plain", plain)).compile(), []

    def take(part: Any) -> None:
        heard.append((threading.get_ident(), part[0] != (), part[1]))

    async for _ in graph.astream({"name": "x"}, heard_by(take, {}, graph), stream_mode=[]):
        pass
    assert {thread for thread, _, _ in heard} == {threading.get_ident()}
    modes = [(within, mode) for _, within, mode in heard]
    inside_it = [(True, "tasks"), (True, "custom"), (True, "tasks")]
    assert modes == [(False, "tasks"), (False, "custom"), *inside_it, (False, "tasks")]


@pytest.mark.parametrize("usual", [True, False])
def test_a_node_is_checked_before_its_first_writer_of_whatever_kind_writes(usual: bool) -> None:
    written: list[Any] = []
    writer = ChannelWrite([ChannelWriteEntry("a")]) if usual else RunnableLambda(written.append)

    def check(config: Any) -> None:
        raise ValueError("refused")

    node = PregelNode(channels=["a"], triggers=["a"], writers=[writer])
    with pytest.raises(ValueError, match="refused"):
        checked_writers(node, check)[0].invoke(1, {"configurable": {"__pregel_send": written.append}})
    assert written == []
