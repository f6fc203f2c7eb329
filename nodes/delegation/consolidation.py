"""The nodes that end a delegation: the result of all, and the failure of a run whose plan failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from langgraph.types import Command

from ...errors import RunFailed
from ...state.delegation import DelegationState, OverallStatus, SubtaskState
from ...state.values import JsonValue
from ..effects import once
from .network import critical_path, network_of

__all__ = ["Combine", "after_consolidation", "consolidation", "failing", "last_results", "measured"]

Combine: TypeAlias = Callable[[DelegationState], JsonValue]
"""Makes the result of all out of the results of the parts; a pure function."""


def last_results(state: DelegationState) -> JsonValue:
    """Return the results of the subtasks that nothing else depends on; the only one by itself. The default."""
    needed = {before for each in state["dependencies"].values() for before in each}
    last = {
        each: subtask["output_data"]
        for each, subtask in state["subtasks"].items()
        if each not in needed and subtask["status"] == "completed"
    }
    found: JsonValue = next(iter(last.values())) if len(last) == 1 else last
    return found


def consolidation(combine: Combine = last_results) -> Any:
    """Make the node that puts the results together.

    Args:
        combine: Makes the result of all.

    Returns:
        A node that writes `final_result` and `overall_status`. What was skipped or failed stands in the result by its id.
    """

    def consolidate(state: DelegationState) -> DelegationState:
        status = _overall(state)
        subtasks = state.get("subtasks", {}).values()
        result: dict[str, Any] = {
            "result": combine(state) if status == "completed" else None,
            "overall_status": status,
            "skipped": _why(subtasks, "skipped"),
            "failed": _why(subtasks, "failed"),
            "compensated": _compensated(state, "completed"),
            "not_compensated": _compensated(state, "given_up"),
            **measured(state),
        }
        return {"final_result": result, "overall_status": status, "current_step": "consolidate"}

    return consolidate


def measured(state: DelegationState) -> dict[str, Any]:
    """Return the figures of a delegation: times in seconds, the critical path as it turned out, and retries.

    `makespan_seconds` is from the first beginning to the last end, people included; `critical_path_seconds` is the length
    of the longest path in real times, below which no schedule could have come.
    """
    subtasks = state.get("subtasks", {})
    network = network_of(state.get("dependencies", {}), {each: seconds(subtask) for each, subtask in subtasks.items()})
    began = [each["start_time"] for each in subtasks.values() if each["start_time"]]
    ended = [each["end_time"] for each in subtasks.values() if each["end_time"]]
    makespan = _between(min(began), max(ended)) if began and ended else 0.0
    return {
        "makespan_seconds": round(makespan, 6),
        "critical_path": critical_path(network),
        "critical_path_seconds": round(network.length, 6),
        "work_seconds": round(network.work, 6),
        "retries": sum(each["retry_count"] for each in subtasks.values()),
    }


def seconds(subtask: SubtaskState) -> float:
    """Return how long the last attempt at a subtask took; 0 when there was none."""
    if not subtask["start_time"] or not subtask["end_time"]:
        return 0.0
    return max(0.0, _between(subtask["start_time"], subtask["end_time"]))


def after_consolidation(state: DelegationState) -> str:
    """Route: a plan that failed fails its run."""
    return "fail" if state.get("overall_status") == "failed" else "__end__"


def failing() -> Any:
    """Make the node that fails the run of a plan that failed, so that nobody takes it for a success.

    When somebody retries the run and nothing was compensated, the subtasks that had failed are begun anew.
    """

    async def fail(state: DelegationState) -> Any:
        told: list[bool] = []
        await once("failure", lambda: told.append(True), on_uncertain="retry")
        undone = [each for each, entry in state.get("compensations", {}).items() if entry["status"] == "completed"]
        if told or undone:
            how_many = "1 subtask was" if len(undone) == 1 else f"{len(undone)} subtasks were"
            what = f" {how_many} undone; start a new run." if undone else ""
            raise RunFailed(f"The plan failed: {state.get('failure')}.{what}")
        again = {each: _anew(subtask) for each, subtask in state["subtasks"].items() if subtask["status"] == "failed"}
        return Command(goto="execute", update={"subtasks": again, "overall_status": "in_progress", "failure": None})

    return fail


def _anew(subtask: SubtaskState) -> dict[str, Any]:
    return {**subtask, "status": "pending", "retry_count": 0, "tried_by": [], "next_move": None, "error_message": None}


def _overall(state: DelegationState) -> OverallStatus:
    if state.get("undone_run"):
        return "cancelled"
    return "failed" if state.get("overall_status") == "failed" else "completed"


def _why(subtasks: Any, status: str) -> dict[str, str | None]:
    return {each["task_id"]: each["error_message"] for each in subtasks if each["status"] == status}


def _compensated(state: DelegationState, status: str) -> list[str]:
    return [each for each, entry in state.get("compensations", {}).items() if entry["status"] == status]


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
