"""Questions to people: the wire format of a pause.

A question is LangChain's `HITLRequest` with one action, because existing chat UIs and LangGraph Studio render that.
What adjourn adds stands under a key of its own, `adjourn`, which those UIs ignore. The answer comes back as
LangChain's `HITLResponse`; the engine adds who answered and when, again under `adjourn`.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from .decisions import DecisionKind
from .values import JsonValue

__all__ = ["ActionRequest", "Answer", "Question", "ReviewConfig", "Stamp", "question", "read_answer"]


class ActionRequest(TypedDict):
    """What would be done: a name and its arguments."""

    name: str
    args: dict[str, Any]
    description: str


class ReviewConfig(TypedDict):
    """How the action may be answered. `args_schema` is the JSON Schema that an edit must fit."""

    action_name: str
    allowed_decisions: list[DecisionKind]
    args_schema: NotRequired[dict[str, Any]]


class Extras(TypedDict):
    """What adjourn adds to a question. `context` is shown to people and is not part of the action."""

    context: dict[str, JsonValue]


class Question(TypedDict):
    """A `HITLRequest` with exactly one action."""

    action_requests: list[ActionRequest]
    review_configs: list[ReviewConfig]
    adjourn: Extras


class Stamp(TypedDict):
    """Who answered and when (ISO 8601, UTC); set by the engine, never by the answer itself."""

    by: str
    at: str


class Answer(TypedDict):
    """What a person answered, as a node reads it. `stamp` is None when no engine delivered the answer."""

    kind: DecisionKind
    args: dict[str, Any] | None
    message: str | None
    stamp: Stamp | None


def question(
    action: str,
    args: dict[str, Any],
    description: str,
    *,
    allowed: tuple[DecisionKind, ...],
    args_schema: dict[str, Any] | None = None,
    context: dict[str, JsonValue] | None = None,
) -> Question:
    """Build a question.

    Args:
        action: The name of what would be done.
        args: Its arguments (JSON-safe): exactly these are approved or edited.
        description: The question, in words.
        allowed: The kinds of decision that are possible.
        args_schema: JSON Schema of the edited arguments.
        context: What else people should see (JSON-safe).

    Returns:
        The value for LangGraph's `interrupt()`.
    """
    config: ReviewConfig = {"action_name": action, "allowed_decisions": list(allowed)}
    if args_schema is not None:
        config["args_schema"] = args_schema
    return {
        "action_requests": [{"name": action, "args": args, "description": description}],
        "review_configs": [config],
        "adjourn": {"context": context or {}},
    }


def read_answer(response: Any) -> Answer:
    """Read what `interrupt()` returned for a question of ours.

    Args:
        response: A `HITLResponse` with one decision, as the engine delivers it and as chat UIs send it.

    Returns:
        The answer in one form. An edit's arguments are those of its `edited_action`.
    """
    decision = response["decisions"][0]
    edited = decision.get("edited_action")
    return {
        "kind": decision["type"],
        "args": edited["args"] if edited else None,
        "message": decision.get("message"),
        "stamp": response.get("adjourn"),
    }
