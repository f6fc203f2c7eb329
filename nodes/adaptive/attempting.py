"""The node that attempts the task with the current strategy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import orjson
from typing_extensions import TypedDict

from ...state.adaptive import AdaptiveState, AttemptState
from ...state.values import json_problem
from ..arguments import check_count, check_seconds, one_of
from ..effects import once, remembers_effects
from ..here import teller
from ..step import Clock, utcnow
from .checking import check_constraints
from .failing import FAILS, GIVES_WAY, in_words, short_text
from .memory import check_memory
from .node import AsyncNode
from .strategies import Output, Strategy, StrategyLike, read_strategies, task_of

__all__ = ["MAX_OUTPUT_BYTES", "attempting"]

MAX_OUTPUT_BYTES: Final = 1_000_000
"""The largest result of an attempt, in bytes of JSON."""


_MOST_FAILURES: Final = 50


class _Made(TypedDict):
    """An attempt and its result, as it is recorded."""

    attempt: AttemptState
    result: Any


def attempting(
    strategies: Mapping[str, StrategyLike],
    *,
    timeout: float | None = None,
    memory: str | None = "adaptive",
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    clock: Clock = utcnow,
) -> AsyncNode:
    """Make a node that attempts the task with `current_strategy`.

    Guarantees: an attempt that has ended is recorded before anything else happens (`once`), and is never made again, by any
    process. One that a process died in is made again, with the same `idempotency_key`, except for parts that were kept
    (`Work.keep_parts`); what its functions do to the world stands under `once` of their own. A strategy's failure is a
    fact of its attempt, and not of the node.

    Args:
        strategies: Name → strategy.
        timeout: Seconds after which an attempt has failed, where the run's `resource_constraints` do not say; None for
            no limit.
        memory: The name under which good answers are kept, for `cached_responses`; None for no memory.
        max_output_bytes: The largest result, in bytes of JSON; a larger one is a failure.
        clock: The time.

    Returns:
        A node that writes the `result` and adds to `attempts`. It raises BudgetExceeded, LeaseLost and
        StorageUnavailable, which are the run's own trouble, and InvalidInput when the strategy does not exist any more or
        the run's `resource_constraints` do not fit.

    Raises:
        InvalidInput: There are no strategies, or `timeout` is no number above 0.
    """
    known = read_strategies(strategies)
    check_count("max_output_bytes", max_output_bytes, 1)
    if timeout is not None:
        check_seconds("timeout", timeout)
    check_memory(memory)

    async def attempt(state: Any) -> AdaptiveState:
        number, name = len(state.get("attempts") or []) + 1, state["current_strategy"]
        one_of("strategy", name, known)
        teller("adaptive")("attempt", number=number, strategy=name)
        limit = check_constraints(state.get("resource_constraints") or {}).get("timeout_seconds", timeout)

        async def make(idempotency_key: str = "") -> _Made:
            task = task_of(state, number, memory=memory, idempotency_key=idempotency_key)
            started, begun = clock().isoformat(), time.monotonic()
            output, error = await _tried(known[name], task, limit, max_output_bytes)
            seconds = round(time.monotonic() - begun + output.seconds_before, 6)
            return {"attempt": _attempted(number, name, started, seconds, output, error), "result": output.result}

        # no arguments to compare: everything that an attempt is made of stands in the state
        made = await (once("attempt", make, key=str(number), on_uncertain="retry") if remembers_effects() else make())
        _told(made["attempt"])
        return {
            "attempts": [*(state.get("attempts") or []), made["attempt"]],
            "result": made["result"],
            "current_step": "attempt",
        }

    return attempt


def _attempted(
    number: int, strategy: str, started: str, seconds: float, output: Output, error: str | None
) -> AttemptState:
    return {
        "number": number,
        "strategy": strategy,
        "start_time": started,
        "seconds": seconds,
        "parts": output.parts,
        "failed": len(output.failures),
        "failures": _first(output.failures),
        "error": error,
        "kept": output.kept,
        "performance_metrics": {},
        "poor": [],
        "score": None,
    }


async def _tried(strategy: Strategy, task: Any, limit: float | None, most_bytes: int) -> tuple[Output, str | None]:
    """Return what came out and None, or nothing and why."""
    if strategy.asks:
        return Output(None), "this strategy asks a person, and no node of this graph does; see the graph of `adaptive`"
    patience = asyncio.timeout(limit)
    try:
        async with patience:
            if (refusal := await strategy.refuses(task)) is not None:  # the caller, or a person, named it
                return Output(None), f"not available: {refusal}"
            output = await strategy.attempt(task)
    except GIVES_WAY:
        raise
    except TimeoutError as problem:
        late = f"there was no result after {limit:g} seconds" if patience.expired() else in_words(problem)
        return Output(None), late
    except asyncio.CancelledError as problem:
        task_here = asyncio.current_task()
        if task_here is None or task_here.cancelling():  # the node is being stopped, and not only what it waited for
            raise
        return Output(None), in_words(problem)
    except FAILS as problem:  # a strategy is the user's, and so are its errors
        return Output(None), in_words(problem)
    why = _unusable(output.result, most_bytes)
    return (output, None) if why is None else (Output(None), why)


def _unusable(result: Any, most_bytes: int) -> str | None:
    """Say why a result cannot be kept, or None."""
    if problem := json_problem(result, "its result"):
        return f"{problem}; a strategy returns JSON-safe values"
    size = len(orjson.dumps(result))
    if size > most_bytes:
        return f"its result has {size:,} bytes of JSON, more than {most_bytes:,}; store large content elsewhere"
    return None


def _first(failures: Mapping[Any, Any]) -> dict[str, str]:
    """Return the first failures, in words that are not long."""
    return {short_text(part): short_text(why) for part, why in islice(failures.items(), _MOST_FAILURES)}


def _told(attempt: AttemptState) -> None:
    names = ("number", "strategy", "seconds", "parts", "failed", "error")
    teller("adaptive")("attempted", **{name: value for name, value in attempt.items() if name in names})
