"""The workflow `review`: analyse, validate, ask a person when unsure, execute, finalise.

analyze → validate → (confident) execute → finalize
→ (unsure)    human_review → approve → execute
→ edit    → execute, or validate again (`revalidate=True`)
→ reject  → analyze again with the reason, `max_retries` times
→ respond → analyze again with the answer, `max_retries` times
execute → (not what was approved) human_review again, `max_retries` times
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph

from ..nodes.analysis import analysis
from ..nodes.analysts import Analyst, default_analyst
from ..nodes.execution import MISMATCH, Action, execution, record
from ..nodes.finalisation import finalisation
from ..nodes.human_review import ask_about_analysis, human_review
from ..nodes.validation import MIN_CONFIDENCE, Rule, high_risk, validation
from ..state.policies import ReviewPolicy
from ..state.review import ReviewInput, ReviewState

__all__ = ["build", "builder", "graph"]

After = Literal["execute", "validate", "analyze", "finalize"]


def build(
    *,
    analyst: Analyst | None = None,
    rules: Sequence[Rule] = (high_risk,),
    min_confidence: float = MIN_CONFIDENCE,
    action: Action = record,
    max_retries: int = 2,
    revalidate: bool = False,
    policy: ReviewPolicy | None = None,
) -> StateGraph[ReviewState, None, ReviewInput, ReviewState]:
    """Build the workflow; compile it yourself, or hand it to an engine as it is.

    Args:
        analyst: Who reads the text. Default: the model of `ADJOURN_MODEL` when it is set, otherwise rules.
        rules: Extra reasons to ask a person.
        min_confidence: The smallest confidence that needs nobody to look (0-1).
        action: What `execute` does with an accepted analysis.
        max_retries: How often people may send the text back to the analyst.
        revalidate: Whether an edited analysis is validated again before it is executed.
        policy: Who may answer the question, how many must agree, and until when.

    Returns:
        The graph, not compiled.
    """
    workflow = StateGraph(ReviewState, input_schema=ReviewInput)
    workflow.add_node("analyze", analysis(analyst or default_analyst()))
    workflow.add_node("validate", validation(min_confidence=min_confidence, rules=rules))
    workflow.add_node("human_review", human_review(ask_about_analysis(max_retries), policy=policy))
    workflow.add_node("execute", execution(action, max_retries=max_retries))
    workflow.add_node("finalize", finalisation())
    workflow.add_edge(START, "analyze")
    workflow.add_edge("analyze", "validate")
    workflow.add_conditional_edges("validate", after_validation, ["execute", "human_review"])
    workflow.add_conditional_edges(
        "human_review", after_review(max_retries, revalidate), ["execute", "validate", "analyze", "finalize"]
    )
    workflow.add_conditional_edges("execute", after_execution, ["human_review", "finalize"])
    workflow.add_edge("finalize", END)
    return workflow


def after_validation(state: ReviewState) -> Literal["execute", "human_review"]:
    """Go on alone when nothing speaks against it."""
    return "human_review" if state["validation_results"]["requires_human_review"] else "execute"


def after_review(max_retries: int, revalidate: bool) -> Callable[[ReviewState], After]:
    """Make the routing rule behind the question: a rejection beyond the limit ends the run."""

    def route(state: ReviewState) -> After:
        if state["human_decision"] == "approve":
            return "execute"
        if state["human_decision"] == "edit":
            return "validate" if revalidate else "execute"
        return "analyze" if state["retry_count"] <= max_retries else "finalize"

    return route


def after_execution(state: ReviewState) -> Literal["human_review", "finalize"]:
    """Ask again when what would have been executed was not what people had approved."""
    return "human_review" if state["execution_log"][-1]["status"] == MISMATCH else "finalize"


builder = build()
graph: Any = builder.compile(name="review")
