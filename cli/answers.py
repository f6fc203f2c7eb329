"""The answer of a person, from the words and options of `adjourn resume` and `adjourn review`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidDecision
from ..state.decisions import ALIASES, KINDS, Decision, DecisionKind, approve, edit, reject, respond
from .inputs import read_assignments, read_json

__all__ = ["Given", "read_answer"]


@dataclass(frozen=True, slots=True)
class Given:
    """What stands on the command line.

    Args:
        decision: approve, edit, reject or respond, or an alias of one.
        text: The reason or answer behind it.
        comment: The value of `--comment`, which is the same, and may stand beside an edit.
        assignments: The values of `--set`.
        edit: The value of `--edit`.
        value: The value of `--value`.
        editor: Whether `--editor` asks for the changes.
    """

    decision: str | None = None
    text: str | None = None
    comment: str | None = None
    assignments: Sequence[str] = field(default_factory=tuple)
    edit: str | None = None
    value: str | None = None
    editor: bool = False

    @property
    def answers(self) -> bool:
        """Whether anything of an answer was given."""
        return self != Given()


def read_answer(given: Given) -> Any:
    """Return what to give to the engine: a decision, or the plain value of `--value`.

    With `--editor` it is an edit that lacks what the editor will say.

    Raises:
        InvalidDecision: The words and options do not make one answer; the message says what would.
    """
    if given.value is not None:
        return _plain_value(given)
    if given.decision is None and not given.editor:
        raise InvalidDecision(
            f"Say what you decide: {', '.join(KINDS)}; or give --value JSON where a plain value is asked for."
        )
    kind = _kind(given.decision or "edit")
    if kind == "edit":
        return _edit(given)
    message = _message(given)
    if given.editor:
        raise InvalidDecision(f"--editor changes what was shown; {kind} does not. Use edit, or leave it out.")
    if given.assignments or given.edit is not None:
        raise InvalidDecision(f"--set and --edit change what was shown; {kind} does not. Use edit, or leave them out.")
    if kind == "respond":
        if not message or not message.strip():
            raise InvalidDecision(
                'respond needs the text for the workflow, such as: respond "the contract is from 2024".'
            )
        return respond(message)
    return (approve if kind == "approve" else reject)(message)


def _plain_value(given: Given) -> Any:
    if any((given.decision, given.text, given.comment, given.assignments, given.edit, given.editor)):
        raise InvalidDecision("--value is the whole answer; leave the decision and the other options out.")
    return read_json(str(given.value), "--value", InvalidDecision)


def _kind(word: str) -> DecisionKind:
    kind = ALIASES.get(word, word)
    for known in KINDS:
        if known == kind:
            return known
    near = difflib.get_close_matches(word, KINDS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise InvalidDecision(f"{word!r} is no decision; there are {', '.join(KINDS)}.{hint}")


def _message(given: Given) -> str | None:
    if given.text is not None and given.comment is not None:
        raise InvalidDecision("The text was given twice: as an argument and with --comment. Give it once.")
    return given.text if given.text is not None else given.comment


def _edit(given: Given) -> Decision:
    if given.text is not None:
        hint = f" (write --set {given.text})" if "=" in given.text else " (a comment stands behind --comment)"
        raise InvalidDecision(f"An edit takes --set name=value, --edit JSON or --editor, not a text{hint}.")
    if given.editor:
        if given.edit is not None or given.assignments:
            raise InvalidDecision("--editor shows all arguments to be changed; leave --set and --edit out.")
        return Decision("edit", {}, given.comment)
    return Decision("edit", edit(_changes(given)).args, given.comment)


def _changes(given: Given) -> dict[str, Any]:
    if given.edit is None and not given.assignments:
        raise InvalidDecision(
            "An edit says what changes: --set name=value, --edit JSON or --editor. To change nothing, approve."
        )
    changes = {} if given.edit is None else read_json(given.edit, "--edit", InvalidDecision)
    if not isinstance(changes, dict):
        raise InvalidDecision('--edit takes the changed arguments by name, such as --edit \'{"name": "value"}\'.')
    return {**changes, **read_assignments(given.assignments, error=InvalidDecision)}
