"""Trap 14: `except Exception` around `interrupt()` in user code bypasses the approval."""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from adjourn import AsyncEngine, approve
from support.workflows import Trail, ask, chain, mark

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def careless(state: Trail) -> Trail:
    try:
        answer = interrupt("pay?")
    except Exception:
        answer = "it seems so"
    return {"answer": answer}


async def careless_async(state: Trail) -> Trail:
    return careless(state)


def nested() -> StateGraph[Trail]:
    workflow = StateGraph(Trail)
    workflow.add_node("inner", chain(("careless", careless)).compile())
    workflow.add_node("pay", mark("pay"))
    workflow.add_edge(START, "inner")
    workflow.add_edge("inner", "pay")
    workflow.add_edge("pay", END)
    return workflow


async def test_langgraph_goes_on_without_the_answer(stock_saver: AsyncPostgresSaver) -> None:
    graph = chain(("careless", careless), ("pay", mark("pay"))).compile(checkpointer=stock_saver)
    state = await graph.ainvoke({"name": "x"}, CONFIG)
    assert (state["answer"], state["trail"]) == ("it seems so", ["pay"])


@pytest.mark.parametrize(
    "workflow",
    [
        chain(("careless", careless), ("pay", mark("pay"))),
        chain(("careless", careless_async), ("pay", mark("pay"))),
        nested(),
    ],
    ids=["plain", "async", "subgraph"],
)
async def test_adjourn_fails_the_run_before_anything_of_that_node_is_stored(database: str, workflow: Any) -> None:
    async with AsyncEngine.open(database, workflows={"careless": workflow}) as engine:
        run = await engine.start("careless", {"name": "x"})
        assert run.status == "failed"
        assert run.error is not None
        assert "caught its own question" in run.error["message"]
        assert "answer" not in run.state
        assert "pay" not in run.state.get("trail", [])


async def test_nodes_that_let_the_question_pass_are_not_disturbed(database: str) -> None:
    def careful(state: Trail) -> Trail:
        try:
            return ask(state)
        except ValueError:
            return {}

    workflow = chain(("careful", careful), ("pay", mark("pay")))
    async with AsyncEngine.open(database, workflows={"careful": workflow}) as engine:
        run = await engine.start("careful", {"name": "x"})
        run = await engine.resume(run.thread_id, approve())
    assert (run.status, run.state["trail"]) == ("completed", ["ask", "pay"])
