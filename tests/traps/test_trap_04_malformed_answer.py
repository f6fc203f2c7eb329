"""Trap 4: an answer is stored before the node sees it, so a malformed one makes every later one fail."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, InvalidDecision, approve
from adjourn.testing import ScriptedChatModel
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}
LEGACY = [{"type": "accept"}]  # what older inbox pages send


def strict(state: Trail) -> Trail:
    """A node that wants a number, as most asking nodes want something."""
    return {"answer": int(interrupt("How many?"))}


@tool
def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"


def paying_agent(**kwargs: Any) -> Any:
    call = AIMessage("", tool_calls=[{"name": "pay", "args": {"amount": 10}, "id": "c1"}])
    model = ScriptedChatModel([call, "done"])
    middleware = [HumanInTheLoopMiddleware(interrupt_on={"pay": True})]
    return create_agent(model, [pay], middleware=middleware, **kwargs)


async def test_langgraph_fails_for_ever_after_one_malformed_answer(stock_saver: AsyncPostgresSaver) -> None:
    graph = chain(("strict", strict)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    for answer in ("many", "3", "4"):
        with pytest.raises(ValueError, match="many"):
            await graph.ainvoke(Command(resume=answer), CONFIG)


async def test_langchains_agent_fails_for_ever_after_one_reply_in_an_older_form(
    stock_saver: AsyncPostgresSaver,
) -> None:
    agent = paying_agent(checkpointer=stock_saver)
    await agent.ainvoke({"messages": [("user", "pay ten")]}, CONFIG)
    for answer in (LEGACY, {"decisions": [{"type": "approve"}]}):
        with pytest.raises(TypeError):
            await agent.ainvoke(Command(resume=answer), CONFIG)


async def test_adjourn_refuses_the_malformed_answer_and_takes_the_next(database: str) -> None:
    agent = paying_agent(name="paying")
    async with AsyncEngine.open(database, workflows={"paying": agent}) as engine:
        run = await engine.start("paying", {"messages": [("user", "pay ten")]})
        for bad in ([], "many", {"decisions": []}, {"decisions": [{"type": "approve"}] * 2}, {"type": "pay"}):
            with pytest.raises(InvalidDecision):
                await engine.resume(run.thread_id, bad)
        assert (await engine.get(run.thread_id)).reviews == run.reviews
        run = await engine.resume(run.thread_id, approve())
    assert (run.status, run.state["messages"][-2].content) == ("completed", "paid 10")


async def test_adjourn_holds_an_answer_against_the_questions_schema(database: str) -> None:
    def ask_for_number(state: Trail) -> Trail:
        return {"answer": interrupt("How many?", response_schema={"type": "integer", "minimum": 1})}

    async with AsyncEngine.open(database, workflows={"counting": chain(("ask", ask_for_number))}) as engine:
        run = await engine.start("counting", {"name": "x"})
        for bad in ("many", 0, 1.5, None):
            with pytest.raises(InvalidDecision):
                await engine.resume(run.thread_id, bad)
        assert (await engine.resume(run.thread_id, 3)).state["answer"] == 3
