"""Trap 7: a routing function fails once; going on then skips everything that comes after, and says nothing."""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph

from adjourn import AsyncEngine
from support.workflows import Trail, mark

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def routed() -> StateGraph[Trail]:
    broken = [True]

    def route(state: Trail) -> str:
        if broken:
            broken.pop()
            raise ConnectionError("no route")
        return "after"

    workflow = StateGraph(Trail)
    workflow.add_node("before", mark("before"))
    workflow.add_node("after", mark("after"))
    workflow.add_edge(START, "before")
    workflow.add_conditional_edges("before", route, ["after"])
    workflow.add_edge("after", END)
    return workflow


async def test_langgraph_skips_what_comes_after(stock_saver: AsyncPostgresSaver) -> None:
    graph = routed().compile(checkpointer=stock_saver)
    with pytest.raises(ConnectionError):
        await graph.ainvoke({"name": "x"}, CONFIG)
    state = await graph.ainvoke(None, CONFIG)
    assert state["trail"] == ["before"]
    assert (await graph.aget_state(CONFIG)).next == ()


async def test_adjourn_fails_the_run_and_routes_again(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"routed": routed()}) as engine:
        run = await engine.start("routed", {"name": "x"})
        assert (run.status, run.error and run.error["message"]) == ("failed", "no route")
        run = await engine.retry(run.thread_id)
    assert (run.status, run.state["trail"]) == ("completed", ["before", "after"])
