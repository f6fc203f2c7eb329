"""The state of the workflow `adaptive`. All of it is JSON-safe.

Each key is written by the node that is named beside it; what stands under `given` may come with the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

from .decisions import DecisionKind

__all__ = [
    "Adaptation",
    "AdaptiveResult",
    "AdaptiveState",
    "AttemptState",
    "Best",
    "PersonsWord",
    "ResourceConstraints",
    "Start",
    "StartedBy",
    "has_attempts",
]


class ResourceConstraints(TypedDict, total=False):
    """What an adaptive run may use.

    Args:
        target_seconds: How long an attempt may take to be fast: `response_time` is measured against it.
        timeout_seconds: After this time an attempt has failed.
        max_workers: How many parts may be worked on at the same time, 1-100.
        max_attempts: How many attempts may be made, if that is fewer than the workflow allows.
        people: Whether a person may be asked as a strategy. The limit of attempts leads to a person all the same.
    """

    target_seconds: float
    timeout_seconds: float
    max_workers: int
    max_attempts: int
    people: bool


StartedBy = Literal["given", "best_record", "still_to_be_seen", "first_in_order"]


class Start(TypedDict):
    """Which strategy a run began with.

    Args:
        strategy: Its name.
        why: `given` by the caller; `best_record` of earlier runs; `still_to_be_seen`, when nothing that is remembered was
            good enough in the mean; or `first_in_order`, when nothing is remembered.
        records: Strategy → what is remembered of it for this type of task: `attempts`, `mean`,
            `at_least` and `at_most`.
    """

    strategy: str
    why: StartedBy
    records: dict[str, dict[str, float]]


class AttemptState(TypedDict):
    """One attempt.

    Args:
        number: 1 for the first.
        strategy: How it was made.
        start_time: When it began (ISO 8601, UTC).
        seconds: How long it took, in the process that ended it.
        parts: How many parts the work had.
        failed: How many of them have no result.
        failures: Part → why it has none; of many the first.
        error: Why the whole attempt has none.
        kept: Whether its result was kept from an earlier run.
        performance_metrics: What was measured, 0-1 each; empty before.
        poor: The metrics below their thresholds, the worst first.
        score: What is remembered of it, 0-1; see `nodes.adaptive.rules.score`. None before it is measured.
    """

    number: int
    strategy: str
    start_time: str
    seconds: float
    parts: int
    failed: int
    failures: dict[str, str]
    error: str | None
    kept: bool
    performance_metrics: dict[str, float]
    poor: list[str]
    score: float | None


# "from" is a word of Python's, so this cannot be written as a class
Adaptation = TypedDict(
    "Adaptation",
    {
        "time": str,
        "from": str,
        "to": str | None,
        "reason": str,
        "metrics_before": dict[str, float],
    },
)
"""One change of strategy: when (ISO 8601, UTC), from which to which (None: to a person, because nothing else was left),
why, and what had been measured."""


class Best(TypedDict):
    """The best attempt so far and what came out of it."""

    attempt: int
    strategy: str
    score: float
    good: bool
    result: Any


class PersonsWord(TypedDict):
    """What a person decided: who, when (ISO 8601, UTC), and what."""

    by: str
    at: str
    decision: DecisionKind
    message: str | None


class AdaptiveResult(TypedDict):
    """What a run came to.

    Args:
        result: What came out; None when nothing was good enough for the person who was asked.
        strategy: The strategy that it comes from; `human_in_loop` when a person wrote it.
        decided_by: `metrics`, or the name of the person who took it, wrote it, or turned everything down.
        good: Whether every metric reached its threshold.
        performance_metrics: What was measured of it; empty for what a person wrote.
        attempts: How many attempts were made.
        seconds: How long they took together.
    """

    result: Any
    strategy: str | None
    decided_by: str
    good: bool
    performance_metrics: dict[str, float]
    attempts: int
    seconds: float


def appended(known: list[Any] | None, more: list[Any] | None) -> list[Any]:
    """Add to a list; the reducer of what only grows."""
    return [*(known or []), *(more or [])]


class AdaptiveState(TypedDict, total=False):
    """What a run of `adaptive` knows. Nodes return the part of it that they write."""

    # given
    main_task: str
    material: Any
    task_type: str  # what is remembered of strategies is kept by it
    quality_thresholds: dict[str, float]  # metric → the smallest value that is good; `choose` adds the others
    fallback_strategies: list[str]  # what may be tried, in this order; `choose` adds all, where none are given
    resource_constraints: ResourceConstraints
    # choose, adapt
    current_strategy: str
    start: Start
    adaptation_history: Annotated[list[Adaptation], appended]
    # attempt; measure adds to the last one
    attempts: list[AttemptState]
    result: Any
    # measure
    performance_metrics: dict[str, float]
    best: Best | None
    # human_review
    human_decision: DecisionKind | None
    human_result: Any
    human_interactions: Annotated[list[PersonsWord], appended]
    # finish
    final_result: AdaptiveResult
    current_step: str


def has_attempts(state: Any) -> bool:
    """Say whether this is the state of an adaptive run: other workflows may use the same words for something else."""
    attempts = state.get("attempts") if isinstance(state, Mapping) else None
    wanted = {"number", "strategy", "performance_metrics", "poor", "seconds", "error"}
    return (
        isinstance(attempts, list)
        and bool(attempts)
        and all(isinstance(each, dict) and wanted <= each.keys() for each in attempts)
    )
