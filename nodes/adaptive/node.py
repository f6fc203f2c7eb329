"""The form of the nodes. They take any state that holds the keys they need, so that they fit other graphs, too."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from ...state.adaptive import AdaptiveState

__all__ = ["AsyncNode"]


class AsyncNode(Protocol):
    """A node: it gets the state and returns the part of it that changes."""

    def __call__(self, state: Any) -> Coroutine[Any, Any, AdaptiveState]:
        """Do the step."""
        ...
