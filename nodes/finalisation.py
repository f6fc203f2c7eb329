"""The node that closes a run: the final decision, its factors, totals and durations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..state.review import FinalDecision, ReviewState
from .step import Clock, Node, logged, utcnow

__all__ = ["factors", "final_decision", "finalisation"]


def final_decision(state: ReviewState) -> FinalDecision:
    """Say in a word how the run ended: `accepted` means that nobody had to be asked."""
    decision = state.get("human_decision")
    if decision == "reject":
        return "rejected"
    if state.get("human_modifications"):
        return "approved_with_edits"
    # an edit that changed nothing approves what was shown
    return "accepted" if decision is None else "approved"


def factors(state: ReviewState, now: datetime) -> dict[str, Any]:
    """Collect what the decision rests on.

    Args:
        state: The state at the end.
        now: The time at the end (aware).

    Returns:
        Confidence, reasons, people and retries, with totals in seconds: since the first step began, at work, and
        waiting for people.
    """
    log, interactions = state["execution_log"], state.get("human_interactions", [])
    waited = sum(interaction["waited_seconds"] for interaction in interactions)
    working = sum(_seconds(entry["started"], entry["ended"]) for entry in log if entry["step"] != "human_review")
    scores = state["confidence_scores"]
    return {
        "min_confidence": min(scores.values(), default=0.0),
        "low_confidence_areas": state["validation_results"]["low_confidence_areas"],
        "reasons": state["validation_results"]["reasons"],
        "decided_by": [interaction["by"] for interaction in interactions],
        "edited": sorted(state.get("human_modifications") or {}),
        "retries": state.get("retry_count", 0),
        "steps": len(log) + 1,
        "total_seconds": (now - datetime.fromisoformat(log[0]["started"])).total_seconds(),
        "working_seconds": working,
        "waited_seconds": waited,
    }


def finalisation(*, clock: Clock = utcnow) -> Node:
    """Make a node that closes the run.

    Args:
        clock: The time, for the execution log and the totals.

    Returns:
        A node that writes `final_decision` and `decision_factors`.
    """

    def finalize(state: ReviewState) -> ReviewState:
        started = clock()
        decision = final_decision(state)
        return {
            "final_decision": decision,
            "decision_factors": factors(state, started),
            **logged("finalize", started, clock(), decision),
        }

    return finalize


def _seconds(started: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
