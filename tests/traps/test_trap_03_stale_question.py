"""Trap 3: a stale question id, or `invoke(None)`, after the next question is open answers that one."""

from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, ReviewClosed
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def two_questions(state: Trail) -> Trail:
    return {"answer": [interrupt("one?"), interrupt("two?")]}


async def test_langgraph_gives_an_answer_with_a_stale_id_to_the_next_question(stock_saver: AsyncPostgresSaver) -> None:
    graph = chain(("ask", two_questions)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    stale = (await graph.aget_state(CONFIG)).interrupts[0].id
    await graph.ainvoke(Command(resume={stale: "for one"}), CONFIG)
    state = await graph.ainvoke(Command(resume={stale: "for one, again"}), CONFIG)
    assert state["answer"] == ["for one", "for one, again"]


async def test_langgraph_answers_the_next_question_when_it_is_only_asked_to_go_on(
    stock_saver: AsyncPostgresSaver,
) -> None:
    graph = chain(("ask", two_questions)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    await graph.ainvoke(Command(resume="for one"), CONFIG)
    state = await graph.ainvoke(None, CONFIG)
    assert state["answer"] == ["for one", "for one"]


async def test_adjourn_refuses_a_stale_id_and_runs_nothing(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"two": chain(("ask", two_questions))}) as engine:
        run = await engine.start("two", {"name": "x"})
        stale = run.reviews[0].id
        run = await engine.resume(run.thread_id, "for one", review_id=stale)
        events: list[Any] = []
        with pytest.raises(ReviewClosed):
            await engine.resume(run.thread_id, "for one, again", review_id=stale, on_event=events.append)
        assert events == []
        assert (await engine.get(run.thread_id)).reviews == run.reviews


async def test_going_on_without_an_answer_answers_nothing(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"two": chain(("ask", two_questions))}) as engine:
        run = await engine.start("two", {"name": "x"})
        run = await engine.resume(run.thread_id, "for one")
        assert await engine.recover() == []
        with pytest.raises(Exception, match="waits for an answer"):
            await engine.retry(run.thread_id)
        assert [review.description for review in (await engine.get(run.thread_id)).reviews] == ["two?"]
        assert (await engine.resume(run.thread_id, "for two")).state["answer"] == ["for one", "for two"]
