"""Effects: what a node does to the world outside, once.

    charge = await once("charge", pay, order_id, amount)     # inside a node

A node runs again when its process died, when it failed and is retried, and with each answer to a question that it asks.
What stands under `once` does not: its result is stored, and given back when the node comes there again.

The place of an effect is the thread, the task (with every task above it) and the name, so siblings started by `Send` and
repeated subgraphs have effects of their own. Two uses of one name in one task need `key=`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, TypeVar, cast, overload

from ..errors import RunFailed
from .effect_doing import do_once, do_once_in_thread, place_here
from .effect_port import (
    Begun,
    Effect,
    EffectPort,
    OnUncertain,
    PastEffect,
    PastRun,
    Place,
    effect_port,
    effects_in,
    install_effects,
    remembers_effects,
)

__all__ = [
    "Begun",
    "Effect",
    "EffectPort",
    "OnUncertain",
    "PastEffect",
    "PastRun",
    "Place",
    "effects_in",
    "install_effects",
    "once",
    "once_for",
    "once_sync",
    "past_run",
    "remembers_effects",
]

Result = TypeVar("Result")


@overload
def once(
    name: str,
    function: Callable[..., Awaitable[Result]],
    /,
    *args: Any,
    key: str | None = None,
    on_uncertain: OnUncertain = "fail",
    max_attempts: int | None = None,
    record_start: bool = True,
    **kwargs: Any,
) -> Coroutine[Any, Any, Result]: ...


@overload
def once(
    name: str,
    function: Callable[..., Result],
    /,
    *args: Any,
    key: str | None = None,
    on_uncertain: OnUncertain = "fail",
    max_attempts: int | None = None,
    record_start: bool = True,
    **kwargs: Any,
) -> Coroutine[Any, Any, Result]: ...


@overload
def once(
    name: str,
    /,
    *,
    key: str | None = None,
    on_uncertain: OnUncertain = "fail",
    max_attempts: int | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Coroutine[Any, Any, Any]]]: ...


def once(
    name: str,
    function: Callable[..., Any] | None = None,
    /,
    *args: Any,
    key: str | None = None,
    on_uncertain: OnUncertain = "fail",
    max_attempts: int | None = None,
    record_start: bool = True,
    **kwargs: Any,
) -> Any:
    """Do something to the world outside once, inside an async node; without a function, a decorator.

    The result is stored and given back when the node runs again. A call that raised is stored as failed and done again
    when its node is. A process that dies between the start and the record leaves it uncertain whether the effect happened:
    then `on_uncertain` decides.

    Args:
        name: Names the effect within its task.
        function: What to do; plain (it runs in a thread) or async. If it has a parameter `idempotency_key`, it gets one.
        *args: Its arguments, JSON-safe or of types that the graph may store; other arguments under one name are refused.
        key: Tells uses of one name in one task apart, such as an order's number.
        on_uncertain: `fail` (EffectUncertain), `retry` (when the callee knows idempotency keys), or `ask` a person.
        max_attempts: How often a failing call may be started.
        record_start: False saves one of the two commits that an effect costs: its end alone is recorded. Then nobody can
            tell one that a process died in from one that never began, so it must be one to `retry`. That the lease is held
            is looked at all the same before anything is done.
        **kwargs: More arguments for the function.

    Returns:
        The function's result, from now or from before; it must be JSON-safe or of a type that the graph may store.

    Raises:
        EffectMismatch, EffectUncertain, RunFailed, LeaseLost: See `EffectPort.begin`.
        ValueError: `record_start=False` without `on_uncertain="retry"`.

    Where no engine drives (a bare `graph.invoke`), the function is called and a warning is logged.
    """
    options = {"key": key, "on_uncertain": on_uncertain, "max_attempts": max_attempts, "record_start": record_start}
    if not record_start and on_uncertain != "retry":
        raise ValueError("record_start=False leaves no trace of a start, so only on_uncertain='retry' goes with it")
    if function is None:

        def decorate(wrapped: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
            @functools.wraps(wrapped)
            def called(*inner: Any, **named: Any) -> Coroutine[Any, Any, Any]:
                return do_once(None, name, wrapped, inner, named, options)

            return called

        return decorate
    return do_once(None, name, function, args, kwargs, options)


async def once_for(
    scope: str,
    name: str,
    function: Callable[..., Any],
    /,
    *args: Any,
    key: str | None = None,
    on_uncertain: Literal["fail", "retry"] = "fail",
    **kwargs: Any,
) -> Any:
    """Do something once for a scope of the caller's, outside any node; otherwise as `once`.

    Args:
        scope: Whatever identifies the occasion, such as `reminder:<review id>`.
        name: Names the effect within its scope.
        function: What to do.
        *args: Its arguments.
        key: Tells uses of one name apart.
        on_uncertain: `fail` (EffectUncertain), or `retry`. No lease keeps callers apart here: with `retry` the caller sees
            to it that no two of them are at work on one effect at once.
        **kwargs: More arguments for the function.
    """
    options = {"key": key, "on_uncertain": on_uncertain, "max_attempts": None}
    return await do_once(Place(scope), name, function, args, kwargs, options)


def once_sync(
    name: str,
    function: Callable[..., Result],
    /,
    *args: Any,
    key: str | None = None,
    on_uncertain: OnUncertain = "fail",
    max_attempts: int | None = None,
    **kwargs: Any,
) -> Result:
    """Do what `once` does inside a plain node, which LangGraph runs in a thread; the function is called in that thread.

    Raises:
        RuntimeError: It was called in the event loop's own thread; use `await once(…)` there.
    """
    options = {"key": key, "on_uncertain": on_uncertain, "max_attempts": max_attempts}
    return cast(Result, do_once_in_thread(name, function, args, kwargs, options))


async def past_run(thread_id: str) -> PastRun | None:
    """Return what another run of the same tenant did, inside a node of the run that undoes it.

    Args:
        thread_id: The other run.

    Returns:
        Where it stands and its effects; None while a process may still be at work on it.

    Raises:
        RunFailed: There is no such run for this one's tenant, or no engine drives this graph.
    """
    port = effect_port()
    if port is None:
        raise RunFailed("Only an engine knows what another run did.")
    return await port.past(thread_id, asked_by=place_here().scope)
