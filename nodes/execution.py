"""The node that carries a decision out, through an action that the user gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from ..state.review import ReviewState
from ..state.values import JsonValue
from .effects import OnUncertain, once
from .step import AsyncNode, Clock, logged, utcnow

__all__ = ["Action", "execution", "record"]

Action = Callable[[ReviewState], "JsonValue | Awaitable[JsonValue]"]
"""An action gets the state, people's edits applied, and returns something JSON-safe."""


def record(state: ReviewState) -> JsonValue:
    """Do nothing but record what was decided: the default action."""
    return {"recorded": cast("dict[str, JsonValue]", dict(state["analysis_results"]))}


def execution(action: Action = record, *, on_uncertain: OnUncertain = "fail", clock: Clock = utcnow) -> AsyncNode:
    """Make a node that calls the action.

    The action is an effect (`once`): one that finished is not repeated when the process dies or a later step fails. If a
    process dies within it, the run fails with EffectUncertain, unless `on_uncertain` says otherwise.

    Args:
        action: What to do; plain or async. Its result is stored as `execution_result`.
        on_uncertain: What to do when a process died in the action; see `once`.
        clock: The time, for the execution log.

    Returns:
        A node that writes `execution_result`.
    """

    async def execute(state: ReviewState) -> ReviewState:
        started = clock()
        # recording is part of the state and no effect; everything else is done once
        result = record(state) if action is record else await once("execute", action, state, on_uncertain=on_uncertain)
        return {"execution_result": result, **logged("execute", started, clock())}

    return execute
