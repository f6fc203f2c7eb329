"""Decisions: what a person may answer to a question, in one form.

The four kinds are LangChain's (`approve`, `edit`, `reject`, `respond`); `modify` and `request_more_info`, the words
of the original descriptions, are accepted as aliases of `edit` and `respond`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from ..errors import InvalidDecision

__all__ = ["ALIASES", "KINDS", "Decision", "DecisionKind", "approve", "edit", "reject", "respond"]

DecisionKind = Literal["approve", "edit", "reject", "respond"]
KINDS: Final[tuple[DecisionKind, ...]] = ("approve", "edit", "reject", "respond")
ALIASES: Final[dict[str, DecisionKind]] = {"modify": "edit", "request_more_info": "respond"}


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's answer to one question.

    Args:
        kind: What was decided.
        args: For `edit`: the new arguments of the action (JSON-safe), which replace those of the same name.
        message: For `reject` the reason, for `respond` the text that goes back to the workflow; optional for `approve`.
    """

    kind: DecisionKind
    args: dict[str, Any] | None = None
    message: str | None = None


def approve(message: str | None = None) -> Decision:
    """Approve what was shown.

    Args:
        message: A comment to keep beside the approval.
    """
    return Decision("approve", message=message)


def edit(args: dict[str, Any]) -> Decision:
    """Approve with changes.

    Args:
        args: The changed arguments (JSON-safe); arguments that are not named stay as they were shown.

    Raises:
        InvalidDecision: `args` is not a dictionary with text keys, or is empty.
    """
    if not args or not all(isinstance(key, str) for key in args):
        raise InvalidDecision(
            'edit() takes the changed arguments by name, such as edit({"summary": "…"}); '
            "to change nothing, use approve()."
        )
    return Decision("edit", args=args)


def reject(message: str | None = None) -> Decision:
    """Refuse what was shown.

    Args:
        message: The reason; workflows hand it on to whoever tries again.
    """
    return Decision("reject", message=message)


def respond(message: str) -> Decision:
    """Answer with a text that goes back to the workflow as extra information.

    Args:
        message: The text; it must not be empty.

    Raises:
        InvalidDecision: The text is missing or empty.
    """
    if not message or not message.strip():
        raise InvalidDecision(
            'respond() takes the text for the workflow, such as respond("the contract is from 2024").'
        )
    return Decision("respond", message=message)
