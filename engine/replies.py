"""The shapes in which people's decisions arrive, brought to one form.

Taken are a Decision; LangChain's (`{"type": "reject", "message": …}`, alone or in `{"decisions": […]}`); the list of older
inboxes (`[{"type": "accept" | "ignore" | "response" | "edit", "args": …}]`); a kind alone (`"approve"`); true and false.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import InvalidDecision
from ..state.decisions import ALIASES, KINDS, Decision, DecisionKind, approve, edit, reject, respond
from .model import Review

__all__ = ["invalid", "normalise", "replies_to"]

# The words of LangChain's Agent Inbox before its human-in-the-loop middleware. Whoever ignores a call does not want it.
_LEGACY: Final[dict[str, DecisionKind]] = {"accept": "approve", "ignore": "reject", "response": "respond"}


def normalise(review: Review, given: Any) -> Decision:
    """Bring an answer to a question about one action into one form.

    Args:
        review: The question.
        given: The answer, in any of the shapes above.

    Raises:
        InvalidDecision: It is none of these.
    """
    if isinstance(given, Decision):
        return given
    if isinstance(given, bool):
        return approve() if given else reject()
    if isinstance(given, str):
        return _from_wire(review, {"type": given})
    one = replies_to(review, given, 1)[0] if isinstance(given, list) or _is_response(given) else given
    if isinstance(one, Decision | bool | str):
        return normalise(review, one)
    if not isinstance(one, dict) or not isinstance(one.get("type"), str):
        raise invalid(review, f"a {type(one).__name__} is not a decision")
    return _from_wire(review, one)


def replies_to(review: Review, given: Any, count: int) -> list[Any]:
    """Return the decisions about each of several actions, in any shape.

    Args:
        review: The question.
        given: A list, LangChain's `{"decisions": […]}`, or true or false for all of them.
        count: How many actions there are.

    Raises:
        InvalidDecision: It is none of these, or holds another number of decisions.
    """
    if isinstance(given, bool):
        return [given] * count
    decisions = given["decisions"] if _is_response(given) else given
    about = "one action" if count == 1 else f"{count} actions"
    if not isinstance(decisions, list):
        raise invalid(review, f"this question is about {about} and takes a list of {count} decisions")
    if len(decisions) != count:
        raise invalid(review, f"{len(decisions)} decisions were given for {about}")
    return decisions


def invalid(review: Review, problem: str) -> InvalidDecision:
    """Return the error for an answer that does not fit: what was wrong, and what would be right."""
    if review.allowed:
        right = f"Possible: {', '.join(review.allowed)}."
    elif review.response_schema is not None:
        right = "It must fit the question's response schema."
    else:
        right = "Give a JSON value."
    return InvalidDecision(
        f"This answer to review {review.id} was not taken: {problem}. {right} The question stays open.",
        thread_id=review.thread_id,
    )


def _is_response(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("decisions"), list)


def _from_wire(review: Review, given: dict[str, Any]) -> Decision:
    kind = ALIASES.get(given["type"], _LEGACY.get(given["type"], given["type"]))
    message = given.get("message")
    if message is None and kind in ("reject", "respond") and isinstance(given.get("args"), str):
        message = given["args"]
    if message is not None and not isinstance(message, str):
        raise invalid(review, f"the message is a {type(message).__name__}, not text")
    if kind == "approve":
        return approve(message)
    if kind == "reject":
        return reject(message)
    if kind == "respond":
        return respond(message or "")
    if kind == "edit":
        return edit(_edited_args(review, given))
    raise invalid(review, f"{given['type']!r} is no decision; there are {', '.join(KINDS)}")


def _edited_args(review: Review, given: dict[str, Any]) -> dict[str, Any]:
    action = given.get("edited_action", given.get("args"))
    if not isinstance(action, dict):
        raise invalid(review, "an edit names the changed arguments")
    # LangChain names the action beside its arguments, as `name`, and the older inbox as `action`
    named = "edited_action" in given or (set(action) == {"action", "args"} and "action" not in review.args)
    args = action.get("args") if named else action
    if not isinstance(args, dict):
        raise invalid(review, "an edit names the changed arguments")
    return args
