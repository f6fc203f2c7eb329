"""What a run did that is over, put together again by the run that undoes it.

A run that was cancelled, and a nested plan that has completed, go on no more. What they did stands in the records of their
effects, by the subtasks' ids: the plan, every attempt that ended, and every undoing that was begun.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langgraph.runtime import Runtime

from ...errors import InvalidInput, InvalidPlan, RunFailed
from ...settings import current_settings
from ...state.delegation import CompensationState, DelegationState, SubtaskState
from ...state.plans import Plan
from ..effect_port import PastEffect, PastRun
from ..effects import past_run
from .agents import Team, needs_agent
from .compensation import Compensations, fresh
from .plans import Planned, levels, nested_plan, planned, read_plan, undoable

__all__ = ["UNDONE_RUN", "checked", "needs_undoing", "reopened", "undoing_id"]

UNDONE_RUN: Final = "undone_run"
"""The input key of workflows that undo: they are started with it to undo what a run of theirs did."""
_MOST_UNDOINGS: Final = 100

_LOOK_SECONDS: Final = 0.2
_SPACE: Final = uuid.UUID("5b1c4d1e-6a52-4c8e-9d0a-7f0a4f0b6d11")


def undoing_id(thread_id: str) -> str:
    """Return the thread id of the run that undoes a run: always the same, so that there is never a second.

    An undoing that was itself cancelled is gone on with by another one, which has the id made of its id.
    """
    return str(uuid.uuid5(_SPACE, thread_id))


def needs_undoing(state: Mapping[str, Any]) -> bool:
    """Say whether a run that got to this state may have done what must be undone."""
    subtasks = state.get("subtasks")
    if not isinstance(subtasks, dict) or state.get(UNDONE_RUN) is not None:
        return False
    if state.get("overall_status") == "failed" and state.get("final_result"):
        return False  # it has undone it itself
    return any(map(undoable, subtasks.values()))


def checked(plan: Plan, team: Team, compensations: Compensations) -> Planned:
    """Return the subtasks of a plan and what they wait for, when these agents can carry it out.

    Raises:
        InvalidPlan: They cannot, or a compensation is not there; here, or in a plan nested in it, whose subtasks are named
            with a slash. Or there are more plans in plans than there may be runs below a run.
    """
    deepest = current_settings().max_child_depth
    if (deep := levels(plan)) > deepest + 1:
        raise InvalidPlan(
            f"There are {deep} plans one in another; each is carried out by a run of its own, and "
            f"ADJOURN_MAX_CHILD_DEPTH allows {deepest} below the first."
        )
    subtasks, dependencies = planned(plan)
    everything = dict(_with_parts(subtasks, ""))
    team.check(everything.values())
    compensations.check(everything)
    return subtasks, dependencies


def _with_parts(subtasks: Mapping[str, SubtaskState], inside: str) -> Iterator[tuple[str, SubtaskState]]:
    for each in subtasks.values():
        name = f"{inside}{each['task_id']}"
        yield name, {**each, "task_id": name}
        if each["plan"] is not None:
            yield from _with_parts(planned(nested_plan(each))[0], f"{name}/")


async def reopened(
    state: DelegationState, team: Team, compensations: Compensations, runtime: Runtime[Any]
) -> DelegationState:
    """Return the state of a run as far as it counts for undoing, when nobody is at work on it any more.

    Args:
        state: Of the run that undoes.
        team: The agents.
        compensations: The functions.
        runtime: Says which run this is.

    Raises:
        InvalidInput: This run was not started to undo that one.
        RunFailed: That run is not over, or had no plan.
    """
    undone = state["undone_run"]
    before = _undoings_before(undone, runtime)
    did = await _past(undone)
    if did.status != "cancelled" and not (did.status == "completed" and did.for_child):
        raise RunFailed(f"Run {undone} is {did.status}, and not cancelled; nothing is undone.")
    plan_kept = next((each.result for each in did.effects if each.name == "plan" and each.status == "done"), None)
    if plan_kept is None:
        raise RunFailed(f"Run {undone} had no plan when it was cancelled; there is nothing to undo.")
    plan = read_plan(plan_kept)
    subtasks, dependencies = checked(plan, team, compensations)
    attempts = _last("subtask", did.effects)
    attempted = {each: _attempted(subtask, attempts.get(each)) for each, subtask in subtasks.items()}
    undoings = _last("compensate", did.effects)
    for each in before:
        undoings |= _last("compensate", (await _past(each)).effects)
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


def _undoings_before(undone: str, runtime: Runtime[Any]) -> list[str]:
    """Return the runs that had begun to undo a run before this one; its thread id says so."""
    me = runtime.execution_info.thread_id if runtime.execution_info else None
    before: list[str] = []
    each = undoing_id(undone)
    while each != me:
        before.append(each)
        each = undoing_id(each)
        if len(before) > _MOST_UNDOINGS:
            raise InvalidInput(f"`{UNDONE_RUN}` is set by whoever cancels or undoes a run, and by nothing else.")
    return before


async def _past(thread_id: str) -> PastRun:
    while (found := await past_run(thread_id)) is None:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)  # another process is at work; nothing in this one tells when it is over
    return found


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
            own = {**fresh(each), "own_done": True, "end_time": last.result["end_time"]}
            # what its child runs did is looked at anew: the runs that undid it may have been cancelled
            found[each] = {**own, "status": "completed" if needs_agent(subtask) else "in_progress"}  # type: ignore[typeddict-item]
    return found


def _last(name: str, effects: list[PastEffect]) -> dict[str, PastEffect]:
    """Return the record of the last attempt at each subtask, or at undoing it."""
    found: dict[str, tuple[int, PastEffect]] = {}
    for each in effects:
        task_id, _, number = each.key.rpartition("#")
        if each.name == name and int(number) >= found.get(task_id, (0, each))[0]:
            found[task_id] = (int(number), each)
    return {task_id: each for task_id, (_, each) in found.items()}
