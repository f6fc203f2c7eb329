"""Subtasks that are runs of their own: a nested plan, or a workflow that may pause for people, for as long as it takes.

`execute` starts them and goes on; where they have not ended when nothing more can start, `await_children` lets the run
pause until one has. They are known by the subtask's id and the number of the attempt, in the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langgraph.errors import GraphInterrupt
from typing_extensions import TypedDict

from ...errors import ChildFailed
from ...state.delegation import DelegationState, SubtaskState
from ..children import OWN, ChildCall, children
from .agents import needs_agent
from .plans import undoable
from .telling import inside_of

__all__ = [
    "SCOPE",
    "AwaitedChildren",
    "awaiting",
    "brought_on",
    "filled",
    "next_run",
    "results_for",
    "with_children",
]

SCOPE: Final = "delegation"
RESULT: Final = "$result"


class AwaitedChildren(TypedDict):
    """The children to wait for, by id: their subtasks, and the inputs that they were started with."""

    children: dict[str, SubtaskState]
    inputs: dict[str, Any]


def filled(value: Any, results: Mapping[str, Any]) -> Any:
    """Return the input of a workflow with results in the places that ask for them.

    Args:
        value: JSON in which `{"$result": "draft"}` stands for what came out of the subtask `draft`, and
            `{"$result": "draft", "key": "summary"}` for one key of that.
        results: Dependency → what came out of it.

    Raises:
        KeyError: There is no such dependency, or no such key in its result.
    """
    if isinstance(value, list):
        return [filled(each, results) for each in value]
    if not isinstance(value, dict):
        return value
    if RESULT in value and set(value) <= {RESULT, "key"}:
        found = results[value[RESULT]]
        return found[value["key"]] if "key" in value else found
    return {name: filled(each, results) for name, each in value.items()}


def results_for(state: DelegationState, subtasks: Mapping[str, SubtaskState], task_id: str) -> dict[str, Any]:
    """Return what came out of the subtasks that one waits for; in a nested plan the first get what came from outside.

    Args:
        state: The run's state.
        subtasks: Its subtasks as they stand.
        task_id: Which.
    """
    before = state["dependencies"][task_id]
    outer = state.get("outer")
    if not before and outer:
        return dict(outer["results"])
    return {each: subtasks[each]["output_data"] for each in before}


async def brought_on(state: DelegationState, subtask: SubtaskState, results: Mapping[str, Any]) -> Any:
    """Start the run of a subtask or find it again, and bring it as far as it comes here.

    Args:
        state: The state of the run that it belongs to.
        subtask: The subtask; `run` says which run of it.
        results: Dependency → what came out of it.

    Returns:
        What came out of the run (its final state; of a delegation its result; of a nested plan the results of its last
        subtasks, by their ids), a ChildFailed, or None while it has not ended.

    Raises:
        AdjournError: It cannot be started; see `nodes.children.child`.
    """
    name = _name(subtask)
    try:
        found = (await children({name: _call(state, subtask, results)}, until="one", scope=SCOPE))[name]
    except GraphInterrupt:  # it waits; whether this run pauses for it is decided when nothing more can start
        return None
    if isinstance(found, ChildFailed):
        return found
    return found.get("final_result", found) if subtask["plan"] is None else _last_results(found)


def with_children(state: DelegationState) -> AwaitedChildren | None:
    """Return the children that have not ended, where there are any."""
    subtasks = state["subtasks"]
    found: AwaitedChildren = {"children": {}, "inputs": {}}
    for each in subtasks.values():
        if each["status"] == "in_progress" and not needs_agent(each):
            name = _name(each)
            found["children"][name] = each
            found["inputs"][name] = _input(state, each, results_for(state, subtasks, each["task_id"]))
    return found if found["children"] else None


def awaiting() -> Any:
    """Make a node over `AwaitedChildren` that lets the run pause until one of the children has ended.

    Returns:
        A node that says `pending` of the subtasks whose runs have ended, so that `execute` fetches what came out.
    """

    async def await_children(waits: AwaitedChildren) -> DelegationState:
        calls = {
            name: ChildCall(each["workflow"] or OWN, waits["inputs"][name], on_failure="return")
            for name, each in waits["children"].items()
        }
        ended = [waits["children"][name] for name in await children(calls, until="one", scope=SCOPE)]
        return {"subtasks": {each["task_id"]: {**each, "status": "pending"} for each in ended}}

    return await_children


def _name(subtask: SubtaskState) -> str:
    """Return the id of the child run that does a subtask now."""
    return f"{subtask['task_id']}#{subtask['run']}"


def next_run(subtask: SubtaskState, *, cancelled: bool = False) -> int:
    """Return which child run makes the next attempt at a subtask whose child run has ended without a result.

    A nested plan that failed and has nothing that it could have undone is gone on with: what it finished is not repeated.
    Everything else begins anew.

    Args:
        subtask: The subtask.
        cancelled: Whether its child run was cancelled, so that nobody can go on with it.
    """
    goes_on = subtask["plan"] is not None and not cancelled and not any(map(undoable, subtask["plan"]["subtasks"]))
    return subtask["run"] if goes_on else subtask["run"] + 1


def _call(state: DelegationState, subtask: SubtaskState, results: Mapping[str, Any]) -> ChildCall:
    return ChildCall(
        subtask["workflow"] or OWN,
        _input(state, subtask, results),
        on_failure="return",
        go_on=subtask["attempts"] > subtask["run"],  # the same run has failed an attempt before
    )


def _input(state: DelegationState, subtask: SubtaskState, results: Mapping[str, Any]) -> Any:
    """Return the input of a subtask's run; the same each time, for the same attempt."""
    if subtask["plan"] is None:
        return filled(subtask["input_data"], results)
    plan = subtask["plan"]
    inside = inside_of(state)
    return {
        "main_task": plan.get("main_task") or state.get("main_task", ""),
        "plan": {**plan, "global_context": {**state.get("global_context", {}), **plan.get("global_context", {})}},
        "outer": {
            "family": state.get("family"),
            "inside": f"{inside}/{subtask['task_id']}" if inside else subtask["task_id"],
            "results": dict(results),
        },
    }


def _last_results(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of the subtasks of a nested plan that no other waits for, by their ids there."""
    inner = {before for each in state["dependencies"].values() for before in each}
    last = (each for each in state["subtasks"].values() if each["task_id"] not in inner)
    return {each["task_id"]: each["output_data"] for each in last}
