"""The workflow `adaptive`: change strategy when the numbers say so.

choose → attempt → measure → (good) finish
                           → (poor) adapt → attempt …, at most `max_attempts`
                                          → (nothing else is left, or a person is the strategy) human_review
choose → (a person is the strategy) human_review → finish
                                                 → (a person names a strategy) attempt
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph

from ..nodes.adaptive import (
    Measure,
    Rules,
    Work,
    adapting,
    after_answer,
    after_measuring,
    ask_person,
    attempting,
    choosing,
    finishing,
    measuring,
    shipped_strategies,
    take_answer,
)
from ..nodes.adaptive.adapting import MAX_ATTEMPTS
from ..nodes.adaptive.checking import adaptive_input
from ..nodes.adaptive.measuring import MEASURING_SECONDS, TARGET_SECONDS, read_measurers
from ..nodes.adaptive.strategies import StrategyLike, read_strategies
from ..nodes.human_review import human_review
from ..state.adaptive import AdaptiveState
from ..state.policies import ReviewPolicy

__all__ = ["build", "builder", "graph"]


def build(
    work: Work | None = None,
    *,
    strategies: Mapping[str, StrategyLike] | None = None,
    measurers: Mapping[str, Measure] | None = None,
    thresholds: Mapping[str, float] | None = None,
    rules: Rules | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    target_seconds: float = TARGET_SECONDS,
    timeout: float | None = None,
    measuring_timeout: float | None = MEASURING_SECONDS,
    memory: str | None = "adaptive",
    policy: ReviewPolicy | None = None,
) -> StateGraph[Any, None, Any, Any]:
    """Build the workflow; compile it yourself, or hand it to an engine as it is.

    Args:
        work: What the shipped strategies do. Default: reading texts, with the model of `ADJOURN_MODEL` or with rules.
        strategies: Name → strategy, in order. Default: `shipped_strategies(work)`; take these into a mapping of your own to
            replace some or add others.
        measurers: Metric → function of an `Attempted` that returns 0-1. Default: `response_time`, `accuracy`,
            `completeness`.
        thresholds: Metric → the smallest value that is good; a run's `quality_thresholds` come before them. Default: 0.7.
        rules: Reasons and remedies, where yours differ.
        max_attempts: The most attempts before a person is asked.
        target_seconds: How long an attempt may take to be fast; a run's `resource_constraints` come before it.
        timeout: Seconds after which an attempt has failed; None for no limit.
        measuring_timeout: Seconds after which a measurer fails the run, as one that raises does; None for no limit.
        memory: The name under which records and good answers are kept in the store; None for none.
        policy: Who may answer, how many must agree, and until when.

    Returns:
        The graph, not compiled.

    Raises:
        InvalidInput: There are no strategies or measurers, a number is out of range, or a metric has a threshold and no
            measurer.
    """
    known = read_strategies(shipped_strategies(work) if strategies is None else strategies)
    measured = read_measurers(measurers)
    workflow = StateGraph(AdaptiveState, input_schema=adaptive_input(known, measured))
    workflow.add_node("choose", choosing(known, measured, thresholds=thresholds, rules=rules, memory=memory))
    workflow.add_node("attempt", attempting(known, timeout=timeout, memory=memory))
    measure = measuring(measured, rules=rules, target_seconds=target_seconds, timeout=measuring_timeout, memory=memory)
    workflow.add_node("measure", measure)
    workflow.add_node("adapt", adapting(known, rules=rules, max_attempts=max_attempts, memory=memory))
    workflow.add_node("human_review", human_review(ask_person(known), read=take_answer, policy=policy))
    workflow.add_node("finish", finishing(memory=memory))

    def next_strategy(state: AdaptiveState) -> Literal["attempt", "human_review"]:
        """Ask a person when that is the strategy, or when no other is left."""
        history = state.get("adaptation_history") or []
        given_up = bool(history) and history[-1]["to"] is None
        return "human_review" if given_up or known[state["current_strategy"]].asks else "attempt"

    workflow.add_edge(START, "choose")
    workflow.add_conditional_edges("choose", next_strategy, ["attempt", "human_review"])
    workflow.add_edge("attempt", "measure")
    workflow.add_conditional_edges("measure", after_measuring, ["finish", "adapt"])
    workflow.add_conditional_edges("adapt", next_strategy, ["attempt", "human_review"])
    workflow.add_conditional_edges("human_review", after_answer, ["attempt", "finish"])
    workflow.add_edge("finish", END)
    return workflow


builder = build()
graph: Any = builder.compile(name="adaptive")
