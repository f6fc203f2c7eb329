"""What a cancelled run did, put together again by the run that undoes it.

A cancelled run goes on no more. What it did stands in the records of its effects, by the subtasks' ids: its plan, every
attempt that ended, and every undoing that it had begun itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

from langgraph.runtime import Runtime

from ...errors import InvalidInput, RunFailed
from ...state.delegation import CompensationState, DelegationState, SubtaskState
from ...state.plans import Plan
from ..effects import PastEffect, past_effects
from .agents import Team
from .compensation import Compensations, fresh
from .plans import Flat, flat, read_plan

__all__ = ["checked", "needs_undoing", "reopened", "undoing_id"]

_LOOK_SECONDS: Final = 0.2
_SPACE: Final = uuid.UUID("5b1c4d1e-6a52-4c8e-9d0a-7f0a4f0b6d11")


def undoing_id(cancelled: str) -> str:
    """Return the thread id of the run that undoes a cancelled run: always the same, so that there is never a second."""
    return str(uuid.uuid5(_SPACE, cancelled))


def needs_undoing(state: Mapping[str, Any]) -> bool:
    """Say whether a run in this state may have done what must be undone when it is cancelled."""
    subtasks = state.get("subtasks")
    return isinstance(subtasks, dict) and any(each.get("compensation") for each in subtasks.values())


def checked(plan: Plan, team: Team, compensations: Compensations) -> Flat:
    """Return the subtasks of a plan and their dependencies, when these agents can carry it out.

    Raises:
        InvalidPlan: They cannot, or a compensation is not there.
    """
    subtasks, dependencies = flat(plan)
    team.check(subtasks.values())
    compensations.check(subtasks)
    return subtasks, dependencies


async def reopened(
    state: DelegationState, team: Team, compensations: Compensations, runtime: Runtime[Any]
) -> DelegationState:
    """Return the state of a cancelled run as far as it counts for undoing, when nobody is at work on it any more.

    Args:
        state: Of the run that undoes.
        team: The agents.
        compensations: The functions.
        runtime: Says which run this is.

    Raises:
        InvalidInput: This run was not started by cancelling that one.
        RunFailed: That run is not cancelled, or had no plan.
    """
    cancelled = state["cancelled_run"]
    info = runtime.execution_info
    if info is None or info.thread_id != undoing_id(cancelled):
        raise InvalidInput("`cancelled_run` is set by cancelling a run, and by nothing else.")
    while (effects := await past_effects(cancelled)) is None:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)  # another process is at work; nothing in this one tells when it is over
    planned = next((each.result for each in effects if each.name == "plan" and each.status == "done"), None)
    if planned is None:
        raise RunFailed(f"Run {cancelled} had no plan when it was cancelled; there is nothing to undo.")
    plan = read_plan(planned)
    subtasks, dependencies = checked(plan, team, compensations)
    attempts, undoings = _last("subtask", effects), _last("compensate", effects)
    attempted = {each: _attempted(subtask, attempts.get(each)) for each, subtask in subtasks.items()}
    return {
        "main_task": plan.main_task,
        "plan": None,
        "subtasks": attempted,
        "dependencies": dependencies,
        "global_context": plan.global_context,
        "compensations": _undone(attempted, undoings),
        "overall_status": "cancelled",
        "current_step": "plan",
    }


def _attempted(subtask: SubtaskState, last: PastEffect | None) -> SubtaskState:
    """Return a subtask as its last record leaves it."""
    if last is None:
        return subtask
    if last.status != "done" or last.result is None:
        why = "it was under way when the run was cancelled, and nobody knows how far it came"
        return {**subtask, "status": "in_progress" if last.status == "started" else "failed", "error_message": why}
    made = last.result
    return {
        **subtask,
        "status": made["ended"],
        "input_data": made["input_data"],
        "output_data": made["output"],
        "error_message": made["error"],
        "assigned_agent": made["agent"] or None,
        "start_time": made["start_time"],
        "end_time": made["end_time"],
    }


def _undone(subtasks: Mapping[str, SubtaskState], undoings: Mapping[str, PastEffect]) -> dict[str, CompensationState]:
    found: dict[str, CompensationState] = {}
    for each, subtask in subtasks.items():
        if subtask["compensation"] is None:
            continue
        if subtask["status"] == "in_progress":
            found[each] = {**fresh(each), "status": "requires_human", "error_message": subtask["error_message"]}
        last = undoings.get(each)
        if last is None:
            continue
        if last.status == "started":
            why = "the run was cancelled while it was being undone, and nobody knows whether it happened"
            found[each] = {**fresh(each), "status": "requires_human", "error_message": why}
        elif last.status == "done" and last.result is not None and last.result["error"] is None:
            found[each] = {**fresh(each), "status": "completed", "end_time": last.result["end_time"]}
    return found


def _last(name: str, effects: list[PastEffect]) -> dict[str, PastEffect]:
    """Return the record of the last attempt at each subtask, or at undoing it."""
    found: dict[str, tuple[int, PastEffect]] = {}
    for each in effects:
        task_id, _, number = each.key.rpartition("#")
        if each.name == name and int(number) >= found.get(task_id, (0, each))[0]:
            found[task_id] = (int(number), each)
    return {task_id: each for task_id, (_, each) in found.items()}
