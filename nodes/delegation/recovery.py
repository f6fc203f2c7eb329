"""Recovery: what becomes of a subtask that failed.

While the plan is carried out, `next_move` says what follows a failure: `retry` and `reassign` happen there and then, beside
everything else, because a retried subtask is ready and must not wait for the others. What is left when retries and agents
are used up (`skip`, `ask`, `fail`) changes the plan's course; the node `recover` applies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.types import Send

from ...state.delegation import SETTLED, DelegationState, SubtaskState
from ...state.plans import Strategy
from .network import reversed_dependencies
from .separate import with_children

__all__ = ["Move", "after_execution", "after_recovery", "next_move", "recovery", "startable"]

LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Move:
    """What follows a failure: a strategy and, for `retry`, how many seconds later."""

    strategy: Strategy
    seconds: float = 0.0


def next_move(subtask: SubtaskState, others: Sequence[str], *, permanent: bool, backoff: float) -> Move:
    """Say what follows a failure; a pure function.

    The strategies of a subtask are used in their order, each until it has nothing left: `retry` until it has tried again
    `max_retries` times, `reassign` until every capable agent has failed it. Behind the last one stands `fail`.

    Args:
        subtask: As it stood when it failed.
        others: The capable agents that have not failed it.
        permanent: Whether trying the same again is useless.
        backoff: The pause before the first retry, in seconds; it doubles with each, up to a minute.
    """
    retries = subtask["retry_count"] - len(subtask["tried_by"])
    for strategy in subtask["strategies"]:
        if strategy == "retry":
            if not permanent and retries < subtask["max_retries"]:
                return Move("retry", min(backoff * 2**retries, LONGEST_PAUSE))
        elif strategy == "reassign":
            if others:
                return Move("reassign")
        else:
            return Move(strategy)
    return Move("fail")


def recovery() -> Any:
    """Make the node that applies what is left: skips subtasks with all that depend on them, calls for people, or fails.

    Returns:
        A node that writes the `subtasks` that change, `overall_status`, and `failure` in words. It is a pure function.
    """

    def recover(state: DelegationState) -> DelegationState:
        changed: dict[str, SubtaskState] = {}
        failures: list[str] = []
        for subtask in state["subtasks"].values():
            if subtask["status"] != "failed":
                continue
            if subtask["next_move"] == "skip":
                changed[subtask["task_id"]] = {**subtask, "status": "skipped"}
            elif subtask["next_move"] == "ask":
                changed[subtask["task_id"]] = {**subtask, "status": "requires_human"}
            elif subtask["next_move"] == "fail":
                failures.append(f"{subtask['task_id']}: {subtask['error_message']}")
        subtasks = {**state["subtasks"], **changed}
        for each in _skipped_with(subtasks, state["dependencies"]):
            changed[each["task_id"]] = each
        subtasks |= changed
        update: DelegationState = {"subtasks": changed, "current_step": "recover"}
        if failures:
            return {**update, "overall_status": "failed", "failure": "; ".join(failures)}
        waiting = any(each["status"] == "requires_human" for each in subtasks.values())
        more = waiting and not startable(subtasks, state["dependencies"])
        return {**update, "overall_status": "requires_human" if more else "in_progress"}

    return recover


def startable(subtasks: Mapping[str, SubtaskState], dependencies: Mapping[str, Sequence[str]]) -> bool:
    """Say whether any subtask could start now."""
    return any(
        each["status"] == "pending"
        and all(subtasks[before]["status"] == "completed" for before in dependencies[each["task_id"]])
        for each in subtasks.values()
    )


def after_execution(state: DelegationState) -> Any:
    """Route behind `execute`: to `recover` when something failed, otherwise as `after_recovery`."""
    if any(each["status"] == "failed" for each in state["subtasks"].values()):
        return "recover"
    return after_recovery(state)


def after_recovery(state: DelegationState) -> Any:
    """Route: to `compensate` when the whole failed, to `execute` while something can start, then to wait, then on.

    All questions to people are asked at once. Child runs are waited for when there is no question: a step of the graph ends
    with all that it waits for, so an answer would have to wait for a child run as well.
    """
    if state.get("overall_status") == "failed":
        return "compensate"
    if startable(state["subtasks"], state["dependencies"]):
        return "execute"
    questions = [
        Send("human_review", {"about": "subtask", "subtask": each, "main_task": state.get("main_task", "")})
        for each in state["subtasks"].values()
        if each["status"] == "requires_human"
    ]
    if questions:
        return questions
    awaited = with_children(state)
    return [Send("await_children", awaited)] if awaited else "consolidate"


def _skipped_with(
    subtasks: Mapping[str, SubtaskState], dependencies: Mapping[str, Sequence[str]]
) -> Iterator[SubtaskState]:
    """Yield the subtasks that can no longer be done, because something they depend on was skipped."""
    dependants = reversed_dependencies(dependencies)
    todo = [each["task_id"] for each in subtasks.values() if each["status"] == "skipped"]
    gone = set(todo)
    for before in todo:
        for after in dependants[before]:
            if after not in gone and subtasks[after]["status"] not in SETTLED:
                gone.add(after)
                todo.append(after)
                why = f"it depends on {before}, which was skipped"
                yield {**subtasks[after], "status": "skipped", "error_message": why}
