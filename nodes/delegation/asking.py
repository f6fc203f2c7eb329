"""The node that asks people about a subtask, or about an undoing that failed. It holds nothing but the question.

One of these runs for each question, all in one step, so that all questions are open at once and can be answered in any
order, by different people.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from typing_extensions import TypedDict

from ...state.delegation import Answered, CompensationState, DelegationState, SubtaskState
from ...state.policies import ReviewPolicy
from ...state.questions import Answer, Question, question
from ...state.values import digest
from ..human_review import human_review as asking_node
from ..step import Clock, utcnow
from .answers import question_of

__all__ = ["COMPENSATE", "DECIDE", "Asked", "answered", "ask_about", "human_review"]

DECIDE = "decide_subtask"
COMPENSATE = "decide_compensation"

_EDIT_SCHEMA = {"type": "object", "properties": {"input_data": {"type": "object"}}, "additionalProperties": False}


class Asked(TypedDict, total=False):
    """What one question is about."""

    about: Literal["subtask", "compensation"]
    main_task: str
    subtask: SubtaskState
    compensation: CompensationState


def ask_about(asked: Asked) -> Question:
    """Return the question; a pure function."""
    subtask = asked["subtask"]
    name = subtask["task_id"]
    told = {
        "main_task": asked.get("main_task"),
        "task_id": name,
        "description": subtask["description"],
        "assigned_agent": subtask["assigned_agent"],
    }
    context = {key: value for key, value in told.items() if value}
    if asked["about"] == "compensation":
        return question(
            COMPENSATE,
            {"task_id": name, "compensation": subtask["compensation"]},
            f"Undoing {name!r} needs a person: {asked['compensation']['error_message']}. Approve to try (again), respond "
            "with a note when it is undone already or you have done it yourself, reject to leave it as it is.",
            allowed=("approve", "respond", "reject"),
            context={**context, "output_data": subtask["output_data"]},
        )
    # a nested plan has no input of its own
    edits = subtask["plan"] is None
    go_on = "say yes" if question_of(subtask) is not None else "try again"
    return question(
        DECIDE,
        {"input_data": subtask["input_data"]},
        f"Subtask {name!r} needs a person: {subtask['error_message']}. Approve to {go_on}, "
        f"{f'edit to {go_on} with other input, ' if edits else ''}"
        "respond with its result when you have done it yourself, reject to skip it with all that depends on it.",
        allowed=("approve", "edit", "respond", "reject") if edits else ("approve", "respond", "reject"),
        args_schema=_EDIT_SCHEMA if edits else None,
        context={**context, "retry_count": subtask["retry_count"]},
    )


def human_review(*, policy: ReviewPolicy | None = None, clock: Clock = utcnow) -> Any:
    """Make a node that pauses the run until one question is answered.

    Args:
        policy: Who may answer, how many must agree, and until when.
        clock: The time, where no engine says when the answer came.

    Returns:
        A node over `Asked` that writes the subtask or the compensation as the answer leaves it, and `human_interactions`.
    """
    return asking_node(ask_about, read=answered, policy=policy, clock=clock)


def answered(asked: Asked, answer: Answer, now: datetime) -> DelegationState:
    """Turn an answer into the node's update; a pure function.

    Args:
        asked: What the question was about.
        answer: What was answered.
        now: The time at which the run went on.
    """
    stamp = answer["stamp"]
    by = stamp["by"] if stamp else "unknown"
    entry: Answered = {
        "task_id": asked["subtask"]["task_id"],
        "about": asked["about"],
        "by": by,
        "at": stamp["at"] if stamp else now.isoformat(),
        "decision": answer["kind"],
        "message": answer["message"],
    }
    # no `current_step`: several answers may be read in one step
    if asked["about"] == "compensation":
        undone = _compensation(asked["compensation"], answer, entry)
        return {"human_interactions": [entry], "compensations": {entry["task_id"]: undone}}
    changed = _subtask(asked["subtask"], answer, entry)
    if (asks := question_of(asked["subtask"])) is not None:
        entry = {**entry, "asked": asks, "input_digest": digest(changed["input_data"])}
    return {"human_interactions": [entry], "subtasks": {entry["task_id"]: changed}}


def _subtask(subtask: SubtaskState, answer: Answer, entry: Answered) -> SubtaskState:
    note = answer["message"]
    if answer["kind"] == "reject":
        return {
            **subtask,
            "status": "skipped",
            "error_message": f"skipped by {entry['by']}: {note or 'no reason given'}",
        }
    if answer["kind"] == "respond":
        return {
            **subtask,
            "status": "completed",
            "output_data": note,
            "assigned_agent": entry["by"],
            "end_time": entry["at"],
            "error_message": None,
            # what a person did by hand is undone by hand
            "compensation": None,
            "next_move": None,
        }
    given = (answer["args"] or {}).get("input_data", subtask["input_data"])
    again = {**subtask, "input_data": given, "retry_count": 0, "tried_by": []}
    return {**again, "status": "pending", "error_message": None, "next_move": None}  # type: ignore[typeddict-item]


def _compensation(compensation: CompensationState, answer: Answer, entry: Answered) -> CompensationState:
    if answer["kind"] == "approve":
        return {**compensation, "status": "in_progress" if compensation["own_done"] else "pending"}
    if answer["kind"] == "respond":
        return {**compensation, "status": "completed", "error_message": answer["message"], "end_time": entry["at"]}
    why = f"left by {entry['by']}: {answer['message'] or 'no reason given'}"
    return {**compensation, "status": "given_up", "error_message": why, "end_time": entry["at"]}
