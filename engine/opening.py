"""What is stored of a question when it is opened: the question itself with its policy, and what listings look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from pydantic_core import to_jsonable_python

from ..state.policies import ReviewPolicy, policy_json
from ..state.schemas import json_schema
from .questions import shown_digest

__all__ = ["Opening", "joined_roles", "opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The columns of a question that is opened.

    Args:
        question_type: How the question is serialised.
        question: The question, its response schema and its policy, serialised; encrypted where there is a key.
        digest: SHA-256 of exactly what is shown.
        roles: Who is asked, joined; empty for everybody.
        priority: Larger comes first.
        deadline: Milliseconds to the deadline; None without one.
        remind_after: Milliseconds to the reminder.
        fails_closed: Whether the deadline fails the run.
    """

    question_type: str
    question: bytes
    digest: str
    roles: str
    priority: int
    deadline: int | None
    remind_after: int | None
    fails_closed: bool


def opening(serde: SerializerProtocol, value: Any, response_schema: Any, policy: ReviewPolicy) -> Opening:
    """Return what is stored of a question; JSON-safe whatever the workflow asked with, since people are shown it.

    Args:
        serde: The serializer.
        value: What the workflow asked with.
        response_schema: JSON Schema, or a type to take it from; None without one.
        policy: The policy that counts.
    """
    if response_schema is not None and not isinstance(response_schema, dict):
        response_schema = json_schema(response_schema)
    shown = to_jsonable_python(value, fallback=repr)
    stored = {"value": shown, "response_schema": response_schema, "policy": policy_json(policy)}
    kind, data = serde.dumps_typed(stored)
    return Opening(
        question_type=kind,
        question=data,
        digest=shown_digest(shown),
        roles=joined_roles(policy.roles),
        priority=policy.priority,
        deadline=_milliseconds(policy.deadline),
        remind_after=_milliseconds(policy.remind_after),
        fails_closed=policy.deadline is not None and policy.at_deadline(0) == "fail",
    )


def joined_roles(roles: tuple[str, ...]) -> str:
    """Return roles as one text; names of roles hold no control characters."""
    return "\x1f".join(roles)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(round(seconds * 1000), 1)
