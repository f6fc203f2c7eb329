"""The node that splits a task into subtasks: by a model, by rules, or as the caller says."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from pydantic import ValidationError

from ...errors import InvalidPlan
from ...settings import current_settings
from ...state.assignments import Subtask
from ...state.council import Cost, CouncilState, planning_cost
from ..effects import once, remembers_effects
from ..here import teller
from .costs import Meter, metering
from .members import Members, crew_of
from .node import AsyncCouncilNode

__all__ = ["Plan", "Planner", "check_plan", "decomposition", "default_planner"]

Plan = tuple[Sequence[Subtask], str]
"""Subtasks, and why they are these, in words."""


class Planner(Protocol):
    """Whatever can split a task: a function of this form, plain or async."""

    def __call__(self, task: str, *, material: Any, capabilities: Sequence[str]) -> Any:
        """Split a task.

        Args:
            task: What is to be done, in words.
            material: What there is to go by.
            capabilities: What the agents can do; a subtask that requires anything else finds nobody.

        Returns:
            A `Plan`, or something to await for one.
        """
        ...


def decomposition(members: Members, planner: Planner | None = None) -> AsyncCouncilNode:
    """Make a node that splits `main_task` into subtasks. A plan that the caller gives (`subtasks`) is taken as it is.

    Args:
        members: The agents; the planner is told what they can do.
        planner: Who splits the task. Default: the model of `ADJOURN_MODEL` when it is set, otherwise rules.

    Returns:
        A node that writes `subtasks`, `task_dependencies`, `decomposition_reasoning` and `costs`.

    Raises (the node):
        InvalidPlan: Two subtasks have one id, one depends on one that is not there, or they depend on each other in a
            circle; the message names the ids.
    """
    chosen = planner or default_planner

    async def decompose(state: Any) -> CouncilState:
        given = state.get("subtasks")
        if given is not None:
            subtasks, why, cost = read_plan(given), "The plan was given.", None
        else:
            can = sorted({each for one in crew_of(members).values() for each in one.agent.capabilities})
            subtasks, why, cost = await _planned(chosen, state, can)
        subtasks = check_plan(subtasks)
        teller("council")("planned", subtasks=[each.model_dump(mode="json") for each in subtasks], why=why)
        update: CouncilState = {
            "subtasks": {each.id: {**each.model_dump(mode="json"), "status": "pending"} for each in subtasks},
            "task_dependencies": {each.id: list(each.dependencies) for each in subtasks},
            "decomposition_reasoning": why,
        }
        if cost is not None:
            update["costs"] = {"decompose": cost}
        return update

    return decompose


async def _planned(planner: Planner, state: Any, capabilities: list[str]) -> tuple[list[Subtask], str, Cost]:
    """Ask the planner, once: a plan that a model made is remembered when the process dies before it is stored."""
    meter = Meter()

    async def call() -> dict[str, Any]:
        started = time.monotonic()
        with metering(meter):
            found = planner(str(state.get("main_task", "")), material=state.get("material"), capabilities=capabilities)
            subtasks, why = await found if inspect.isawaitable(found) else found
        # checked here, so that a plan that cannot be carried out is not remembered: a retry asks again
        dumped = [each.model_dump(mode="json") for each in check_plan(read_plan(list(subtasks)))]
        cost = planning_cost(meter.usage(), time.monotonic() - started)
        return {"subtasks": dumped, "why": str(why), "cost": cost}

    made = await once("plan", call, on_uncertain="retry") if remembers_effects() else await call()
    return read_plan(made["subtasks"]), made["why"], made["cost"]


async def default_planner(task: str, *, material: Any, capabilities: Sequence[str]) -> Plan:
    """Split a task with the model of `ADJOURN_MODEL` when it is set, and with rules otherwise."""
    spec = current_settings().model
    if spec is not None:
        from .model_agent import model_planner

        return await model_planner(spec)(task, material=material, capabilities=capabilities)
    from .rule_planner import rule_planner

    return rule_planner(task, material=material, capabilities=capabilities)


def read_plan(given: Any) -> list[Subtask]:
    """Return subtasks from data: a list of mappings with the keys of `Subtask`, or a mapping of id to the rest.

    Raises:
        InvalidPlan: They are something else; the message names the place.
    """
    if isinstance(given, Mapping):
        given = [{"id": name, **rest} if isinstance(rest, Mapping) else rest for name, rest in given.items()]
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise InvalidPlan("A plan is a list of subtasks with at least one, such as [{'id': 'clauses', …}].")
    found = []
    for number, each in enumerate(given, start=1):
        try:
            found.append(each if isinstance(each, Subtask) else Subtask.model_validate(each))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            name = each.get("id") if isinstance(each, Mapping) else None
            raise InvalidPlan(
                f"Subtask {number}{f' ({name!r})' if name else ''} does not fit: {where or 'it'}: {first['msg']}."
            ) from error
    return found


def check_plan(subtasks: Sequence[Subtask]) -> list[Subtask]:
    """Return subtasks that can be carried out.

    Raises:
        InvalidPlan: Two have one id, one depends on one that is not there, or they depend on each other in a circle.
    """
    ids = [each.id for each in subtasks]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise InvalidPlan(
            f"Each subtask needs an id of its own; {', '.join(map(repr, twice))} is there more than once."
        )
    if not ids:
        raise InvalidPlan("The plan has no subtask; it needs at least one.")
    for each in subtasks:
        if unknown := sorted(set(each.dependencies) - set(ids)):
            raise InvalidPlan(
                f"The subtask {each.id!r} depends on {', '.join(map(repr, unknown))}, which is not in the plan; "
                f"it has {', '.join(sorted(ids))}."
            )
    try:
        TopologicalSorter({each.id: each.dependencies for each in subtasks}).prepare()
    except CycleError as error:
        circle = " → ".join(map(repr, error.args[1]))
        raise InvalidPlan(f"The subtasks depend on each other in a circle: {circle}. Take one of these out.") from error
    return list(subtasks)
