"""What a user's function may raise: what ends the node, what is a failure of its own, and how that is put into words."""

from __future__ import annotations

from typing import Any, Final

from langgraph.errors import GraphBubbleUp

from ...errors import AdjournError, BudgetExceeded, LeaseLost, StorageUnavailable
from ...state.values import storable_text

__all__ = ["FAILS", "GIVES_WAY", "in_words", "short_text"]

# the run's own trouble, and no failure of a strategy: the node ends, and the attempt is made again when the run goes on
GIVES_WAY: Final = (BudgetExceeded, LeaseLost, StorageUnavailable, GraphBubbleUp)
FAILS: Final = (Exception, SystemExit)
"""What a user's function may raise; all of it is its own affair."""
_MOST_CHARACTERS: Final = 500


def in_words(problem: BaseException) -> str:
    """Return an error in words, not long, and as PostgreSQL can hold it."""
    said = short_text(problem)
    if isinstance(problem, AdjournError):  # our own words need no name of a class before them
        return said
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


def short_text(value: Any) -> str:
    """Return anything as a text that is not long, and that PostgreSQL can hold."""
    return storable_text(str(value))[:_MOST_CHARACTERS]
