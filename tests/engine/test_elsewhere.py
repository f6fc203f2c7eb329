"""Threads that LangGraph itself drives on the same tables, beside the engine."""

from typing import Any

from langgraph.types import Command

from adjourn import AsyncEngine, approve
from adjourn.checkpoints.storage import open_saver
from adjourn.engine.reader import thread_config
from support import workflows


async def drive_elsewhere(database: str, thread_id: str, graph: Any, answer: Any) -> None:
    async with open_saver(database) as saver:
        compiled = graph.compile(checkpointer=saver)
        await compiled.ainvoke(Command(resume=answer), thread_config(thread_id))


async def test_a_run_that_was_finished_elsewhere_is_shown_as_completed(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("plain", {})
    await drive_elsewhere(database, run.thread_id, workflows.plain, "red")
    found = await engine.get(run.thread_id)
    assert (found.status, found.reviews, found.state["answer"]) == ("completed", (), "red")
    assert [each.thread_id for each in await engine.runs(status="completed")] == [run.thread_id]


async def test_an_answer_to_a_run_that_was_finished_elsewhere_changes_nothing(
    engine: AsyncEngine, database: str
) -> None:
    run = await engine.start("plain", {})
    await drive_elsewhere(database, run.thread_id, workflows.plain, "red")
    steps = await engine.history(run.thread_id)
    found = await engine.resume(run.thread_id, "blue")
    assert (found.status, found.state["answer"]) == ("completed", "red")
    assert await engine.history(run.thread_id) == steps


async def test_an_answer_that_was_overtaken_elsewhere_does_not_reach_the_next_question(
    engine: AsyncEngine, database: str
) -> None:
    two = workflows.chain(("ask_plain", workflows.ask_plain), ("ask", workflows.ask))
    run = await engine.start(two.compile(name="two"), {})
    await drive_elsewhere(database, run.thread_id, two, "red")

    found = await engine.resume(run.thread_id, "blue")
    assert (found.status, found.state["answer"]) == ("paused", "red")
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
