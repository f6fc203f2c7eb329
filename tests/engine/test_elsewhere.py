"""Threads that LangGraph itself drives on the same tables, beside the engine."""

from typing import Any

import pytest
from langgraph.types import Command

from adjourn import AsyncEngine, NotPaused, UnknownReview, approve
from adjourn.checkpoints.storage import open_saver
from adjourn.engine.drive import thread_config
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


async def test_a_run_that_was_finished_elsewhere_takes_no_answer(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("plain", {})
    await drive_elsewhere(database, run.thread_id, workflows.plain, "red")
    with pytest.raises(NotPaused, match="has completed"):
        await engine.resume(run.thread_id, "blue")
    assert (await engine.get(run.thread_id)).state["answer"] == "red"


async def test_an_answer_that_was_overtaken_does_not_reach_the_next_question(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = workflows.chain(("ask_plain", workflows.ask_plain), ("ask", workflows.ask))
    run = await engine.start(two.compile(name="two"), {})
    claim = engine._runs.claim

    async def overtaken(*arguments: Any) -> Any:
        await drive_elsewhere(database, run.thread_id, two, "red")
        return await claim(*arguments)

    monkeypatch.setattr(engine._runs, "claim", overtaken)
    with pytest.raises(UnknownReview, match="answered by somebody else"):
        await engine.resume(run.thread_id, "blue")
    monkeypatch.undo()

    found = await engine.get(run.thread_id)
    assert (found.status, found.state["answer"]) == ("paused", "red")
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
