"""Trap 8: resuming a thread id that nobody knows starts a new run with an empty state.

The other doors: `test_is_refused_and_nothing_is_stored` in tests/cli/test_bad_input.py for the command, and
`test_an_answer_to_a_thread_that_never_ran_is_refused_and_starts_nothing` in tests/studio/test_agent_server.py.
"""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command

from adjourn import AsyncEngine, Engine, UnknownThread, approve
from support.workflows import asking

CONFIG: Any = {"configurable": {"thread_id": "no such thread"}}


async def test_langgraph_starts_the_graph_with_an_empty_state(stock_saver: AsyncPostgresSaver) -> None:
    graph = asking.compile(checkpointer=stock_saver)
    state = await graph.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), CONFIG)
    assert "before" in state["trail"]


async def test_adjourn_raises_unknown_thread_and_stores_nothing(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        with pytest.raises(UnknownThread, match="no such thread"):
            await engine.resume("no such thread", approve())
        assert len(await engine.runs()) == 0
        assert [each async for each in engine._storage.saver.alist(None)] == []


def test_the_engine_without_an_event_loop_does_the_same(database: str) -> None:
    with Engine.open(database, workflows={"asking": asking}) as engine:
        with pytest.raises(UnknownThread, match="no such thread"):
            engine.resume("no such thread", approve())
        assert len(engine.runs()) == 0
