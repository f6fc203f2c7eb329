"""The node that carries a decision out, through an action that the user gives."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import cast

from ..state.review import ReviewState
from ..state.values import JsonValue
from .step import AsyncNode, Clock, logged, utcnow

__all__ = ["Action", "execution", "record"]

Action = Callable[[ReviewState], "JsonValue | Awaitable[JsonValue]"]
"""An action gets the state, people's edits applied, and returns something JSON-safe."""


def record(state: ReviewState) -> JsonValue:
    """Do nothing but record what was decided: the default action."""
    return {"recorded": cast("dict[str, JsonValue]", dict(state["analysis_results"]))}


def execution(action: Action = record, *, clock: Clock = utcnow) -> AsyncNode:
    """Make a node that calls the action.

    Until effects are guarded (`nodes/effects.py`, a later issue) an action is repeated when the process dies in it.

    Args:
        action: What to do; plain or async. Its result is stored as `execution_result`.
        clock: The time, for the execution log.

    Returns:
        A node that writes `execution_result`.
    """

    async def execute(state: ReviewState) -> ReviewState:
        started = clock()
        outcome = action(state)
        result = await outcome if inspect.isawaitable(outcome) else outcome
        return {"execution_result": result, **logged("execute", started, clock())}

    return execute
