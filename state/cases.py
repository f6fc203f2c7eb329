"""Past cases: what a run leaves to later ones, and what may be left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import InvalidInput
from .values import JsonValue, canonical_json, json_problem

__all__ = ["MOST_BYTES", "MOST_CASES", "Case", "NewCase", "check_about", "check_case", "check_count", "check_kind"]

MOST_BYTES: Final = 100_000
"""The longest text of a case or a search, in UTF-8, and the longest outcome, in JSON. A case is a description, no file."""

MOST_CASES: Final = 50
"""The most cases that a search returns."""

_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to be remembered.

    Args:
        kind: What kind of case it is; searches name it.
        text: What it was about; it is found again by this.
        outcome: What came of it, JSON-safe.
        key: Tells the cases of one node in one run apart; empty for the only one.
    """

    kind: str
    text: str
    outcome: JsonValue = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A past case.

    Args:
        id: Its id.
        kind: What kind of case it is.
        thread_id: The run that it comes from.
        text: What it was about.
        outcome: What came of it.
        at: When it was remembered.
        score: How much it is like what was asked, above 0 and at most 1; None in a listing.
    """

    id: str
    kind: str
    thread_id: str
    text: str
    outcome: Any
    at: datetime
    score: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, as a state keeps it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "thread_id": self.thread_id,
            "text": self.text,
            "outcome": self.outcome,
            "at": self.at.isoformat(),
            "score": self.score,
        }


def check_kind(kind: Any) -> None:
    """Refuse what cannot name a kind of cases.

    Raises:
        InvalidInput: It is not 1-100 printable characters.
    """
    if not (isinstance(kind, str) and 0 < len(kind) <= _LONGEST_NAME and kind.isprintable() and kind.strip()):
        raise InvalidInput(
            f"The kind of a case is a name of 1-{_LONGEST_NAME} printable characters, not {_short(kind)}."
        )


def check_about(text: Any) -> None:
    """Refuse what nobody can search for.

    Raises:
        InvalidInput: It is no text, empty, too long, or holds what PostgreSQL cannot.
    """
    _check_text(text, "What to look for (`about`)")


def check_count(limit: Any, min_score: Any) -> None:
    """Refuse a number of cases, or a least score, out of range.

    Raises:
        InvalidInput: It is.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_CASES:
        raise InvalidInput(f"limit must be between 1 and {MOST_CASES}, not {_short(limit)}.")
    if isinstance(min_score, bool) or not isinstance(min_score, int | float) or not 0 <= min_score <= 1:
        raise InvalidInput(f"min_score must be between 0 and 1, not {_short(min_score)}.")


def check_case(case: NewCase) -> None:
    """Refuse a case that cannot be remembered.

    Raises:
        InvalidInput: Its kind or key is no name; its text is none, empty or too long; its outcome is not JSON-safe or too
            large; or one of them holds what PostgreSQL cannot.
    """
    check_kind(case.kind)
    key: Any = case.key
    if not isinstance(key, str) or len(key) > _LONGEST_NAME or json_problem(key):
        raise InvalidInput(f"The key of a case is a text of at most {_LONGEST_NAME} characters, not {_short(key)}.")
    _check_text(case.text, "The text of a case")
    if problem := json_problem(case.outcome, "outcome"):
        raise InvalidInput(f"The case cannot be remembered: {problem}. Give an outcome of JSON-safe values.")
    if (size := len(canonical_json(case.outcome).encode())) > MOST_BYTES:
        raise InvalidInput(
            f"The outcome of a case has {size:,} bytes; at most {MOST_BYTES:,} are remembered. Shorten it."
        )


def _check_text(text: Any, what: str) -> None:
    if not isinstance(text, str):
        raise InvalidInput(f"{what} must be a text, not a {type(text).__name__}.")
    if problem := json_problem(text, what):
        raise InvalidInput(f"{problem}.")
    if not text.strip():
        raise InvalidInput(f"{what} is empty.")
    if (size := len(text.encode())) > MOST_BYTES:
        raise InvalidInput(f"{what} has {size:,} bytes; at most {MOST_BYTES:,} are taken. Give a summary of it.")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
