"""Reading questions: what a pause asks, as a review that people can answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langgraph.types import Interrupt

from ..state.decisions import KINDS, DecisionKind
from ..state.schemas import json_schema
from .model import Review

__all__ = ["BREAKPOINT", "breakpoint_review", "is_action_request", "review_of"]

BREAKPOINT = "breakpoint:"


def is_action_request(value: Any) -> bool:
    """Whether a question is a LangChain `HITLRequest`: actions with names and arguments, and how to answer each."""
    return (
        isinstance(value, dict)
        and _non_empty_dicts(value.get("action_requests"))
        and _non_empty_dicts(value.get("review_configs"))
    )


def review_of(interrupt: Interrupt, thread_id: str, workflow: str) -> Review:
    """Return the review that an interrupt asks for.

    Args:
        interrupt: LangGraph's interrupt; its value may be anything.
        thread_id: The run.
        workflow: Its workflow.

    Returns:
        For a `HITLRequest` with one action that action; for everything else a question that asks for a plain value.
    """
    value = interrupt.value
    schema = interrupt.response_schema
    schema = schema if schema is None or isinstance(schema, dict) else json_schema(schema)
    if not is_action_request(value) or len(value["action_requests"]) != 1:
        return Review(
            id=interrupt.id,
            thread_id=thread_id,
            workflow=workflow,
            action=None,
            args={},
            description=_describe(value),
            allowed=(),
            response_schema=schema,
            value=value,
        )
    request, config = value["action_requests"][0], value["review_configs"][0]
    return Review(
        id=interrupt.id,
        thread_id=thread_id,
        workflow=workflow,
        action=str(request.get("name")),
        args=dict(request.get("args") or {}),
        description=str(request.get("description") or ""),
        allowed=_allowed(config.get("allowed_decisions")),
        edit_schema=config.get("args_schema"),
        context=dict((value.get("adjourn") or {}).get("context") or {}),
        value=value,
    )


def breakpoint_review(checkpoint_id: str, nodes: Sequence[str], thread_id: str, workflow: str) -> Review:
    """Return the review of a static breakpoint, which writes no interrupt: may the run go on?"""
    where = f" before {', '.join(nodes)}" if nodes else ""
    return Review(
        id=f"{BREAKPOINT}{checkpoint_id}",
        thread_id=thread_id,
        workflow=workflow,
        action="continue",
        args={},
        description=f"The run stopped at a breakpoint{where}. May it go on?",
        allowed=("approve",),
    )


def _allowed(named: Any) -> tuple[DecisionKind, ...]:
    if not isinstance(named, list):
        return KINDS
    return cast("tuple[DecisionKind, ...]", tuple(kind for kind in named if kind in KINDS)) or KINDS


def _describe(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in ("description", "question", "message", "prompt"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return "The workflow asks for a value."


def _non_empty_dicts(items: Any) -> bool:
    return isinstance(items, list) and bool(items) and all(isinstance(item, dict) for item in items)
