"""The private names of LangGraph that the engine uses are what it takes them for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from anygraph.graphs import KINDS, Place, agent, fill
from langchain_core.runnables import RunnableLambda
from langgraph.func import task
from langgraph.types import Interrupt

from adjourn.engine.internals import (
    allow_list,
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
