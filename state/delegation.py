"""The state of the workflow `delegation`. All of it is JSON-safe.

A subtask that consists of a plan is carried out by a child run, whose state has the same shape.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeVar

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

from .decisions import DecisionKind
from .plans import Strategy

__all__ = [
    "SETTLED",
    "Answered",
    "CompensationState",
    "CompensationStatus",
    "DelegationState",
    "OuterPlan",
    "OverallStatus",
    "SubtaskState",
    "SubtaskStatus",
    "merged",
]

SubtaskStatus = Literal["pending", "in_progress", "completed", "failed", "requires_human", "skipped"]
CompensationStatus = Literal["pending", "in_progress", "completed", "requires_human", "given_up"]
OverallStatus = Literal["pending", "in_progress", "requires_human", "completed", "failed", "cancelled"]

SETTLED: Final = frozenset({"completed", "skipped"})
"""The statuses of a subtask that never change again by themselves."""


class SubtaskState(TypedDict):
    """One subtask: what was planned, and how it went.

    Args:
        task_id: Its id.
        task_type: What kind of work it is.
        description: What is to be done.
        status: Where it stands.
        input_data: What its agent is given.
        output_data: What came out; None before.
        error_message: Why it failed, was skipped, or needs a person.
        assigned_agent: Who did it last, or does it.
        start_time: When its last attempt began (ISO 8601, UTC).
        end_time: When that ended.
        retry_count: How often it was tried again.
        attempts: How often it was begun in all; never falls.
        tried_by: The agents that failed it, in order.
        agent: The agent that the plan names.
        capabilities: What an agent must be able to do for it.
        expected_seconds: How long it takes, as far as one knows; of a plan the length of its critical path.
        timeout_seconds: After this time an attempt has failed.
        strategies: What to do when it fails, in this order.
        max_retries: How often `retry` tries again.
        next_move: For a failed subtask: what its recovery says, once retries and other agents are used up.
        compensation: The name of the function that undoes it.
        workflow: The workflow that does it as a run of its own.
        plan: The plan that it consists of; a child run of the same workflow carries it out.
        run: Which of its child runs counts, where child runs do it; the first is 1.
    """

    task_id: str
    task_type: str
    description: str
    status: SubtaskStatus
    input_data: dict[str, Any]
    output_data: Any
    error_message: str | None
    assigned_agent: str | None
    start_time: str | None
    end_time: str | None
    retry_count: int
    attempts: int
    tried_by: list[str]
    agent: str | None
    capabilities: list[str]
    expected_seconds: float
    timeout_seconds: float | None
    strategies: list[Strategy]
    max_retries: int
    next_move: Strategy | None
    compensation: str | None
    workflow: str | None
    plan: dict[str, Any] | None
    run: int


class CompensationState(TypedDict):
    """How the undoing of a subtask goes.

    Args:
        task_id: The subtask.
        status: Where it stands; `in_progress` while runs that undo what its child runs did have not ended.
        error_message: Why it failed, or was given up.
        attempts: How often its own compensation was begun.
        end_time: When the last of them ended.
        own_done: Whether its own compensation is done.
        waits_for: The child runs that others are at work undoing.
    """

    task_id: str
    status: CompensationStatus
    error_message: str | None
    attempts: int
    end_time: str | None
    own_done: bool
    waits_for: list[str]


class Answered(TypedDict):
    """One answer of a person: about which subtask, who, when (ISO 8601, UTC), and what.

    Where it answers a question of the subtask's agent, `asked` is that question (at most 2000 characters), and
    `input_digest` the SHA-256 of the input as the answer left it.
    """

    task_id: str
    about: Literal["subtask", "compensation"]
    by: str
    at: str
    decision: DecisionKind
    message: str | None
    asked: NotRequired[str]
    input_digest: NotRequired[str]


Entry = TypeVar("Entry")


def merged(known: dict[str, Entry] | None, changed: dict[str, Entry] | None) -> dict[str, Entry]:
    """Merge what nodes changed into what is known, entry by entry; the reducer of everything that is kept by id."""
    return {**(known or {}), **(changed or {})}


def appended(known: list[Answered] | None, more: list[Answered] | None) -> list[Answered]:
    """Add to a list; the reducer of answers."""
    return [*(known or []), *(more or [])]


class OuterPlan(TypedDict):
    """What a nested plan is told of the plan around it.

    Args:
        family: The run at the top.
        inside: Which subtask it is: the ids from the top down, with slashes.
        results: What came out of the subtasks that this one waited for; given to those that wait for no other here.
    """

    family: str | None
    inside: str
    results: dict[str, Any]


class DelegationState(TypedDict, total=False):
    """What a run of `delegation` knows. Nodes return the part of it that they write."""

    main_task: str
    plan: Any  # as it was given: a mapping, or YAML or JSON text; None once it is planned
    undone_run: str  # the run that this one undoes
    outer: OuterPlan  # of a nested plan
    # plan
    subtasks: Annotated[dict[str, SubtaskState], merged]
    dependencies: dict[str, list[str]]
    global_context: dict[str, Any]
    error_recovery_strategy: list[Strategy]
    planned_by: str
    family: str | None  # the run at the top; None where nobody keeps this one
    # execute, recover
    overall_status: OverallStatus
    failure: str | None
    # human_review
    human_interactions: Annotated[list[Answered], appended]
    # compensate
    compensations: Annotated[dict[str, CompensationState], merged]
    undoing_stopped: bool  # the process was to stop: there is more that can be undone at once
    # consolidate
    final_result: dict[str, Any]
    current_step: str
