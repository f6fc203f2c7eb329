"""The nodes that choose: with which strategy a run begins, and to which it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

from ...state.adaptive import Adaptation, AdaptiveState, Start, StartedBy
from ..arguments import check_count, one_of
from ..here import teller
from ..step import Clock, utcnow
from .checking import check_constraints
from .measuring import Measure, check_thresholds, read_measurers
from .memory import check_memory, remembered
from .node import AsyncNode
from .records import GOOD, by_record
from .rules import Rules, poor_metrics, reason_of, remedies_of
from .strategies import Strategies, StrategyLike, check_order, first_available, read_strategies, task_of, tried_in

__all__ = ["MAX_ATTEMPTS", "adapting", "after_measuring", "choosing", "limit_of"]

MAX_ATTEMPTS: Final = 4
"""How many attempts are made before a person is asked, where nobody says otherwise."""


def choosing(
    strategies: Mapping[str, StrategyLike],
    measurers: Mapping[str, Measure] | None = None,
    *,
    thresholds: Mapping[str, float] | None = None,
    rules: Rules | None = None,
    memory: str | None = "adaptive",
) -> AsyncNode:
    """Make a node that chooses the strategy to begin with.

    It is `current_strategy`, when the caller gave one; otherwise, of those that can be tried, the one with the best
    record for this `task_type` (see `records.by_record`); the first one in order when nothing is remembered. A strategy
    that asks people is never begun with by its record: answers of people are not measured.

    Args:
        strategies: Name → strategy, in order.
        measurers: Metric → measurer, for their names.
        thresholds: The thresholds of this workflow; a run's own come before them.
        rules: The threshold of the other metrics.
        memory: The name under which records are kept; None for no memory.

    Returns:
        A node that writes `current_strategy`, `start`, and in full `fallback_strategies` and `quality_thresholds`. It raises
        InvalidInput when these hold an unknown strategy or metric, or nothing, or a threshold that is not from 0 to 1.

    Raises:
        InvalidInput: There are no strategies, a threshold is not from 0 to 1, or `memory` is no name.
    """
    known, measured = read_strategies(strategies), read_measurers(measurers)
    own = check_thresholds(thresholds or {}, measured)
    usual = (rules or Rules()).threshold
    check_memory(memory)

    async def choose(state: Any) -> AdaptiveState:
        order = _order(state, known)
        given = check_thresholds(state.get("quality_thresholds") or {}, measured)
        start = await _start(state, known, order, memory)
        teller("adaptive")("chosen", **start)
        return {
            "current_strategy": start["strategy"],
            "start": start,
            "fallback_strategies": order,
            "quality_thresholds": {**dict.fromkeys(measured, usual), **own, **given},
            "task_type": state.get("task_type") or "general",
            "current_step": "choose",
        }

    return choose


async def _start(state: AdaptiveState, known: Strategies, order: Sequence[str], memory: str | None) -> Start:
    named = state.get("current_strategy")
    if named is not None:
        one_of("strategy", named, known)
        return {"strategy": named, "why": "given", "records": {}}
    records = await remembered(memory, state.get("task_type") or "general")
    shown = {name: asdict(records[name]) for name in order if name in records}
    doing = [name for name in order if not known[name].asks]
    task = task_of(state, 1, memory=memory)
    asking = [name for name in order if known[name].asks]
    first, _ = await first_available([*by_record(records, doing), *asking], known, task)
    chosen = first or order[0]
    why: StartedBy = "first_in_order"
    if shown:
        good = chosen in records and records[chosen].mean >= GOOD
        why = "best_record" if good else "still_to_be_seen"
    return {"strategy": chosen, "why": why, "records": shown}


def adapting(
    strategies: Mapping[str, StrategyLike],
    *,
    rules: Rules | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    memory: str | None = "adaptive",
    clock: Clock = utcnow,
) -> AsyncNode:
    """Make a node that changes the strategy after an attempt that was not good enough.

    It says why (see `rules.reason_of`) and takes the first strategy that helps with that, is available, and was not
    tried in this run; then the others in order. When there is none, or the attempts are used up, it says that a person
    has to decide.

    Args:
        strategies: Name → strategy, in order.
        rules: Reasons and remedies.
        max_attempts: The most attempts of a run.
        memory: The name under which good answers are kept, for `cached_responses`; None for no memory.
        clock: The time.

    Returns:
        A node that writes `current_strategy` and adds to `adaptation_history`; `to` is None when a person has to decide.
        It raises InvalidInput for what is no metric, and for strategies and constraints in the state that do not exist.

    Raises:
        InvalidInput: There are no strategies, a remedy of one's own is none of them, `max_attempts` is no whole number of
            at least 1, or `memory` is no name.
    """
    known, adapts_by = read_strategies(strategies), rules or Rules()
    for name in adapts_by.own_remedies():
        one_of("strategy", name, known)
    check_count("max_attempts", max_attempts, 1)
    check_memory(memory)

    async def adapt(state: Any) -> AdaptiveState:
        attempts, current = state["attempts"], state["current_strategy"]
        metrics = state["performance_metrics"]
        poor = poor_metrics(metrics, state.get("quality_thresholds") or {}, adapts_by)
        reason = reason_of(poor, adapts_by, failed=attempts[-1]["error"] is not None)
        chosen: str | None = None
        refused: dict[str, str] = {}
        if len(attempts) < limit_of(state, max_attempts):
            names = remedies_of(reason, current, _order(state, known), tried_in(attempts), adapts_by)
            task = task_of(state, len(attempts) + 1, memory=memory)
            chosen, refused = await first_available(names, known, task)
        change: Adaptation = {
            "time": clock().isoformat(),
            "from": current,
            "to": chosen,
            "reason": reason,
            "metrics_before": dict(metrics),
        }
        teller("adaptive")("adapted", **change, poor=poor, refused=refused)
        update: AdaptiveState = {"adaptation_history": [change], "current_step": "adapt"}
        return update if chosen is None else {**update, "current_strategy": chosen}

    return adapt


def _order(state: AdaptiveState, known: Strategies) -> list[str]:
    given = state.get("fallback_strategies")
    return check_order(list(known) if given is None else given, known)


def limit_of(state: AdaptiveState, max_attempts: int) -> int:
    """Return how many attempts a run may make: what the workflow allows, or less where the run says so."""
    given = check_constraints(state.get("resource_constraints") or {})
    return min(max_attempts, int(given.get("max_attempts", max_attempts)))


def after_measuring(state: Any) -> Literal["finish", "adapt"]:
    """Route: an attempt that is good in everything ends the run."""
    last = state["attempts"][-1]
    return "finish" if not last["poor"] and last["error"] is None else "adapt"
