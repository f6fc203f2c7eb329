"""The form of a council's nodes. They take any state that holds the keys they need, so that they fit other graphs, too."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from ...state.council import CouncilState

__all__ = ["AsyncCouncilNode", "CouncilNode"]


class CouncilNode(Protocol):
    """A node: it gets the state and returns the part of it that changes."""

    def __call__(self, state: Any) -> CouncilState:
        """Do the step."""
        ...


class AsyncCouncilNode(Protocol):
    """A node that waits for something."""

    def __call__(self, state: Any) -> Coroutine[Any, Any, CouncilState]:
        """Do the step."""
        ...
