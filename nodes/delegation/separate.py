"""Subtasks that are runs of their own: a workflow that may pause for people, for as long as it takes.

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
from ..children import ChildCall, children

__all__ = ["AwaitedChildren", "awaiting", "brought_on", "filled", "with_children"]

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


async def brought_on(subtask: SubtaskState, results: Mapping[str, Any]) -> Any:
    """Start the run of a subtask or find it again, and bring it as far as it comes here.

    Args:
        subtask: The subtask; `attempts` says which run of it.
        results: Dependency → what came out of it.

    Returns:
        The final state of the run (of a delegation its result), a ChildFailed, or None while it has not ended.

    Raises:
        AdjournError: It cannot be started; see `nodes.children.child`.
    """
    name = _name(subtask)
    call = ChildCall(subtask["workflow"], filled(subtask["input_data"], results), on_failure="return")
    try:
        found = (await children({name: call}, until="one", scope=SCOPE))[name]
    except GraphInterrupt:  # it waits; whether this run pauses for it is decided when nothing more can start
        return None
    return found if isinstance(found, ChildFailed) else found.get("final_result", found)


def with_children(state: DelegationState) -> AwaitedChildren | None:
    """Return the children that have not ended, where there are any."""
    subtasks = state["subtasks"]
    found: AwaitedChildren = {"children": {}, "inputs": {}}
    for each in subtasks.values():
        if each["workflow"] is not None and each["status"] == "in_progress":
            results = {other: subtasks[other]["output_data"] for other in state["dependencies"][each["task_id"]]}
            name = _name({**each, "attempts": each["attempts"] + 1})
            found["children"][name] = each
            found["inputs"][name] = filled(each["input_data"], results)
    return found if found["children"] else None


def awaiting() -> Any:
    """Make a node over `AwaitedChildren` that lets the run pause until one of the children has ended.

    Returns:
        A node that says `pending` of the subtasks whose runs have ended, so that `execute` fetches what came out.
    """

    async def await_children(waits: AwaitedChildren) -> DelegationState:
        calls = {
            name: ChildCall(each["workflow"], waits["inputs"][name], on_failure="return")
            for name, each in waits["children"].items()
        }
        ended = [waits["children"][name] for name in await children(calls, until="one", scope=SCOPE)]
        return {"subtasks": {each["task_id"]: {**each, "status": "pending"} for each in ended}}

    return await_children


def _name(subtask: SubtaskState) -> str:
    return f"{subtask['task_id']}#{subtask['attempts']}"
