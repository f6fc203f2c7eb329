"""The state of the workflow `council`, and what agents are asked and answer. All of it is JSON-safe.

A graph of your own that holds single nodes of the council takes the part of the state that they need: for consensus
`ConsensusState`, for the rest `CouncilState`. Each key is written by the node that is named beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

from .assignments import Assignment, Unassigned
from .conflicts import Conflict
from .decisions import DecisionKind
from .inputs import Words
from .review import Interaction
from .values import JsonValue
from .votes import AgentVote, Dissent, Round, Silence

__all__ = [
    "Aggregated",
    "Argument",
    "Claim",
    "ConsensusResults",
    "ConsensusState",
    "Cost",
    "Costs",
    "CouncilInput",
    "CouncilState",
    "Dispute",
    "Draft",
    "ExecutionResult",
    "FinalResult",
    "Kind",
    "Reply",
    "Request",
    "SubtaskStatus",
    "Usage",
    "Waiting",
    "add_costs",
    "cost_of",
    "planning_cost",
]

Kind = Literal["work", "help", "argue", "draft", "vote"]
SubtaskStatus = Literal["pending", "assigned", "waiting", "completed", "failed", "skipped"]


class Request(TypedDict):
    """What an agent is asked. An agent that is a function gets this, and nothing else.

    Args:
        kind: `work` on a subtask, `help` another agent with one, `argue` about a contradiction, write a `draft` before
            anybody votes, or `vote`.
        agent: The agent's name.
        role: Its persona.
        task: What the council is about, in words.
        material: What there is to go by, as it was given.
        notes: What people said meanwhile, oldest first.
        subtask: For `work` and `help`: the subtask.
        results: What was found so far: subtask → who found it (`agent`), and what (`output`).
        help: For `work`: what each helper found.
        conflict: For `argue`: where the two results contradict each other; `own` is what this agent said.
        options: For `vote` (and `draft`, where they are known): the closed set.
        ranked: For `vote`: whether a ranking of the options is wanted.
        drafts: Drafts of others: `by` and `text`. For `vote` those that are the options, all of them.
        own_draft: For `vote`: what this agent wrote before.
        round: For `vote`, and for a `draft` after a turn of debate: the number, from 1.
        own_vote: For `vote`, from the second round on: what this agent voted before.
        others: For `vote`, from the second round on: `by`, `decision`, `ranking` and `reason` of the others.
    """

    kind: Kind
    agent: str
    role: str
    task: str
    material: JsonValue
    notes: list[str]
    subtask: NotRequired[dict[str, Any]]
    results: NotRequired[dict[str, Any]]
    help: NotRequired[dict[str, Any]]
    conflict: NotRequired[dict[str, Any]]
    options: NotRequired[list[str]]
    ranked: NotRequired[bool]
    drafts: NotRequired[list[dict[str, Any]]]
    own_draft: NotRequired[str | None]
    round: NotRequired[int]
    own_vote: NotRequired[AgentVote | None]
    others: NotRequired[list[dict[str, Any]]]


class Usage(TypedDict):
    """What an answer cost in models: calls and tokens; 0 where none were used, or where a model does not say."""

    model_calls: int
    input_tokens: int
    output_tokens: int


class Reply(TypedDict):
    """What came of asking one agent: an output, or an error in words. Never both.

    Args:
        agent: Who was asked.
        output: What it answered.
        error: Why there is no answer: it failed, was too slow, or answered something that cannot be kept.
        seconds: How long it took.
        usage: What it cost.
    """

    agent: str
    output: JsonValue
    error: str | None
    seconds: float
    usage: Usage


class Cost(TypedDict):
    """What a phase cost.

    Args:
        agent_calls: How often an agent was asked.
        model_calls: How often agents called a model.
        input_tokens: Tokens that models read, as they reported it.
        output_tokens: Tokens that models wrote.
        seconds: How long the phase took at least: for each group of agents that worked at the same time, the slowest.
        agent_seconds: The sum over all agents.
    """

    agent_calls: int
    model_calls: int
    input_tokens: int
    output_tokens: int
    seconds: float
    agent_seconds: float


Costs = dict[str, Cost]


def cost_of(*groups: list[Reply]) -> Cost:
    """Return what replies cost together.

    Args:
        *groups: Replies of agents that were asked at the same time, group by group.
    """
    replies = [reply for group in groups for reply in group]
    return {
        "agent_calls": len(replies),
        "model_calls": sum(reply["usage"]["model_calls"] for reply in replies),
        "input_tokens": sum(reply["usage"]["input_tokens"] for reply in replies),
        "output_tokens": sum(reply["usage"]["output_tokens"] for reply in replies),
        "seconds": round(sum(max((reply["seconds"] for reply in group), default=0.0) for group in groups), 6),
        "agent_seconds": round(sum(reply["seconds"] for reply in replies), 6),
    }


def planning_cost(usage: Usage, seconds: float) -> Cost:
    """Return what a step cost that asks no agent, such as planning.

    Args:
        usage: What it used of models.
        seconds: How long it took.
    """
    return {"agent_calls": 0, **usage, "seconds": round(seconds, 6), "agent_seconds": 0.0}


def add_costs(before: Mapping[str, Cost] | None, more: Mapping[str, Cost] | None) -> Costs:
    """Add costs up, phase by phase: the reducer of the key `costs`."""
    total: dict[str, Any] = dict(before or {})
    for phase, cost in (more or {}).items():
        known = total.get(phase, {})
        total[phase] = {name: known.get(name, 0) + value for name, value in cost.items()}
    return total


class ExecutionResult(TypedDict):
    """How work on a subtask ended.

    Args:
        subtask: Its id.
        agent: Who did it last; a person's answer names that person.
        helpers: Who helped.
        status: `completed`, `failed`, or `skipped` (a person said to go on without it).
        output: What was found: text, or keys and values.
        error: Why it failed.
        attempt: 1 for the first try.
        failures: Who failed at it before, and how.
    """

    subtask: str
    agent: str
    helpers: list[str]
    status: SubtaskStatus
    output: JsonValue
    error: str | None
    attempt: int
    failures: list[Silence]


class Waiting(TypedDict):
    """What a subtask with the status `waiting` waits for: agents that answer in runs of their own, which have not ended.

    Args:
        scope: Names these runs among the children of this one.
        requests: Agent → what it was asked; its run is found again by the same request.
        helped: What other helpers have answered already.
    """

    scope: str
    requests: dict[str, Request]
    helped: list[Reply]


class Argument(TypedDict):
    """What an agent said when its result contradicted another: it keeps to it, or gives in; or why it said nothing."""

    agent: str
    keeps: bool
    reason: str
    error: str | None


class Dispute(TypedDict):
    """A contradiction between two results, what the agents concerned said about it, and what was settled.

    Args:
        conflict: Where, between which subtasks, and what each says.
        arguments: One for each agent concerned.
        settled: Whether exactly one side gave in.
        value: What is taken for right then; otherwise None.
    """

    conflict: Conflict
    arguments: list[Argument]
    settled: bool
    value: JsonValue


class Draft(TypedDict):
    """What an agent wrote before anybody voted. `text` is None when it gave none, with the cause in `error`."""

    agent: str
    text: str | None
    error: str | None


class ConsensusResults(TypedDict):
    """What the votes came to.

    Args:
        reached: Whether the level, the margin and the number of votes were enough.
        decision: The option that leads, or that people chose; None when none does. Unless it was reached, only a
            person can make it a decision.
        answer: The decision in words: the text of the draft where drafts were the options, otherwise the option.
        level: How far the voters agree, 0-1, as the rule defines it.
        margin: How far the first option leads the second, 0-1.
        rounds: How many rounds were held.
        decided_by: `vote`, `agreement` (the results of work said the same, so nobody was asked to vote), the name of a
            person, or None while nothing is decided.
        options: Option → what it stands for, in words.
        dissent: Who preferred something else, and why.
        abstained: Who gave no vote, and why.
        why: In words.
    """

    reached: bool
    decision: str | None
    answer: str | None
    level: float
    margin: float
    rounds: int
    decided_by: str | None
    options: dict[str, str]
    dissent: list[Dissent]
    abstained: list[Silence]
    why: str


class Claim(TypedDict):
    """One statement of the final result, who made it, and the subtasks that it comes from."""

    text: str
    by: list[str]
    subtasks: list[str]


class Aggregated(TypedDict):
    """All results put together.

    Args:
        claims: What was found, each statement with those who made it.
        values: Structured findings: dotted key → value and who found it; contradicting ones are left out.
        unsettled: Contradictions that nobody gave in on, dotted keys.
        missing: Subtasks without a result, and why.
    """

    claims: list[Claim]
    values: dict[str, Any]
    unsettled: list[str]
    missing: list[dict[str, str]]


class FinalResult(TypedDict):
    """What the council came to.

    Args:
        answer: The answer, in words.
        decision: The option that was decided for; None where nothing was voted on, or nothing decided.
        decided_by: `vote`, `agreement` (nothing contradicted), the name of a person, or `nobody`.
        claims: Statements with attributions.
        dissent: Who preferred something else, and why.
        abstained: Who did not vote, and why.
        confidence: 0-1; see `nodes.council.synthesis`.
        missing: Subtasks without a result.
        note: What else is to be known, such as that the model could not write the answer.
    """

    answer: str
    decision: str | None
    decided_by: str
    claims: list[Claim]
    dissent: list[Dissent]
    abstained: list[Silence]
    confidence: float
    missing: list[dict[str, str]]
    note: str | None


class ConsensusState(TypedDict, total=False):
    """What the consensus node reads and writes; a graph of your own takes this into its state."""

    # given
    main_task: str
    options: list[str]
    material: Any
    # build_consensus
    drafts: list[Draft]
    votes: list[AgentVote]  # of the last round
    rounds: list[Round]
    consensus_results: ConsensusResults
    consensus_level: float
    costs: Annotated[Costs, add_costs]
    # human_review
    notes: list[str]
    human_decision: DecisionKind | None
    human_interactions: list[Interaction]


class CouncilInput(TypedDict):
    """What a run of `council` is started with.

    Args:
        main_task: What it is about: a question or a piece of work, in words.
        material: Texts or data to go by (JSON-safe).
        options: The closed set of decisions, if one is to be made.
        subtasks: A plan of your own: mappings with the keys of `adjourn.state.assignments.Subtask`.
    """

    main_task: Words
    material: NotRequired[Any]
    options: NotRequired[list[str]]
    subtasks: NotRequired[Any]


class CouncilState(ConsensusState, total=False):
    """What a run of `council` knows. Nodes return the part of it that they write."""

    # decompose
    subtasks: Any  # id → the keys of `Subtask`, and `status`
    task_dependencies: dict[str, list[str]]
    decomposition_reasoning: str
    # assign
    agent_assignments: dict[str, Assignment]
    unassigned: list[Unassigned]
    # work
    execution_results: dict[str, ExecutionResult]
    waiting: dict[str, Waiting]
    # compare
    conflicts: list[Conflict]
    # resolve_conflicts
    disputes: list[Dispute]
    # aggregate
    aggregated_results: Aggregated
    # synthesize
    final_result: FinalResult
