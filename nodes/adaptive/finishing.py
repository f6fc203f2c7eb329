"""The node that ends an adaptive run: its result, by whose decision; good answers are kept."""

from __future__ import annotations

from typing import Any

from ...state.adaptive import AdaptiveResult, AdaptiveState
from ..here import teller
from ..step import Clock, utcnow
from .memory import check_memory, keep_answer
from .node import AsyncNode
from .strategies import task_of

__all__ = ["finishing", "result_of"]


def finishing(*, memory: str | None = "adaptive", clock: Clock = utcnow) -> AsyncNode:
    """Make a node that writes the result, and keeps a good one for `cached_responses`.

    Kept is what reached every threshold, and what a person took, corrected or wrote: the last one for each task. Who keeps
    nothing gives None; what is kept stays when the run is erased.

    Args:
        memory: The name under which good answers are kept; None keeps none.
        clock: The time.

    Returns:
        A node that writes `final_result`. It may run any number of times.

    Raises:
        InvalidInput: `memory` is no name.
    """
    check_memory(memory)

    async def finish(state: Any) -> AdaptiveState:
        final = result_of(state)
        if _to_be_kept(state, final):
            task = task_of(state, len(state.get("attempts") or []), memory=memory)
            await keep_answer(task, final["result"], clock=clock)
        teller("adaptive")("finished", strategy=final["strategy"], decided_by=final["decided_by"], good=final["good"])
        return {"final_result": final, "current_step": "finish"}

    return finish


def _to_be_kept(state: Any, final: AdaptiveResult) -> bool:
    """Say whether an answer is good, and was not just taken from those that are kept, which makes it no younger."""
    if final["decided_by"] != "metrics":
        return bool(state.get("human_decision") != "reject")
    return final["good"] and not state["attempts"][-1].get("kept")


def result_of(state: Any) -> AdaptiveResult:
    """Return what a run came to; a pure function.

    Without a person it is the last attempt, which was good; otherwise what the person said.
    """
    attempts, decision, best = state.get("attempts") or [], state.get("human_decision"), state.get("best")
    found: AdaptiveResult = {
        "result": state.get("result"),
        "strategy": attempts[-1]["strategy"] if attempts else None,
        "decided_by": "metrics",
        "good": bool(attempts) and not attempts[-1]["poor"] and attempts[-1]["error"] is None,
        "performance_metrics": dict(state.get("performance_metrics") or {}),
        "attempts": len(attempts),
        "seconds": round(sum(each["seconds"] for each in attempts), 6),
    }
    if decision is None:
        return found
    found |= {"result": state.get("human_result"), "good": False, "decided_by": state["human_interactions"][-1]["by"]}
    if decision == "approve" and best is not None:
        of_best = next(each for each in attempts if each["number"] == best["attempt"])
        return {**found, "strategy": best["strategy"], "performance_metrics": of_best["performance_metrics"]}
    return {**found, "strategy": None if decision == "reject" else "human_in_loop", "performance_metrics": {}}
