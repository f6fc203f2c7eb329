"""The node that gives subtasks to agents, by one of the strategies of `adjourn.nodes.assignment`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ...state.assignments import Subtask
from ...state.council import CouncilState
from ...state.roster import Agent
from ..arguments import check_count, one_of
from ..assignment import STRATEGIES, assign
from ..assignment.assigning import MAX_REASSIGNMENTS, OnMissing
from ..here import teller
from .members import Members, crew_of
from .memory import check_memory, recalled
from .node import AsyncCouncilNode

__all__ = ["assignment", "ready", "subtask_of"]

_OWN = frozenset(Subtask.model_fields)


def assignment(
    members: Members,
    strategy: str = "capability",
    *,
    on_missing: OnMissing = "error",
    max_reassignments: int = MAX_REASSIGNMENTS,
    memory: str | None = None,
) -> AsyncCouncilNode:
    """Make a node that gives the subtasks that are ready to agents.

    Ready is what is not done and whose dependencies are. A subtask that failed goes to another agent that can do it, at most
    `max_reassignments` times. The rest stands in `unassigned`: busy agents get it in the next round, a person is asked
    about what nobody can do, or what failed too often. Who waits for a person has that subtask in hand meanwhile.

    Args:
        members: The agents.
        strategy: `capability`, `auction`, `peer` or `load`.
        on_missing: When no agent has what a subtask requires: fail the run (`error`), ask a person at once (`person`), or
            do everything else first and ask then (`queue`).
        max_reassignments: How often a failed subtask is assigned again.
        memory: Under which name reputation, performance and trust are read from the store; None reads none.

    Returns:
        A node that writes `subtasks`, `agent_assignments` and `unassigned`.

    Raises:
        InvalidInput: The strategy or the policy is unknown; the message names those that are known.

    Raises (the node):
        InvalidPlan: Nobody has what a subtask requires, and `on_missing` is `error`; the message names it.
    """
    one_of("strategy", strategy, STRATEGIES)
    one_of("policy on_missing", on_missing, get_args(OnMissing))
    check_count("max_reassignments", max_reassignments, 0)
    if memory is not None:
        check_memory(memory)

    async def assign_subtasks(state: Any) -> CouncilState:
        crew = crew_of(members)
        agents = _busy(state, await recalled(memory, [each.agent for each in crew.values()]))
        subtasks = state["subtasks"]
        found = assign(strategy, ready(subtasks), agents, on_missing=on_missing, max_reassignments=max_reassignments)
        given = {each["subtask"]: each for each in found["assignments"]}
        tell = teller("council")
        for each in found["assignments"]:
            tell("assigned", **each)
        for left in found["unassigned"]:
            tell("unassigned", **left)
        return {
            "subtasks": {
                name: {**each, "status": "assigned"} if name in given else each for name, each in subtasks.items()
            },
            "agent_assignments": {**(state.get("agent_assignments") or {}), **given},
            "unassigned": found["unassigned"],
        }

    return assign_subtasks


def _busy(state: Mapping[str, Any], agents: Sequence[Agent]) -> list[Agent]:
    """Return the agents with what they have in hand: subtasks that wait for them or for their helpers."""
    waiting: Mapping[str, Any] = state.get("waiting") or {}
    hands = Counter(
        agent
        for name, each in waiting.items()
        for agent in {state["agent_assignments"][name]["agent"], *each["requests"]}
    )
    return [each.model_copy(update={"active": each.active + hands[each.name]}) for each in agents]


def subtask_of(data: Mapping[str, Any]) -> Subtask:
    """Return a subtask from the state, without its status."""
    return Subtask.model_validate({name: value for name, value in data.items() if name in _OWN})


def ready(subtasks: Mapping[str, Mapping[str, Any]]) -> list[Subtask]:
    """Return the subtasks that can be worked on now: not done, and all that they depend on is; skipped counts as done."""
    over = {name for name, each in subtasks.items() if each["status"] in ("completed", "skipped")}
    return [
        subtask_of(each)
        for each in subtasks.values()
        if each["status"] in ("pending", "failed") and over.issuperset(each["dependencies"])
    ]
