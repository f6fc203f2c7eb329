"""Measurers: what makes metrics of an attempt; and the node that measures, judges, and remembers.

A metric is a number from 0 (poor) to 1 (good). A measurer is a function of an `Attempted`, plain or async.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from ...errors import InvalidInput
from ...state.adaptive import AdaptiveState, AttemptState, Best
from ..arguments import check_name, check_seconds, check_share, is_number
from ..here import teller
from ..step import Clock, utcnow
from .memory import check_memory, record_run
from .node import AsyncNode
from .rules import Rules, check_metric, poor_metrics, score
from .strategies import Task, called, task_of

__all__ = [
    "MEASURERS", "MEASURING_SECONDS", "TARGET_SECONDS", "Attempted", "Measure", "accuracy",
    "check_thresholds", "completeness", "measuring", "read_measurers", "response_time",
]  # fmt: skip

TARGET_SECONDS: Final = 10.0
"""How long an attempt may take to be fast, where nobody says otherwise."""

MEASURING_SECONDS: Final = 60.0
"""How long a measurer may take, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """What a measurer is given: one attempt that has a result.

    Args:
        task: What was to be done.
        strategy: How it was attempted.
        result: What came out.
        seconds: How long it took.
        target_seconds: How long it may take to be fast.
        parts: How many parts the work had.
        failed: How many of them have no result.
        failures: Part → why it has none; of many the first.
    """

    task: Task
    strategy: str
    result: Any
    seconds: float
    target_seconds: float = TARGET_SECONDS
    parts: int = 1
    failed: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


Measure: TypeAlias = "Callable[[Attempted], Any]"
"""Returns a number from 0 to 1, or something to await for one; plain measurers run in a thread."""


def response_time(attempted: Attempted) -> float:
    """Return target ÷ measured time, at most 1: twice as slow as wanted is 0.5."""
    return min(1.0, attempted.target_seconds / attempted.seconds) if attempted.seconds > 0 else 1.0


def completeness(attempted: Attempted) -> float:
    """Return the share of the parts that have a result."""
    return 1 - attempted.failed / max(1, attempted.parts)


def accuracy(attempted: Attempted) -> float:
    """Return how sure the result is of itself: its `agreement` (of voters), its `confidence`, or the mean over its `parts`.

    A result that says nothing about it counts as right, 1. It is a default: whoever can check a result gives a measurer
    that does.
    """
    found = _certainty(attempted.result)
    return 1.0 if found is None else found


MEASURERS: Final[Mapping[str, Measure]] = MappingProxyType(
    {"response_time": response_time, "accuracy": accuracy, "completeness": completeness}
)
"""What is measured where nobody says otherwise."""


def read_measurers(given: Mapping[str, Measure] | None) -> dict[str, Measure]:
    """Return measurers by the name of their metric.

    Args:
        given: Name → measurer; None for those that ship.

    Raises:
        InvalidInput: There are none, a name is no printable text, or one is no function.
    """
    if given is None:
        return dict(MEASURERS)
    if not given:
        raise InvalidInput("There are no measurers, so nothing could be judged; give at least one, or leave them out.")
    for name, measure in given.items():
        check_name("A metric", name)
        if not callable(measure):
            raise InvalidInput(f"The measurer {name!r} must be a function of an Attempted, not {measure!r:.60}.")
    return dict(given)


def check_thresholds(given: Any, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return thresholds by metric.

    Raises:
        InvalidInput: They are no mapping, a metric is not measured here, or a threshold is no number from 0 to 1.
    """
    known = ", ".join(metrics)
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"quality_thresholds must be a mapping of metrics to numbers from 0 to 1; measured: {known}."
        )
    for name in given:
        if name not in metrics:
            raise InvalidInput(f"There is a threshold for {name!r}, which is not measured here; measured: {known}.")
    return {name: check_share(f"The threshold of {name!r}", value) for name, value in given.items()}


def measuring(
    measurers: Mapping[str, Measure] | None = None,
    *,
    rules: Rules | None = None,
    target_seconds: float = TARGET_SECONDS,
    timeout: float | None = MEASURING_SECONDS,
    memory: str | None = "adaptive",
    clock: Clock = utcnow,
) -> AsyncNode:
    """Make a node that measures the last attempt, says which metrics are poor, and remembers how its strategy fared.

    An attempt without a result is 0 in every metric; no measurer is called. What is remembered is written once for a
    run, however often the node runs (see `memory.record_run`), and only when every metric is a number from 0 to 1.

    Args:
        measurers: Metric → measurer. Default: `response_time`, `accuracy` and `completeness`.
        rules: The threshold of metrics for which the state has none.
        target_seconds: The target of `response_time` where the run's `resource_constraints` have none.
        timeout: Seconds that each measurer has; None for no limit. A plain function that is too slow is left to itself.
        memory: The name under which records are kept; None for no memory.
        clock: The time.

    Returns:
        A node that writes `performance_metrics`, `best`, and into the last of `attempts` its metrics, what is poor, and its
        score. It raises InvalidInput for a metric that is no number from 0 to 1, TimeoutError for a measurer that takes too
        long, and what a measurer raises; nothing is stored then, and when the measurer is mended, a retry of the run
        measures again without attempting again.

    Raises:
        InvalidInput: A measurer is no function, `target_seconds` or `timeout` is no number above 0, or `memory` is no name.
    """
    known, judged_by = read_measurers(measurers), rules or Rules()
    check_seconds("target_seconds", target_seconds)
    if timeout is not None:
        check_seconds("A measurer's timeout", timeout)
    check_memory(memory)

    async def measure(state: Any) -> AdaptiveState:
        last: AttemptState = state["attempts"][-1]
        metrics = await _measured(known, state, last, target_seconds, timeout)
        thresholds = state.get("quality_thresholds") or {}
        poor = poor_metrics(metrics, thresholds, judged_by)
        points = score(metrics, good=not poor and last["error"] is None)
        judged: AttemptState = {**last, "performance_metrics": metrics, "poor": poor, "score": points}
        attempts = [*state["attempts"][:-1], judged]
        await record_run(memory, state.get("task_type") or "general", attempts, clock=clock)
        limits = {name: thresholds.get(name, judged_by.threshold) for name in poor}
        teller("adaptive")("measured", number=last["number"], strategy=last["strategy"], metrics=metrics, poor=limits)
        return {
            "attempts": attempts,
            "performance_metrics": metrics,
            "best": _better(state.get("best"), judged, state.get("result")),
            "current_step": "measure",
        }

    return measure


async def _measured(
    measurers: Mapping[str, Measure],
    state: AdaptiveState,
    last: AttemptState,
    target_seconds: float,
    limit: float | None,
) -> dict[str, float]:
    if last["error"] is not None:
        return dict.fromkeys(measurers, 0.0)
    constraints = state.get("resource_constraints") or {}
    attempted = Attempted(
        task=task_of(state, last["number"], memory=None),
        strategy=last["strategy"],
        result=state.get("result"),
        seconds=last["seconds"],
        target_seconds=constraints.get("target_seconds", target_seconds),
        parts=last["parts"],
        failed=last["failed"],
        failures=last["failures"],
    )
    return {
        name: check_metric(name, await _in_time(name, measure, attempted, limit)) for name, measure in measurers.items()
    }


async def _in_time(name: str, measure: Measure, attempted: Attempted, seconds: float | None) -> Any:
    patience = asyncio.timeout(seconds)
    try:
        async with patience:
            return await called(measure, attempted)
    except TimeoutError:
        if not patience.expired():  # the measurer's own
            raise
        raise TimeoutError(
            f"The measurer of {name!r} gave no number within {seconds:g} seconds. Mend it and retry the run, or give it "
            "more time."
        ) from None


def _better(best: Best | None, judged: AttemptState, result: Any) -> Best | None:
    """Return the better of two: the best so far, and an attempt that was judged."""
    points = judged["score"] or 0.0
    if judged["error"] is not None or (best is not None and best["score"] >= points):
        return best
    return {
        "attempt": judged["number"],
        "strategy": judged["strategy"],
        "score": points,
        "good": not judged["poor"],
        "result": result,
    }


def _certainty(result: Any) -> float | None:
    if not isinstance(result, Mapping):
        return None
    for name in ("agreement", "confidence"):
        if is_number(result.get(name)):
            return min(1.0, max(0.0, float(result[name])))
    parts = result.get("parts")
    values = parts.values() if isinstance(parts, Mapping) else ()
    found = [each for each in map(_certainty, values) if each is not None]
    return sum(found) / len(found) if found else None
