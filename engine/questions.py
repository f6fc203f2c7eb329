"""Reading questions: what a pause asks, as a review that people can answer.

Two forms are about actions and answered by decisions: LangChain's `HITLRequest`, and the `ToolApprovalRequest` that its
middleware raises for each call in the mode `per_call`. Everything else asks for a plain value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langgraph.types import Interrupt

from ..state.decisions import KINDS, DecisionKind
from ..state.policies import ReviewPolicy
from ..state.schemas import json_schema
from ..state.values import digest
from .model import Review

__all__ = [
    "BREAKPOINT",
    "BUDGET",
    "action_of",
    "breakpoint_review",
    "is_action_request",
    "is_tool_approval",
    "review_of",
    "shown_digest",
    "with_args",
]

BREAKPOINT = "breakpoint:"
# the question for more, when a run has spent its budget; like a breakpoint it writes no interrupt
BUDGET = f"{BREAKPOINT}budget:"


def is_action_request(value: Any) -> bool:
    """Whether a question is a LangChain `HITLRequest`: actions with names and arguments, and how to answer each."""
    return (
        isinstance(value, dict)
        and _non_empty_dicts(value.get("action_requests"))
        and _non_empty_dicts(value.get("review_configs"))
    )


def is_tool_approval(value: Any) -> bool:
    """Whether a question is a LangChain `ToolApprovalRequest`: one call of a tool, answered by one decision."""
    return (
        isinstance(value, dict)
        and value.get("type") == "tool_approval"
        and isinstance(value.get("name"), str)
        and isinstance(value.get("args"), dict)
    )


def action_of(value: Any) -> str | None:
    """Return the name of the one action that a question is about; None where it is about none, or several."""
    if is_tool_approval(value):
        return str(value["name"])
    if is_action_request(value) and len(value["action_requests"]) == 1:
        return str(value["action_requests"][0].get("name"))
    return None


def with_args(value: Any, args: dict[str, Any]) -> Any:
    """Return a question about one action as it is after an edit: with other arguments, and otherwise the same."""
    if is_tool_approval(value):
        return {**value, "args": args}
    return {**value, "action_requests": [{**value["action_requests"][0], "args": args}]}


def shown_digest(value: Any) -> str:
    """Return the SHA-256 of exactly what is shown: the canonical JSON of a question.

    Args:
        value: The question, JSON-safe; the few values that JSON lacks (not finite numbers) are taken as Python writes them.
    """
    try:
        return digest(value)
    except ValueError:
        return digest(ascii(value))


def review_of(
    interrupt: Interrupt,
    thread_id: str,
    workflow: str,
    policy: ReviewPolicy = ReviewPolicy(),  # noqa: B008
) -> Review:
    """Return the review that an interrupt asks for.

    Args:
        interrupt: LangGraph's interrupt; its value may be anything.
        thread_id: The run.
        workflow: Its workflow.
        policy: May narrow the decisions that the question allows, and say what an edit must fit.

    Returns:
        For a `HITLRequest` with one action and for a `ToolApprovalRequest` that action; for everything else a question
        that asks for a plain value.
    """
    value = interrupt.value
    schema = interrupt.response_schema
    schema = schema if schema is None or isinstance(schema, dict) else json_schema(schema)
    if is_tool_approval(value):
        return _tool_approval(interrupt.id, value, schema or {}, thread_id, workflow, policy)
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
            policy=policy,
        )
    request, config = value["action_requests"][0], value["review_configs"][0]
    return Review(
        id=interrupt.id,
        thread_id=thread_id,
        workflow=workflow,
        action=str(request.get("name")),
        args=dict(request.get("args") or {}),
        description=str(request.get("description") or ""),
        allowed=_allowed(config.get("allowed_decisions"), policy),
        edit_schema=policy.edit_schema or config.get("args_schema"),
        context=dict((value.get("adjourn") or {}).get("context") or {}),
        value=value,
        policy=policy,
    )


def _tool_approval(
    review_id: str, value: dict[str, Any], schema: dict[str, Any], thread_id: str, workflow: str, policy: ReviewPolicy
) -> Review:
    return Review(
        id=review_id,
        thread_id=thread_id,
        workflow=workflow,
        action=value["name"],
        args=dict(value["args"]),
        description=str(value.get("description") or ""),
        allowed=_allowed(_kinds_in(schema), policy),
        edit_schema=policy.edit_schema or _edit_schema_in(schema),
        response_schema=schema or None,
        value=value,
        policy=policy,
    )


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the kinds of answer that the schema of a tool approval lists; one kind stands there alone."""
    return [_resolved(branch, schema) for branch in schema.get("oneOf", [schema])]


def _resolved(part: Any, schema: dict[str, Any]) -> dict[str, Any]:
    name = str(part.get("$ref", "")).removeprefix("#/$defs/") if isinstance(part, dict) else ""
    found = schema.get("$defs", {}).get(name) if name else part
    return found if isinstance(found, dict) else {}


def _kinds_in(schema: dict[str, Any]) -> list[Any]:
    return [branch.get("properties", {}).get("type", {}).get("const") for branch in _branches(schema)]


def _edit_schema_in(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a part of the tool's arguments: an edit names only those that change."""
    for branch in _branches(schema):
        action = _resolved(branch.get("properties", {}).get("edited_action", {}), schema)
        args = _resolved(action.get("properties", {}).get("args", {}), schema)
        if "properties" in args:
            some = {key: value for key, value in args.items() if key != "required"}
            return {"additionalProperties": False, "minProperties": 1, "$defs": schema.get("$defs", {}), **some}
    return None


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


def _allowed(named: Any, policy: ReviewPolicy) -> tuple[DecisionKind, ...]:
    offered = tuple(kind for kind in named if kind in KINDS) if isinstance(named, list) else KINDS
    offered = offered or KINDS
    # a policy narrows what the question offers; one that leaves nothing was meant for another question
    narrowed = tuple(kind for kind in offered if policy.allowed is None or kind in policy.allowed)
    return cast("tuple[DecisionKind, ...]", narrowed or offered)


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
