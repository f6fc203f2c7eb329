"""When to change the strategy, why, and to which: pure functions over what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ...errors import InvalidInput
from ..arguments import check_count, check_share, is_number

__all__ = [
    "MULTIPLE", "REASONS", "REMEDIES", "THRESHOLD", "Rules", "check_metric", "check_metrics", "poor_metrics", "reason_of",
    "remedies_of", "score",
]  # fmt: skip

THRESHOLD: Final = 0.7
"""The smallest value of a metric that is good, where nobody says otherwise."""

MULTIPLE: Final = "multiple_performance_issues"
"""The reason when more than two metrics are poor, or the attempt failed altogether."""

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {"response_time": "slow_response", "accuracy": "low_accuracy", "completeness": "low_accuracy"}
)
"""Metric → the reason that it is when it is poor. For any other metric the reason is `poor_` and its name."""

REMEDIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "slow_response": ("parallel_execution", "simplified_processing", "cached_responses"),
        "low_accuracy": ("human_in_loop", "multi_model_ensemble", "detailed_analysis"),
    }
)
"""Reason → the strategies that help, the first available one first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By which rules a workflow adapts, as data.

    Args:
        reasons: Metric → reason, beside the usual ones (`REASONS`), which they come before.
        remedies: Reason → strategies that help, in this order; likewise beside `REMEDIES`.
        threshold: The threshold of the metrics for which none is given.
        many: With more poor metrics than this the reason is `multiple_performance_issues`.

    Raises:
        InvalidInput: A threshold is not from 0 to 1, `many` is no whole number of at least 1, or remedies are no list.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    remedies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threshold: float = THRESHOLD
    many: int = 2

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)
        check_count("many", self.many, 1)
        for reason, names in self.remedies.items():
            if not isinstance(names, list | tuple):
                raise InvalidInput(f"The remedies of {reason!r} must be a list of names, not {names!r:.60}.")

    def reason_for(self, metric: str) -> str:
        """Return the reason that a metric is when it is poor."""
        return self.reasons.get(metric) or REASONS.get(metric) or f"poor_{metric}"

    def remedies_for(self, reason: str) -> Sequence[str]:
        """Return the strategies that help with a reason; those of the usual ones that a workflow lacks are passed over."""
        return self.remedies.get(reason, REMEDIES.get(reason, ()))

    def own_remedies(self) -> Iterator[str]:
        """Yield the strategies that are named in remedies of one's own: these have to exist."""
        for reason, names in self.remedies.items():
            if tuple(names) != REMEDIES.get(reason):
                yield from names


def check_metric(name: str, value: Any) -> float:
    """Return a metric.

    Raises:
        InvalidInput: It is no number from 0 to 1; true and false, text and NaN are none.
    """
    if not is_number(value) or not 0 <= value <= 1:
        shown = f"the {type(value).__name__} {value!r:.60}"
        raise InvalidInput(
            f"The metric {name!r} must be a number from 0 (poor) to 1 (good), not {shown}. Let its measurer return a "
            "share, such as wanted ÷ measured, at most 1."
        )
    return float(value)


def check_metrics(metrics: Any) -> dict[str, float]:
    """Return metrics by name.

    Raises:
        InvalidInput: There are none, or one is no number from 0 to 1.
    """
    if not isinstance(metrics, Mapping) or not metrics:
        raise InvalidInput("There are no performance_metrics; measure at least one, 0-1, such as {'accuracy': 0.8}.")
    return {name: check_metric(name, value) for name, value in metrics.items()}


def poor_metrics(
    metrics: Mapping[str, float], thresholds: Mapping[str, float], rules: Rules | None = None
) -> list[str]:
    """Return the metrics below their thresholds: the furthest below first, equals in the order in which they stand.

    Args:
        metrics: Name → value, 0-1.
        thresholds: Name → the smallest value that is good.
        rules: Where no threshold is given, that of the rules counts.

    Raises:
        InvalidInput: A metric or a threshold is no number from 0 to 1, or there are no metrics.
    """
    usual = (rules or Rules()).threshold
    below = {
        name: check_share(f"The threshold of {name!r}", thresholds.get(name, usual)) - value
        for name, value in check_metrics(metrics).items()
    }
    return sorted((name for name, gap in below.items() if gap > 0), key=lambda name: -below[name])


def reason_of(poor: Sequence[str], rules: Rules | None = None, *, failed: bool = False) -> str:
    """Return why a strategy has to change.

    Args:
        poor: What `poor_metrics` returned; not empty, unless the attempt failed.
        rules: The rules; by default the usual ones.
        failed: Whether the attempt ended without any result.

    Returns:
        `multiple_performance_issues` when it failed or more than `many` metrics are poor; otherwise the reason of the worst.

    Raises:
        InvalidInput: Nothing is poor, and nothing failed.
    """
    rules = rules or Rules()
    if not poor and not failed:
        raise InvalidInput("No metric is poor and nothing failed, so there is no reason to adapt.")
    if failed or len(poor) > rules.many:
        return MULTIPLE
    return rules.reason_for(poor[0])


def remedies_of(
    reason: str, current: str, order: Sequence[str], tried: Sequence[str], rules: Rules | None = None
) -> Iterator[str]:
    """Yield the strategies that come into question, the first one first; the caller takes the first that is available.

    First those that help with the reason, then the others in order, beginning behind the current one. What was tried in
    this run is left out: nothing has changed that would make it better. So a run ends after as many strategies as there are.

    Args:
        reason: As `reason_of` returned it.
        current: The strategy that was not good enough.
        order: The strategies that may be tried, in order.
        tried: Those that were.
        rules: The rules; by default the usual ones.
    """
    gone = {*tried, current}
    helping = (rules or Rules()).remedies_for(reason)
    here = order.index(current) + 1 if current in order else 0
    for name in dict.fromkeys([*(each for each in helping if each in order), *order[here:], *order[:here]]):
        if name not in gone:
            yield name


def score(metrics: Mapping[str, float], *, good: bool) -> float:
    """Return what is remembered of an attempt, 0-1: half for being good in everything, and half of the metrics' mean.

    So any good attempt scores at least 0.5 and above any poor one, and between two good ones the better figures win.
    """
    mean = sum(metrics.values()) / len(metrics)
    return round((0.5 if good else 0.0) + mean / 2, 9)
