"""Questions to people: the wire format of a pause.

A question is LangChain's `HITLRequest` with one action, because existing chat UIs and LangGraph Studio render that.
What adjourn adds stands under a key of its own, `adjourn`, which those UIs ignore. The answer comes back as
LangChain's `HITLResponse`; the engine adds who answered and when, again under `adjourn`.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from .decisions import DecisionKind
from .policies import ReviewPolicy, policy_json
from .values import JsonValue, digest

__all__ = [
    "ActionRequest",
    "Answer",
    "Question",
    "ReviewConfig",
    "Stamp",
    "action_digest",
    "asked_under",
    "question",
    "read_answer",
]


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
    """What adjourn adds to a question.

    `context` is shown to people and is not part of the action; `policy` says who may answer, and until when.
    """

    context: dict[str, JsonValue]
    policy: NotRequired[dict[str, JsonValue]]


class Question(TypedDict):
    """A `HITLRequest` with exactly one action."""

    action_requests: list[ActionRequest]
    review_configs: list[ReviewConfig]
    adjourn: Extras


class Stamp(TypedDict):
    """Who answered and when (ISO 8601, UTC); set by the engine, never by the answer itself.

    `by` is whoever gave the last of several approvals, `approved_by` are all of them, and `approved` is the digest of what
    they approved (see `action_digest`).
    """

    by: str
    at: str
    approved_by: NotRequired[list[str]]
    approved: NotRequired[str]


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
    policy: ReviewPolicy | None = None,
) -> Question:
    """Build a question.

    Args:
        action: The name of what would be done.
        args: Its arguments (JSON-safe): exactly these are approved or edited.
        description: The question, in words.
        allowed: The kinds of decision that are possible.
        args_schema: JSON Schema of the edited arguments.
        context: What else people should see (JSON-safe).
        policy: Who may answer, how many must agree, and until when; otherwise what the run or its workflow says.

    Returns:
        The value for LangGraph's `interrupt()`.
    """
    config: ReviewConfig = {"action_name": action, "allowed_decisions": list(allowed)}
    if args_schema is not None:
        config["args_schema"] = args_schema
    extras: Extras = {"context": context or {}}
    if policy is not None:
        extras["policy"] = policy_json(policy)
    return {
        "action_requests": [{"name": action, "args": args, "description": description}],
        "review_configs": [config],
        "adjourn": extras,
    }


def asked_under(policy: ReviewPolicy, asked: Question) -> Question:
    """Return a question that is asked under a policy."""
    return {**asked, "adjourn": {**asked["adjourn"], "policy": policy_json(policy)}}


def action_digest(action: str, args: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of an action: what people approve, and what may be executed then.

    Args:
        action: Its name.
        args: Its arguments (JSON-safe).
    """
    return digest({"action": action, "args": args})


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
