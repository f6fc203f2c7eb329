"""What is executed is what was approved; what was changed in between is asked again, and never done unseen."""

from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph

from adjourn import AsyncEngine, Run, approve, edit
from adjourn.graphs.review import after_execution, build
from adjourn.nodes.execution import execution
from adjourn.nodes.human_review import ask_about_analysis, human_review
from adjourn.state.policies import ReviewPolicy
from adjourn.state.review import ReviewState

AT = "2026-01-01T00:00:00+00:00"
DONE: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


def do(state: ReviewState) -> str:
    DONE.append(dict(state["analysis_results"]))
    return "done"


def changing(times: int, *, max_retries: int = 2) -> StateGraph[Any, None, Any, Any]:
    """`review`, with a step between approval and execution that changes what was approved, so many times."""
    changed: list[int] = []

    def start(state: ReviewState) -> ReviewState:
        return {
            "analysis_results": {"amount": 10},
            "confidence_scores": {},
            "validation_results": {
                "passed": False, "low_confidence_areas": [], "requires_human_review": True, "reasons": [],
            },
            "execution_log": [{"step": "start", "started": AT, "ended": AT, "status": ""}],
        }  # fmt: skip

    def change(state: ReviewState) -> ReviewState:
        if len(changed) == times:
            return {"current_step": "change"}
        changed.append(1)
        return {"analysis_results": {**state["analysis_results"], "amount": 1000 + len(changed)}}

    workflow: Any = StateGraph(ReviewState)
    workflow.add_node("start", start)
    workflow.add_node("human_review", human_review(ask_about_analysis(2), policy=ReviewPolicy(approvals=2)))
    workflow.add_node("change", change)
    workflow.add_node("execute", execution(do, max_retries=max_retries))
    workflow.add_edge(START, "start")
    workflow.add_edge("start", "human_review")
    workflow.add_edge("human_review", "change")
    workflow.add_edge("change", "execute")
    workflow.add_conditional_edges(
        "execute", lambda state: {"finalize": END}.get(after_execution(state), "human_review"), ["human_review", END]
    )
    found: StateGraph[Any, None, Any, Any] = workflow
    return found


async def both(engine: AsyncEngine, run: Run, decision: Any = None) -> Run:
    for who in ("ann", "bob"):
        run = await engine.resume(run.thread_id, decision or approve(), by=who, shown=run.reviews[0].digest)
    return run


async def test_what_was_changed_after_its_approval_is_asked_again_and_not_done(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"w": changing(1)}) as engine:
        run = await engine.start("w", {"input_text": "t"})
        run = await both(engine, run)
        assert (run.status, run.reviews[0].args, DONE) == ("paused", {"amount": 1001}, [])
        assert "changed after it had been approved" in run.reviews[0].description
        assert run.state["digest_mismatches"] == 1
        assert [entry["status"] for entry in run.state["execution_log"]][-1] == "digest mismatch"
        run = await both(engine, run)
    assert (run.status, DONE) == ("completed", [{"amount": 1001}])


async def test_after_max_retries_it_fails_and_says_what_was_approved(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"w": changing(9, max_retries=1)}) as engine:
        run = await engine.start("w", {"input_text": "t"})
        run = await both(engine, await both(engine, run))
        assert (run.status, DONE) == ("failed", [])
        assert run.error is not None
        assert run.error["type"] == "DigestMismatch"


async def test_an_edit_is_executed_as_it_was_approved(database: str) -> None:
    graph = build(min_confidence=1.0, action=do, policy=ReviewPolicy(approvals=2))
    async with AsyncEngine.open(database, workflows={"w": graph}) as engine:
        run = await engine.start("w", {"input_text": "Both sides signed the contract on 3 May."})
        run = await engine.resume(run.thread_id, edit({"summary": "Signed."}), by="ann")
        shown = run.reviews[0]
        assert (shown.version, shown.missing) == (2, 1)
        run = await engine.resume(run.thread_id, approve(), by="bob", shown=shown.digest)
    assert (run.status, run.state["final_decision"]) == ("completed", "approved_with_edits")
    assert [shown.args] == DONE
    assert run.state["digest_mismatches"] == 0
