"""Trap 18: who approved, and what exactly, is not recorded; the interrupt id does not cover what was asked."""

import json
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, DigestMismatch, approve, edit
from adjourn.state.policies import ReviewPolicy
from adjourn.state.values import digest
from support.auditing import tamper
from support.postgres import execute
from support.workflows import Trail, asking, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def test_langgraph_gives_another_question_the_same_id_and_records_no_name(
    stock_saver: AsyncPostgresSaver,
) -> None:
    amount = [10]

    def ask(state: Trail) -> Trail:
        return {"answer": [interrupt(f"pay {amount[0]}?"), amount[0]]}

    graph = chain(("ask", ask)).compile(checkpointer=stock_saver)
    (first,) = (await graph.ainvoke({"name": "x"}, CONFIG))["__interrupt__"]
    amount[0] = 1_000_000  # what would be paid changes while somebody looks at the question
    (second,) = (await graph.ainvoke(None, CONFIG))["__interrupt__"]
    assert (first.id, first.value, second.value) == (second.id, "pay 10?", "pay 1000000?")
    state = await graph.ainvoke(Command(resume={first.id: "yes"}), CONFIG)
    assert state["answer"] == ["yes", 1_000_000]
    stored = [(each.metadata, each.pending_writes) async for each in stock_saver.alist(CONFIG)]
    assert "approved_by" not in json.dumps(stored, default=repr)


async def test_adjourn_records_who_when_how_it_is_known_and_the_digest_of_what_they_saw(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        run = await engine.start("asking", {"name": "x"})
        (review,) = run.reviews
        assert review.digest == digest(review.value)
        await engine.resume(run.thread_id, approve(), by="dana")
        (closed,) = await engine.reviews("decided", thread_id=run.thread_id)
    (vote,) = closed.votes
    assert (vote.by, vote.source, vote.channel, vote.shown) == ("dana", "trusted", "python", review.digest)
    assert closed.closed_by == "dana"
    stored = "select decided_by, shown from adjourn.decisions"
    assert execute(database, stored) == [("dana", review.digest)]


async def test_adjourn_finds_a_record_that_was_changed_later(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        run = await engine.start("asking", {"name": "x"}, thread_id="t")
        await engine.resume(run.thread_id, approve(), by="dana")
        assert (await engine.verify_audit()).whole
        tamper(database, "update adjourn.audit set entry = replace(entry, 'dana', 'kim')")
        found = (await engine.verify_audit()).findings
    assert {(each.thread_id, each.problem) for each in found} == {("t", "changed")}


async def test_adjourn_refuses_an_approval_of_what_was_not_shown(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(approvals=2))
        shown = run.reviews[0].digest
        await engine.resume(run.thread_id, edit({"amount": 1_000_000}), by="eve", shown=shown)
        with pytest.raises(DigestMismatch):
            await engine.resume(run.thread_id, approve(), by="dana", shown=shown)
        assert (await engine.get(run.thread_id)).status == "paused"
