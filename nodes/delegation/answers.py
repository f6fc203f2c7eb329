"""What people answered to the questions of a subtask's agent, as the agent is told when it runs again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...state.decisions import DecisionKind
from ...state.delegation import Answered, SubtaskState
from ...state.values import digest, storable_text

__all__ = ["PersonsAnswer", "answers_for", "question_of", "question_text"]

_MOST: Final = 2000
_SHOWN: Final = 1800


@dataclass(frozen=True, slots=True)
class PersonsAnswer:
    """What a person answered to a question of a subtask's agent.

    Args:
        asked: The question as the agent raised it; one of more than 2000 characters is cut, and ends with its SHA-256.
        decision: `approve`, or `edit`: approved with other input. After the other two the agent does not run again.
        message: What the person said with it.
        by: Who.
        at: When (ISO 8601, UTC).
        stands: Whether the subtask's input is what it was then. What somebody changed since was not approved.
    """

    asked: str
    decision: DecisionKind
    message: str | None
    by: str
    at: str
    stands: bool = True


def question_text(asked: str) -> str:
    """Return a question as it is kept and shown: different ones stay different, and none is longer than 2000 characters.

    Args:
        asked: As the agent raised it. Of a longer one the beginning stays, with the SHA-256 of all of it.
    """
    text = storable_text(asked) or "the agent needs a person"
    if len(text) <= _MOST:
        return text
    return f"{text[:_SHOWN]}… ({len(text):,} characters, SHA-256 {hashlib.sha256(text.encode()).hexdigest()})"


def question_of(subtask: SubtaskState) -> str | None:
    """Return what the agent of a subtask asks, where it is the agent that needs a person, and not its failure."""
    asks = subtask["status"] == "requires_human" and subtask["next_move"] is None
    return subtask["error_message"] if asks else None


def answers_for(subtask: SubtaskState, given: Sequence[Answered]) -> tuple[PersonsAnswer, ...]:
    """Return the answers to what the agents of a subtask asked, in their order; a pure function.

    Args:
        subtask: The subtask as it is tried.
        given: All answers of the run. What people said about failures and undoings is left out.
    """
    found: list[Any] = [each for each in given if each["task_id"] == subtask["task_id"] and "asked" in each]
    now = digest(subtask["input_data"]) if found else ""
    return tuple(
        PersonsAnswer(
            each["asked"], each["decision"], each["message"], each["by"], each["at"], each["input_digest"] == now
        )
        for each in found
    )
