"""Answers: normalised to one form and held against the question, before anything is stored.

Pure functions. An answer that does not fit raises InvalidDecision, and the question stays open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType
from langgraph.types import Interrupt
from referencing.exceptions import Unresolvable

from ..state.decisions import Decision, DecisionKind
from ..state.values import digest, json_problem
from .model import Review, VoteKind
from .questions import is_action_request, is_tool_approval, review_of
from .replies import invalid, normalise, replies_to

__all__ = ["Answer", "check_answer", "edit_problems"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that fits its question, in the form that LangGraph is resumed with.

    Args:
        value: JSON-safe; for a `HITLRequest` LangChain's `HITLResponse`.
        digest: SHA-256 of its canonical JSON: tells the same answer from another.
        kind: What was decided; `value` for a plain answer, and for several decisions that are not all of one kind.
        args: For an edit of one action all of its arguments, changed.
        message: The comment, if there is one.
    """

    value: Any
    digest: str
    kind: VoteKind
    args: dict[str, Any] | None = None
    message: str | None = None


def check_answer(review: Review, given: Any) -> Answer:
    """Bring an answer to one form and hold it against the question.

    Args:
        review: The question.
        given: A Decision, one of the shapes that chat UIs send for it, or a plain JSON value where one is asked for.

    Raises:
        InvalidDecision: The answer does not fit; the message says what would.
    """
    if is_action_request(review.value) and review.action is None:
        return _many_decisions(review, given)
    if review.action is None:
        value = _plain_value(review, given)
        return Answer(value, digest(value), "value")
    decision = normalise(review, given)
    _check_allowed(review, decision.kind)
    wire = _wire(review, decision)
    value = _fitting(review, wire) if is_tool_approval(review.value) else {"decisions": [wire]}
    args = wire["edited_action"]["args"] if decision.kind == "edit" else None
    return Answer(value, digest(value), decision.kind, args, decision.message)


def _check_allowed(review: Review, kind: DecisionKind) -> None:
    if kind not in review.allowed:
        raise invalid(review, f"{kind} is not allowed here")


def _wire(review: Review, decision: Decision) -> dict[str, Any]:
    wire: dict[str, Any] = {"type": decision.kind}
    if decision.message is not None:
        wire["message"] = decision.message
    if problem := json_problem(decision.message, "the message"):
        raise invalid(review, problem)
    if decision.kind == "edit":
        args = decision.args or {}
        if problem := json_problem(args, "the edit"):
            raise invalid(review, problem)
        _check_edit(review, args)
        wire["edited_action"] = {"name": review.action, "args": {**review.args, **args}}
    return wire


def _check_edit(review: Review, args: dict[str, Any]) -> None:
    if problems := edit_problems(review, args):
        misfit = "the edit does not fit: " if review.edit_schema is not None else ""
        raise invalid(review, misfit + problems[0])


def edit_problems(review: Review, args: dict[str, Any]) -> list[str]:
    """Return everything that does not fit about the changed arguments of an edit, each in one sentence.

    Args:
        review: The question, about one action.
        args: What changes (JSON-safe).
    """
    if review.edit_schema is not None:
        return list(_misfits(review.edit_schema, args))
    unknown = sorted(args.keys() - review.args.keys())
    return [f"the action has no argument {name!r}; it has {', '.join(review.args)}" for name in unknown]


def _many_decisions(review: Review, given: Any) -> Answer:
    count = len(review.value["action_requests"])
    decisions = replies_to(review, given, count)
    each = []
    for request, config, one in zip(
        review.value["action_requests"], _configs(review.value, count), decisions, strict=True
    ):
        part = _part(review, request, config)
        decision = normalise(part, one)
        _check_allowed(part, decision.kind)
        each.append(_wire(part, decision))
    value: Any = {"decisions": each}
    kinds: set[DecisionKind] = {one["type"] for one in each}
    # people who agree about all of them approve, reject or respond; anything else is an answer of its own
    kind: VoteKind = kinds.pop() if len(kinds) == 1 and "edit" not in kinds else "value"
    return Answer(value, digest(value), kind)


def _configs(value: dict[str, Any], count: int) -> list[dict[str, Any]]:
    by_name = {config.get("action_name"): config for config in value["review_configs"]}
    return [by_name.get(request.get("name"), {}) for request in value["action_requests"][:count]]


def _part(review: Review, request: dict[str, Any], config: dict[str, Any]) -> Review:
    one = {"action_requests": [request], "review_configs": [config or {"action_name": request.get("name")}]}
    return review_of(Interrupt(value=one, id=review.id), review.thread_id, review.workflow, review.policy)


def _plain_value(review: Review, given: Any) -> Any:
    if isinstance(given, Decision):
        raise invalid(review, f"{given.kind} is a decision, but this question asks for a plain value")
    if problem := json_problem(given, "the answer"):
        raise invalid(review, problem)
    return _fitting(review, given)


def _fitting(review: Review, answer: Any) -> Any:
    if review.response_schema is not None and (problem := _misfit(review.response_schema, answer)):
        raise invalid(review, f"the answer does not fit: {problem}")
    return answer


def _misfit(schema: dict[str, Any], value: Any) -> str | None:
    return next(_misfits(schema, value), None)


def _misfits(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Say where a value does not fit a schema; nothing when it fits, or when the workflow's schema is none."""
    try:
        for error in Draft202012Validator(schema).iter_errors(value):
            place = ".".join(str(part) for part in error.absolute_path)
            yield f"{place}: {error.message}" if place else error.message
    except (SchemaError, UnknownType, Unresolvable, re.error):
        # The question can be answered all the same: LangGraph does not enforce such a schema, it only shows it.
        return
