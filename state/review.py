"""The state of the workflow `review`. All of it is JSON-safe.

Every key but `input_text` is written by the node that is named beside it.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

from .decisions import DecisionKind
from .inputs import Words

__all__ = [
    "FinalDecision",
    "Interaction",
    "LogEntry",
    "ReviewInput",
    "ReviewState",
    "ValidationResults",
]

FinalDecision = Literal["accepted", "approved", "approved_with_edits", "rejected"]


class ValidationResults(TypedDict):
    """What validation found. `reasons` says in words why a person must look; it is empty when nobody has to."""

    passed: bool
    low_confidence_areas: list[str]
    requires_human_review: bool
    reasons: list[str]


class Interaction(TypedDict):
    """One answer of a person: who, when (ISO 8601, UTC), what, and how long it waited for them, in seconds."""

    by: str
    at: str
    decision: DecisionKind
    message: str | None
    waited_seconds: float


class LogEntry(TypedDict):
    """One step that was done: its name, when it started and ended (ISO 8601, UTC), and how it went."""

    step: str
    started: str
    ended: str
    status: str


class ReviewInput(TypedDict):
    """What a run of `review` is started with."""

    input_text: Words


class ReviewState(TypedDict, total=False):
    """What a run of `review` knows. Nodes return the part of it that they write."""

    input_text: str
    # analyze
    analysis_results: dict[str, Any]  # the keys of `AnalysisResults`
    confidence_scores: dict[str, float]
    # validate
    validation_results: ValidationResults
    # human_review
    human_feedback: str | None
    human_interactions: Annotated[list[Interaction], operator.add]
    human_decision: DecisionKind | None
    human_modifications: dict[str, Any] | None
    rejection_reason: str | None
    retry_count: int
    approved_digest: str | None  # of the action that was approved or edited; None while nothing is
    # execute
    execution_result: Any
    digest_mismatches: int  # how often what would be executed was not what had been approved
    # finalize
    final_decision: FinalDecision
    decision_factors: dict[str, Any]
    # every node
    execution_log: Annotated[list[LogEntry], operator.add]
    current_step: str
