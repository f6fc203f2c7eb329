"""What a workflow is given for its question: the final answer and, for a question of ours, what the engine knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..state.questions import Stamp, action_digest
from .questions import is_action_request

__all__ = ["delivered", "only_decision"]


def delivered(question: Any, value: Any, *, by: str, at: datetime, approved_by: Sequence[str] = ()) -> Any:
    """Return what LangGraph is resumed with.

    Args:
        question: The question as the workflow raised it.
        value: The recorded answer.
        by: Who gave it, or was the last of several.
        at: When.
        approved_by: All who approved.
    """
    if not isinstance(question, dict) or "adjourn" not in question or not isinstance(value, dict):
        return value
    stamp: Stamp = {"by": by, "at": at.isoformat(), "approved_by": list(approved_by)}
    if approved := _approved(question, value):
        stamp["approved"] = approved
    return {**value, "adjourn": stamp}


def only_decision(answer: Any) -> dict[str, Any]:
    """Return the one decision of an answer; nothing where it holds none, or several."""
    if not isinstance(answer, dict):
        return {}
    decisions = answer.get("decisions")
    if isinstance(decisions, list):
        return decisions[0] if len(decisions) == 1 and isinstance(decisions[0], dict) else {}
    return answer if isinstance(answer.get("type"), str) else {}


def _approved(question: dict[str, Any], answer: dict[str, Any]) -> str | None:
    """Return the SHA-256 of the action that was approved: its name and arguments, after an edit the edited ones."""
    decision = only_decision(answer)
    if not is_action_request(question) or decision.get("type") not in ("approve", "edit"):
        return None
    request = question["action_requests"][0]
    args = decision["edited_action"]["args"] if decision["type"] == "edit" else request.get("args")
    return action_digest(request.get("name"), args)
