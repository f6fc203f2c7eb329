"""The workflow `delegation`: a task split into dependent subtasks.

plan → (this run is to undo another) compensate
     → execute → (failed) recover → execute, as long as anything can start
               → (a person is needed) human_review, one for each question, all at once → recover
               → (runs of their own have not ended) await_children → recover
               → (the whole failed) compensate → (an undoing failed) human_review → compensate
                                               → (runs that undo have not ended) await_undone → compensate
               → (all done) consolidate → (the whole failed) fail
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from ..nodes.delegation.agents import AgentLike, Team
from ..nodes.delegation.asking import Asked, human_review
from ..nodes.delegation.attempts import MAX_OUTPUT_BYTES
from ..nodes.delegation.compensation import Compensate, Compensations, after_compensation, compensation
from ..nodes.delegation.consolidation import Combine, after_consolidation, consolidation, failing, last_results
from ..nodes.delegation.executing import execution
from ..nodes.delegation.planners import default_planner
from ..nodes.delegation.planning import Planner, check_given, checked_input, planning
from ..nodes.delegation.recovery import after_execution, after_recovery, recovery
from ..nodes.delegation.separate import AwaitedChildren, awaiting
from ..nodes.delegation.undoing import AwaitedUndoing, awaiting_undone
from ..nodes.delegation.workers import ROSTER, shipped_agents
from ..state.delegation import DelegationState, OuterPlan
from ..state.inputs import checked_together
from ..state.policies import ReviewPolicy
from ..state.roster import Roster

__all__ = ["build", "builder", "graph"]


def build(
    *,
    agents: Mapping[str, AgentLike] | None = None,
    roster: Roster | None = None,
    planner: Planner | None = None,
    compensations: Mapping[str, Compensate] | None = None,
    combine: Combine = last_results,
    capacity: int = 16,
    backoff_seconds: float = 1.0,
    max_compensation_attempts: int = 3,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    policy: ReviewPolicy | None = None,
) -> StateGraph[Any, None, Any, Any]:
    """Build the workflow; compile it yourself, or hand it to an engine as it is.

    Args:
        agents: Name → who does the work: functions of a `Brief`, chat models, LangChain agents, compiled graphs.
            Default: an analyst and an editor of texts, and an assistant that asks the model of `ADJOURN_MODEL`.
        roster: What the agents can do, and how many subtasks each may have in hand.
        planner: Makes the plan where a run brings none. Default: the model of `ADJOURN_MODEL` when it is set, otherwise
            rules that split a text.
        compensations: Name → function that undoes a subtask.
        combine: Makes the result of all out of the results of the parts.
        capacity: How many subtasks may be under way at once; plans that are nested in each other share it.
        backoff_seconds: The pause before the first retry, of subtasks and of compensations; it doubles with each.
        max_compensation_attempts: How often a compensation is tried before a person is asked.
        max_output_bytes: The largest result of a subtask, in bytes of JSON.
        policy: Who may answer the questions, how many must agree, and until when.

    Returns:
        The graph, not compiled.
    """
    team = Team(agents, roster) if agents else Team(shipped_agents(), ROSTER)
    undo = Compensations(compensations)
    workflow = StateGraph(DelegationState, input_schema=_input(team, undo))
    workflow.add_node("plan", planning(planner or default_planner(), team, undo))
    workflow.add_node(
        "execute",
        execution(team, capacity=capacity, backoff_seconds=backoff_seconds, max_output_bytes=max_output_bytes),
    )
    workflow.add_node("recover", recovery())
    workflow.add_node("human_review", human_review(policy=policy), input_schema=Asked)
    workflow.add_node("await_children", awaiting(), input_schema=AwaitedChildren)
    workflow.add_node(
        "compensate",
        compensation(undo, capacity=capacity, max_attempts=max_compensation_attempts, backoff_seconds=backoff_seconds),
    )
    workflow.add_node("await_undone", awaiting_undone(), input_schema=AwaitedUndoing)
    workflow.add_node("consolidate", consolidation(combine))
    workflow.add_node("fail", failing(), destinations=("execute",))
    workflow.add_edge(START, "plan")
    workflow.add_conditional_edges("plan", after_planning, ["execute", "compensate"])
    workflow.add_edge("await_children", "recover")
    workflow.add_edge("await_undone", "compensate")
    ways = ["execute", "human_review", "await_children", "compensate", "consolidate"]
    workflow.add_conditional_edges("execute", after_execution, ["recover", *ways])
    workflow.add_conditional_edges("recover", after_recovery, ways)
    workflow.add_conditional_edges("human_review", after_answer, ["recover", "compensate"])
    workflow.add_conditional_edges(
        "compensate", after_compensation, ["human_review", "await_undone", "compensate", "consolidate"]
    )
    workflow.add_conditional_edges("consolidate", after_consolidation, ["fail", END])
    return workflow


def after_planning(state: DelegationState) -> Literal["execute", "compensate"]:
    """Route: a run that was started to undo what another one did does so."""
    return "compensate" if state.get("undone_run") else "execute"


def after_answer(state: DelegationState) -> Literal["recover", "compensate"]:
    """Route: an answer about an undoing leads back to undoing."""
    return "compensate" if state.get("compensations") else "recover"


def _input(team: Team, compensations: Compensations) -> Any:
    """Return what a run is started with; a plan that this team cannot carry out is refused there, and so is no plan."""
    keys = {"main_task": str, "plan": checked_input(team, compensations), "undone_run": str, "outer": OuterPlan}
    return checked_together(TypedDict("DelegationInput", keys, total=False), check_given)  # type: ignore[operator]


builder = build()
graph: Any = builder.compile(name="delegation")
