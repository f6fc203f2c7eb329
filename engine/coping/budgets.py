"""The question for more, when a run has spent its budget and its rules say that a person is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...state.coping import Budget
from ...state.questions import Question, question
from ..delivery import only_decision
from ..questions import BUDGET
from ..reviews import Given
from .place import CopingDrive

__all__ = ["asks_for_more", "question_for_more", "refused_by"]


def asks_for_more(drive: CopingDrive) -> bool:
    """Whether a person is asked when the budget is spent: by its rules, and unless somebody has just refused."""
    budget = drive.coping.budget
    return budget is not None and budget.exceeded == "ask" and drive.refused_by is None


def question_for_more(drive: CopingDrive) -> tuple[str, Question]:
    """Return the id and the content of the question; the id is the same until it is answered."""
    budget = drive.coping.budget
    assert budget is not None  # noqa: S101
    spent = drive.spent
    more = {name: value for name, value in (("tokens", budget.tokens), ("cost", budget.cost)) if value is not None}
    asked = question(
        "raise_budget",
        more,
        f"The run has used up its budget: {drive.used}. Grant as much again? An edit grants another amount.",
        allowed=("approve", "edit", "reject"),
        args_schema=_schema(budget),
        context={"calls": spent.calls, "tokens": spent.tokens, "cost": round(spent.cost, 6)},
        policy=budget.policy,
    )
    return f"{BUDGET}{drive.closed + 1}", asked


def refused_by(given: Iterable[Given]) -> str | None:
    """Return who refused to grant more, among the answers that a drive is given; None where nobody did.

    Args:
        given: The answers.
    """
    for each in given:
        if each.review_id.startswith(BUDGET) and only_decision(each.answer).get("type") == "reject":
            return each.by
    return None


def _schema(budget: Budget) -> dict[str, Any]:
    kinds = {"tokens": {"type": "integer", "minimum": 1}, "cost": {"type": "number", "exclusiveMinimum": 0}}
    return {
        "type": "object",
        "properties": {name: kind for name, kind in kinds.items() if getattr(budget, name) is not None},
        "additionalProperties": False,
        "minProperties": 1,
    }
