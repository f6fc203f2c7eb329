"""The workflow `council`: several agents work, disagree, and agree.

decompose → assign → work (all in parallel) → (a subtask failed, or is left) assign the rest again
→ (agents wait for people)        assign and work on the rest; when nothing else can be done, the run pauses in work
→ (nobody can do one)             human_review → assign
→ compare → (results conflict)    resolve_conflicts → build_consensus, or aggregate when that settled it
→ (enough agreement)  aggregate → synthesize
→ (too little)        build_consensus → synthesize
→ (no consensus)      human_review → synthesize, or build_consensus with what a person added
synthesize → remember
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import END, START, StateGraph

from ..nodes.assignment.assigning import MAX_REASSIGNMENTS, OnMissing
from ..nodes.council import (
    Planner,
    Procedure,
    aggregation,
    ask_council,
    assignment,
    comparison,
    consensus,
    decomposition,
    remembrance,
    resolution,
    synthesis,
    take_answer,
    work,
)
from ..nodes.council.default import default_members
from ..nodes.council.members import Members
from ..nodes.council.people import blocked, unfinished
from ..nodes.council.synthesis import Writer
from ..nodes.human_review import human_review
from ..state.council import CouncilInput, CouncilState
from ..state.policies import ReviewPolicy

__all__ = ["build", "builder", "graph"]


def build(
    members: Members = default_members,
    *,
    strategy: str = "capability",
    procedure: Procedure | None = None,
    planner: Planner | None = None,
    writer: Writer | None = None,
    on_missing: OnMissing = "error",
    max_reassignments: int = MAX_REASSIGNMENTS,
    timeout: float = 60.0,
    memory: str = "council",
    policy: ReviewPolicy | None = None,
) -> StateGraph[CouncilState, None, CouncilInput, CouncilState]:
    """Build the workflow; compile it yourself, or hand it to an engine as it is.

    Args:
        members: The agents (see `adjourn.nodes.council.member`), or a function that returns them, called when nodes run.
            Default: those of `ADJOURN_COUNCIL_ROSTER`, or an analyst, a sceptic and an advocate.
        strategy: How subtasks are assigned: `capability`, `auction`, `peer` or `load`.
        procedure: How a consensus is sought.
        planner: Who splits the task. Default: the model of `ADJOURN_MODEL` when it is set, otherwise rules.
        writer: Who writes the answer. Default: as the planner.
        on_missing: When no agent has what a subtask requires: `error`, `person` or `queue`.
        max_reassignments: How often a failed subtask is assigned again before a person is asked.
        timeout: Seconds that an agent has for work on a subtask, and to argue.
        memory: The name under which these agents are remembered in the store.
        policy: Who may answer what people are asked, how many must agree, and until when.

    Returns:
        The graph, not compiled.
    """
    chosen = procedure or Procedure()
    workflow = StateGraph(CouncilState, input_schema=CouncilInput)
    workflow.add_node("decompose", decomposition(members, planner))
    workflow.add_node(
        "assign",
        assignment(members, strategy, on_missing=on_missing, max_reassignments=max_reassignments, memory=memory),
    )
    workflow.add_node("work", work(members, timeout=timeout))
    workflow.add_node("compare", comparison(members, chosen))
    workflow.add_node("resolve_conflicts", resolution(members, timeout=timeout))
    workflow.add_node("build_consensus", consensus(members, procedure=chosen))
    workflow.add_node("human_review", human_review(ask_council, read=take_answer, policy=policy))
    workflow.add_node("aggregate", aggregation())
    workflow.add_node("synthesize", synthesis(writer))
    workflow.add_node("remember", remembrance(memory))
    workflow.add_edge(START, "decompose")
    workflow.add_edge("decompose", "assign")
    workflow.add_conditional_edges("assign", after_assignment, ["work", "human_review", "compare"])
    workflow.add_conditional_edges("work", after_work, ["assign", "human_review", "compare"])
    workflow.add_conditional_edges("compare", after_comparison, ["resolve_conflicts", "build_consensus", "aggregate"])
    workflow.add_conditional_edges("resolve_conflicts", after_resolution, ["build_consensus", "aggregate"])
    workflow.add_conditional_edges("build_consensus", after_consensus, ["synthesize", "human_review"])
    workflow.add_conditional_edges("human_review", after_review, ["assign", "build_consensus", "synthesize"])
    workflow.add_edge("aggregate", "synthesize")
    workflow.add_edge("synthesize", "remember")
    workflow.add_edge("remember", END)
    return workflow


def after_assignment(state: CouncilState) -> Literal["work", "human_review", "compare"]:
    """Work on what was assigned; only when nothing was, ask a person, or wait for agents that wait for people."""
    statuses = {each["status"] for each in state["subtasks"].values()}
    if "assigned" in statuses or ("waiting" in statuses and not _needs_person(state)):
        return "work"
    return "human_review" if unfinished(state) else "compare"


def after_work(state: CouncilState) -> Literal["assign", "human_review", "compare"]:
    """Ask a person about what nobody can do; otherwise assign what failed or had to wait."""
    if _needs_person(state):
        return "human_review"
    return "assign" if unfinished(state) else "compare"


def _needs_person(state: CouncilState) -> bool:
    stuck = blocked(state)
    return stuck is not None and stuck["next"] == "person"


def after_comparison(state: CouncilState) -> Literal["resolve_conflicts", "build_consensus", "aggregate"]:
    """Let those argue who contradict each other; vote where there is something to decide that is not agreed on yet."""
    if state["conflicts"]:
        return "resolve_conflicts"
    return "build_consensus" if state.get("options") and "consensus_results" not in state else "aggregate"


def after_resolution(state: CouncilState) -> Literal["build_consensus", "aggregate"]:
    """Vote unless all contradictions are settled and there is nothing else to decide."""
    settled = all(each["settled"] for each in state["disputes"])
    return "aggregate" if settled and not state.get("options") else "build_consensus"


def after_consensus(state: CouncilState) -> Literal["synthesize", "human_review"]:
    """Ask a person when the votes were not enough."""
    return "synthesize" if state["consensus_results"]["reached"] else "human_review"


def after_review(state: CouncilState) -> Literal["assign", "build_consensus", "synthesize"]:
    """Go on where the question came from."""
    if "consensus_results" not in state:
        return "assign"
    return "build_consensus" if state["human_decision"] == "respond" else "synthesize"


builder = build()
graph: Any = builder.compile(name="council")
