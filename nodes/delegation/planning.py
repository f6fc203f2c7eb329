"""The node that makes a run's subtasks: out of the caller's plan, or out of one that a planner makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from langgraph.runtime import Runtime
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ...errors import InvalidInput
from ...state.delegation import DelegationState
from ...state.inputs import says_something
from ...state.plans import Plan
from ..calling import called
from ..effects import once
from .agents import Team
from .compensation import Compensations
from .plans import read_plan
from .reopening import checked, reopened

__all__ = ["Planner", "check_given", "checked_input", "planning"]

Planner: TypeAlias = "Callable[[str, Team], Plan | Mapping[str, Any] | Awaitable[Plan | Mapping[str, Any]]]"
"""Makes a plan out of the main task, for the agents that there are; plain (it runs in a thread) or async."""


def planning(planner: Planner, team: Team, compensations: Compensations) -> Any:
    """Make a node that writes `subtasks` and `dependencies`.

    A plan of the caller's is used as it is; otherwise the planner makes one, once (`once`), whatever happens then.

    Args:
        planner: Makes a plan where the caller gives none.
        team: The agents; a plan that they cannot carry out is refused.
        compensations: The functions that plans may name.

    Returns:
        A node. It raises

        - InvalidPlan: the plan cannot be carried out; the message names the ids;
        - InvalidInput: there is neither a plan nor a main task.
    """

    async def plan(state: DelegationState, runtime: Runtime[Any]) -> DelegationState:
        if state.get("undone_run"):
            return await reopened(state, team, compensations, runtime)
        given, by = state.get("plan"), "the caller"
        task = state.get("main_task", "")
        if given is None:
            by = getattr(planner, "__name__", type(planner).__name__)
            check_given(state)  # Studio starts runs without asking the engine

        async def propose() -> Any:
            proposed = await called(planner, task, team) if given is None else given
            # read here, so that what is kept is a plan
            return read_plan(proposed).model_dump(mode="json", exclude_unset=True)

        # kept: a process that finds it does not ask a planner again, and whoever undoes a cancelled run knows it
        found = read_plan(await once("plan", propose, on_uncertain="retry"))
        subtasks, dependencies = checked(found, team, compensations)
        return {
            "main_task": state.get("main_task") or found.main_task,
            "plan": None,  # everything that counts of it stands in `subtasks` now
            "planned_by": by,
            "family": outer["family"] if (outer := state.get("outer")) else _thread(runtime),
            "subtasks": subtasks,
            "dependencies": dependencies,
            "global_context": found.global_context,
            "error_recovery_strategy": list(found.error_recovery_strategy),
            "overall_status": "pending",
            "current_step": "plan",
        }

    return plan


def _thread(runtime: Runtime[Any]) -> str | None:
    return runtime.execution_info.thread_id if runtime.execution_info else None


def check_given(given: Mapping[str, Any]) -> None:
    """Check that there is something to plan.

    Args:
        given: The input of a run.

    Raises:
        InvalidInput: There is neither a plan nor a main task with words in it.
    """
    if given.get("plan") is None and not given.get("undone_run") and not says_something(given.get("main_task")):
        raise InvalidInput(
            "There is nothing to plan; start a new run with `plan`, or with `main_task` for the planner to read."
        )


def checked_input(team: Team, compensations: Compensations) -> Any:
    """Return a type for the input key `plan`: whoever checks a value against it gets InvalidPlan for a plan that is none.

    So a bad plan is refused when a run is started, before anything is stored.
    """

    def check(value: Any) -> Any:
        checked(read_plan(value), team, compensations)
        return value

    class GivenPlan:
        """A plan as a mapping, or as YAML or JSON text."""

        @classmethod
        def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
            return core_schema.no_info_plain_validator_function(check)

        @classmethod
        def __get_pydantic_json_schema__(cls, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
            return {"anyOf": [{"type": "object"}, {"type": "string"}], "description": cls.__doc__}

    GivenPlan.__name__ = "dict | str"  # what messages call it
    return GivenPlan
