"""What people are asked when no strategy was good enough, or when asking them is the strategy; for `human_review`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from ...state.adaptive import AdaptiveState, PersonsWord
from ...state.decisions import DecisionKind
from ...state.questions import Answer, Question, question
from .strategies import StrategyLike, read_strategies

__all__ = ["ACTION", "after_answer", "ask_person", "take_answer"]

ACTION: Final = "accept_result"


def ask_person(strategies: Mapping[str, StrategyLike]) -> Callable[[Any], Question]:
    """Make the question: is the best result good enough, and if it is not, what is right, or what should be tried?

    Args:
        strategies: Name → strategy; a person may order an attempt with one of those that do not ask people.

    Returns:
        A pure function from the state to the question.
    """
    doing = [name for name, strategy in read_strategies(strategies).items() if not strategy.asks]
    schema = {
        "type": "object",
        "properties": {
            "result": {"description": "The result, corrected."},
            "strategy": {"enum": [None, *doing], "description": "Make one more attempt, with this strategy."},
        },
        "additionalProperties": False,
    }

    def ask(state: Any) -> Question:
        best, attempts = state.get("best"), state.get("attempts") or []
        allowed: tuple[DecisionKind, ...] = ("edit", "respond", "reject")
        approval = ""
        if best is not None:
            allowed, approval = ("approve", *allowed), f"Approve to take the result of {best['strategy']}; "
        return question(
            ACTION,
            {"result": best["result"] if best else None, "strategy": None},
            f"{_why(state)} {approval}edit to correct it, or to name a strategy for one more attempt; respond with the "
            "result when you have it yourself; reject to go on without one.",
            allowed=allowed,
            args_schema=schema,
            context={
                "main_task": state.get("main_task", ""),
                "attempts": [_in_words(each, state.get("quality_thresholds") or {}) for each in attempts],
            },
        )

    return ask


def take_answer(state: Any, answer: Answer, now: datetime) -> AdaptiveState:
    """Turn an answer into the node's update; a pure function, for `human_review(read=…)`.

    Args:
        state: The state that the question was asked from.
        answer: What was answered.
        now: The time at which the run went on.
    """
    stamp, best = answer["stamp"], state.get("best")
    word: PersonsWord = {
        "by": stamp["by"] if stamp else "unknown",
        "at": stamp["at"] if stamp else now.isoformat(),
        "decision": answer["kind"],
        "message": answer["message"],
    }
    update: AdaptiveState = {
        "human_decision": answer["kind"],
        "human_interactions": [word],
        "current_step": "human_review",
    }
    given = answer["args"] or {}
    if answer["kind"] == "edit" and given.get("strategy") is not None:
        return {**update, "current_strategy": given["strategy"], "human_decision": None}
    if answer["kind"] == "reject":
        return {**update, "human_result": None}
    if answer["kind"] == "respond":
        return {**update, "human_result": answer["message"]}
    found = best["result"] if best else None
    return {**update, "human_result": given.get("result", found) if answer["kind"] == "edit" else found}


def after_answer(state: Any) -> Literal["attempt", "finish"]:
    """Route: a person who named a strategy ordered one more attempt."""
    return "attempt" if state.get("human_decision") is None else "finish"


def _why(state: Any) -> str:
    history, count = state.get("adaptation_history") or [], len(state.get("attempts") or [])
    if not history:
        return "A person is to do this task."
    last = history[-1]
    tried = f"{count} attempt{'s' * (count != 1)} {'was' if count == 1 else 'were'} not good enough ({last['reason']})"
    return f"{tried}; {'a person comes next.' if last['to'] else 'no other is made by itself.'}"


def _in_words(attempt: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    head = f"{attempt['number']}. {attempt['strategy']}, {attempt['seconds']:.2f} s"
    if attempt["error"] is not None:
        return f"{head}: {attempt['error']}"
    figures = [
        f"{name} {value:.2f}"
        + (f" (below {thresholds[name]:g})" if name in attempt["poor"] and name in thresholds else "")
        for name, value in attempt["performance_metrics"].items()
    ]
    return f"{head}: {', '.join(figures)}"
