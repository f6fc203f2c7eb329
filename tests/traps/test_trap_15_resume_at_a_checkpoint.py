"""Trap 15: the same `checkpoint_id` with a resume, submitted twice (LangGraph Studio sends one), repeats the effect."""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, ReviewClosed
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def ask_person(state: Trail) -> Trail:
    return {"answer": interrupt("pay?")}


async def test_langgraph_forks_and_runs_the_effect_again(stock_saver: AsyncPostgresSaver) -> None:
    paid: list[str] = []

    def pay(state: Trail) -> Trail:
        paid.append("paid")
        return {}

    graph = chain(("ask", ask_person), ("pay", pay)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    at = await graph.aget_state(CONFIG)
    for _ in range(2):
        await graph.ainvoke(Command(resume={at.interrupts[0].id: "yes"}), at.config)
    assert paid == ["paid", "paid"]


async def test_adjourn_takes_no_checkpoint_with_an_answer_and_refuses_the_second(database: str) -> None:
    paid: list[str] = []

    def pay(state: Trail) -> Trail:
        paid.append("paid")
        return {}

    async with AsyncEngine.open(database, workflows={"pay": chain(("ask", ask_person), ("pay", pay))}) as engine:
        run = await engine.start("pay", {"name": "x"})
        review_id = run.reviews[0].id
        await engine.resume(run.thread_id, "yes", review_id=review_id)
        await engine.resume(run.thread_id, "yes", review_id=review_id)
        with pytest.raises(ReviewClosed):
            await engine.resume(run.thread_id, "no", review_id=review_id)
        with pytest.raises(TypeError):
            await engine.resume(run.thread_id, "yes", checkpoint_id="1")  # type: ignore[call-arg]
        steps = [step.number for step in await engine.history(run.thread_id)]
    assert paid == ["paid"]
    assert steps == sorted(set(steps))
