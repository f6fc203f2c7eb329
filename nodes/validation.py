"""The node that validates: does a person have to look?

The rules are pure functions over the state. The first two are always there: a confidence below the threshold, and an
earlier result that a person refused (whoever said no sees the next attempt, however sure of itself it is).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..state.review import ReviewState, ValidationResults
from .step import Clock, Node, logged, utcnow

__all__ = ["MIN_CONFIDENCE", "Rule", "check", "high_risk", "validation"]

MIN_CONFIDENCE = 0.8

Rule = Callable[[ReviewState], str | None]
"""A rule looks at the state and says in words why a person must look, or None."""


def high_risk(state: ReviewState) -> str | None:
    """Ask for a person when the risk is high."""
    return "the risk is high" if state["analysis_results"]["risk_level"] == "high" else None


def check(state: ReviewState, rules: Sequence[Rule], min_confidence: float) -> ValidationResults:
    """Judge an analysis.

    Args:
        state: The state after `analyze`.
        rules: The user's rules.
        min_confidence: The smallest confidence (0-1) that needs nobody to look; equal is enough.

    Returns:
        What was found. `passed` says that no rule failed and no area is below the threshold.
    """
    scores = state["confidence_scores"]
    low = sorted(area for area, score in scores.items() if score < min_confidence)
    reasons = [f"confidence in {area} is {scores[area]:.2f}, below {min_confidence:.2f}" for area in low]
    if state.get("rejection_reason") is not None:
        reasons.append("an earlier result was rejected")
    reasons += [reason for rule in rules if (reason := rule(state))]
    return {
        "passed": not reasons,
        "low_confidence_areas": low,
        "requires_human_review": bool(reasons),
        "reasons": reasons,
    }


def validation(
    *, min_confidence: float = MIN_CONFIDENCE, rules: Sequence[Rule] = (high_risk,), clock: Clock = utcnow
) -> Node:
    """Make a node that decides whether a person must look.

    Args:
        min_confidence: Every area below it becomes a low-confidence area (0-1).
        rules: Extra reasons to ask; each failed rule asks for a person.
        clock: The time, for the execution log.

    Returns:
        A node that writes `validation_results`.

    Raises:
        ValueError: `min_confidence` is not between 0 and 1.
    """
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence must be between 0 and 1, not {min_confidence}")

    def validate(state: ReviewState) -> ReviewState:
        started = clock()
        results = check(state, rules, min_confidence)
        status = "passed" if results["passed"] else "needs a person"
        return {"validation_results": results, **logged("validate", started, clock(), status)}

    return validate
