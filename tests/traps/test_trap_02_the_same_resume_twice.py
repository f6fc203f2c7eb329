"""Trap 2: the same resume sent twice (a double click, a retried webhook) answers the next question as well."""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, ReviewClosed, UnknownReview
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def two_questions(state: Trail) -> Trail:
    return {"answer": [interrupt("delete the draft?"), interrupt("delete everything?")]}


async def test_langgraph_gives_the_second_click_to_the_next_question(stock_saver: AsyncPostgresSaver) -> None:
    graph = chain(("ask", two_questions)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    await graph.ainvoke(Command(resume="yes"), CONFIG)
    state = await graph.ainvoke(Command(resume="yes"), CONFIG)
    assert state["answer"] == ["yes", "yes"]


async def test_adjourn_returns_the_same_result_again_and_leaves_the_next_question_open(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"two": chain(("ask", two_questions))}) as engine:
        run = await engine.start("two", {"name": "x"})
        first = run.reviews[0].id
        once = await engine.resume(run.thread_id, "yes", review_id=first)
        twice = await engine.resume(run.thread_id, "yes", review_id=first)
        assert once == twice
        assert [review.description for review in twice.reviews] == ["delete everything?"]
        with pytest.raises(ReviewClosed):
            await engine.resume(run.thread_id, "no", review_id=first)
        assert (await engine.get(run.thread_id)).reviews == twice.reviews


async def test_adjourn_refuses_an_id_that_is_nobodys(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"two": chain(("ask", two_questions))}) as engine:
        run = await engine.start("two", {"name": "x"})
        other = await engine.start("two", {"name": "y"})
        for wrong in ("0" * 32, other.reviews[0].id, ""):
            with pytest.raises(UnknownReview):
                await engine.resume(run.thread_id, "yes", review_id=wrong)
        assert (await engine.get(run.thread_id)).reviews == run.reviews
