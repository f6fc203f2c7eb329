"""The node that carries a decision out, through an action that the user gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, cast

from ..errors import DigestMismatch
from ..state.questions import action_digest
from ..state.review import ReviewState
from ..state.values import JsonValue
from .effects import OnUncertain, once
from .human_review import ACTION
from .step import AsyncNode, Clock, logged, utcnow

__all__ = ["MISMATCH", "Action", "execution", "record"]

Action = Callable[[ReviewState], "JsonValue | Awaitable[JsonValue]"]
"""An action gets the state, people's edits applied, and returns something JSON-safe."""

MISMATCH: Final = "digest mismatch"
"""What the execution log says of an execution that was not done, because people had approved something else."""


def record(state: ReviewState) -> JsonValue:
    """Do nothing but record what was decided: the default action."""
    return {"recorded": cast("dict[str, JsonValue]", dict(state["analysis_results"]))}


def execution(
    action: Action = record, *, on_uncertain: OnUncertain = "fail", max_retries: int = 2, clock: Clock = utcnow
) -> AsyncNode:
    """Make a node that calls the action.

    Where people have approved, the SHA-256 of what would be executed is held against that of what they approved. When it
    was changed in between, the action is not called; the mismatch is recorded, and people are asked again.

    The action is an effect (`once`): one that finished is not repeated when the process dies or a later step fails. If a
    process dies within it, the run fails with EffectUncertain, unless `on_uncertain` says otherwise.

    Args:
        action: What to do; plain or async. Its result is stored as `execution_result`.
        on_uncertain: What to do when a process died in the action; see `once`.
        max_retries: How often people are asked again after a mismatch; one more fails the run with DigestMismatch.
        clock: The time, for the execution log.

    Returns:
        A node that writes `execution_result`; or, after a mismatch, `digest_mismatches`, and `digest mismatch` as the
        status of its step.
    """

    async def execute(state: ReviewState) -> ReviewState:
        started = clock()
        approved = state.get("approved_digest")
        found = action_digest(ACTION, dict(state["analysis_results"]))
        if approved is not None and approved != found:
            return _mismatch(state, found, max_retries, started, clock)
        # recording is part of the state and no effect; everything else is done once
        result = record(state) if action is record else await once("execute", action, state, on_uncertain=on_uncertain)
        mismatches = state.get("digest_mismatches", 0)
        return {"execution_result": result, "digest_mismatches": mismatches, **logged("execute", started, clock())}

    return execute


def _mismatch(state: ReviewState, found: str, max_retries: int, started: datetime, clock: Clock) -> ReviewState:
    count = state.get("digest_mismatches", 0) + 1
    if count > max_retries:
        raise DigestMismatch(
            f"What would be executed (SHA-256 {found}) is not what people approved ({state.get('approved_digest')}), for "
            f"the {count}. time. Find what changes `analysis_results` between human_review and execute."
        )
    return {"digest_mismatches": count, "approved_digest": None, **logged("execute", started, clock(), MISMATCH)}
