"""The node that asks a person.

The node builds the question from the state alone, asks, and reads the answer. Nothing else happens in it: LangGraph
runs an asking node again from its top when the answer comes, so any code with an effect before the question would
be executed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar, overload

from langgraph.types import interrupt

from ..state.analysis import AnalysisResults
from ..state.decisions import KINDS, DecisionKind
from ..state.policies import ReviewPolicy
from ..state.questions import Answer, Question, action_digest, asked_under, question, read_answer
from ..state.review import Interaction, ReviewState
from ..state.schemas import json_schema
from .step import Clock, Node, logged, utcnow

__all__ = ["ACTION", "ask_about_analysis", "human_review"]

ACTION = "accept_analysis"

Ask = Callable[[ReviewState], Question]
State = TypeVar("State")


class AnyNode(Protocol):
    """A node of any graph that asks people."""

    def __call__(self, state: Any) -> Any:
        """Do the step."""
        ...


def ask_about_analysis(max_retries: int) -> Ask:
    """Make the question of the workflow `review`: may this analysis be acted on?

    Args:
        max_retries: How often people may send the text back. After that `respond` is no longer offered, and
            a rejection is final; the question says so.

    Returns:
        A pure function from the state to the question.
    """
    schema = json_schema(AnalysisResults, all_optional=True)

    def ask(state: ReviewState) -> Question:
        left = max_retries - state.get("retry_count", 0)
        allowed: tuple[DecisionKind, ...] = KINDS if left > 0 else ("approve", "edit", "reject")
        reasons = list(state["validation_results"]["reasons"])
        if state.get("digest_mismatches"):
            reasons.append("it was changed after it had been approved")
        after = (
            f"Reject or respond to have it analysed again ({left} of {max_retries} left)."
            if left > 0
            else "It was sent back as often as allowed: a rejection is final."
        )
        return question(
            ACTION,
            dict(state["analysis_results"]),
            f"Please check this analysis: {'; '.join(reasons)}. {after}",
            allowed=allowed,
            args_schema=schema,
            context={
                "input_text": state["input_text"],
                "confidence_scores": dict(state["confidence_scores"]),
                "reasons": [*reasons],
            },
        )

    return ask


@overload
def human_review(ask: Ask, *, policy: ReviewPolicy | None = None, clock: Clock = utcnow) -> Node: ...


@overload
def human_review(
    ask: Callable[[State], Question],
    *,
    read: Callable[[State, Answer, datetime], Any],
    policy: ReviewPolicy | None = None,
    clock: Clock = utcnow,
) -> AnyNode: ...


def human_review(
    ask: Callable[[Any], Question],
    *,
    read: Callable[[Any, Answer, datetime], Any] | None = None,
    policy: ReviewPolicy | None = None,
    clock: Clock = utcnow,
) -> Any:
    """Make a node that pauses the run until people have answered.

    The node may be run any number of times before the answer comes; the question is the same each time.

    Args:
        ask: A pure function from the state to the question.
        read: A pure function from the state, the answer and the time to the node's update. Default: that of `review`.
        policy: Who may answer, how many must agree, and until when. It travels with the question; a run may be started
            with another (`start(policies=…)`).
        clock: The time at which the run goes on.

    Returns:
        A node that writes what `read` returns; that of `review` writes `human_decision`, `human_interactions`,
        `approved_digest` and, by decision, the edited `analysis_results` with `human_modifications`, or
        `rejection_reason`, or `human_feedback`.
    """
    take = read or read_decision

    def review(state: Any) -> Any:
        asked = ask(state)
        answer = read_answer(interrupt(asked if policy is None else asked_under(policy, asked)))
        return take(state, answer, clock())

    return review


def read_decision(state: ReviewState, answer: Answer, now: datetime) -> ReviewState:
    """Turn an answer into the node's update; a pure function.

    Args:
        state: The state that the question was asked from.
        answer: What was answered.
        now: The time at which the run went on.
    """
    asked = datetime.fromisoformat(state["execution_log"][-1]["ended"])
    stamp = answer["stamp"]
    at = datetime.fromisoformat(stamp["at"]) if stamp else now
    interaction: Interaction = {
        "by": stamp["by"] if stamp else "unknown",
        "at": at.isoformat(),
        "decision": answer["kind"],
        "message": answer["message"],
        "waited_seconds": max((at - asked).total_seconds(), 0.0),
    }
    update: ReviewState = {
        "human_decision": answer["kind"],
        "human_interactions": [interaction],
        "approved_digest": _approved(state, answer),
        **logged("human_review", asked, now, answer["kind"]),
    }
    return {**update, **_by_kind(state, answer)}


def _approved(state: ReviewState, answer: Answer) -> str | None:
    """Return the digest of what was approved: as the engine recorded it, or without an engine as it is here."""
    if answer["kind"] not in ("approve", "edit"):
        return None
    stamp = answer["stamp"]
    recorded = stamp.get("approved") if stamp else None
    return recorded or action_digest(ACTION, answer["args"] or dict(state["analysis_results"]))


def _by_kind(state: ReviewState, answer: Answer) -> ReviewState:
    again = state.get("retry_count", 0) + 1
    if answer["kind"] == "edit":
        shown = state["analysis_results"]
        changes = {name: value for name, value in (answer["args"] or {}).items() if shown.get(name) != value}
        scores = state["confidence_scores"]
        return {
            "analysis_results": {**shown, **changes},
            "human_modifications": {**(state.get("human_modifications") or {}), **changes},
            # what a person wrote is not a guess any more
            "confidence_scores": {area: 1.0 if area in changes else score for area, score in scores.items()},
        }
    if answer["kind"] == "reject":
        return {"rejection_reason": answer["message"] or "no reason was given", "retry_count": again}
    if answer["kind"] == "respond":
        return {"human_feedback": answer["message"], "retry_count": again}
    return {}
