"""Effects: what a node does to the world outside, once.

    charge = await once("charge", pay, order_id, amount)     # inside a node

A node runs again when its process died, when it failed and is retried, and with each answer to a question that it asks.
What stands under `once` does not: its result is stored, and given back when the node comes there again.

The place of an effect is the thread, the task (with every task above it) and the name, so siblings started by `Send` and
repeated subgraphs have effects of their own. Two uses of one name in one task need `key=`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, overload

import structlog
from langgraph.config import get_config
from langgraph.runtime import get_runtime
from langgraph.types import interrupt

from ..errors import RunFailed
from ..state.questions import question, read_answer

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
OnUncertain = Literal["fail", "retry", "ask"]

_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an effect stands.

    Args:
        scope: The thread, or what `once_for` was given.
        namespace: The task, with the tasks above it; empty outside nodes.
        activation: Tells the runs of a task apart within one drive; not stored.
    """

    scope: str
    namespace: str = ""
    activation: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect.

    Args:
        place: Where it stands.
        name: Its name.
        key: Tells uses of one name in one task apart; empty for the only one.
        arguments: What the function is called with; compared, not part of the identity.
        on_uncertain: What to do when a process died between the start and the record.
        max_attempts: How often a failing effect may be started; None for as often as its node runs.
        record_start: Whether its start is recorded, and not its end alone.
    """

    place: Place
    name: str
    key: str
    arguments: tuple[Any, ...]
    on_uncertain: OnUncertain = "fail"
    max_attempts: int | None = None
    record_start: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known when an effect is about to be done.

    Args:
        status: `go`: do it; `done`: it was done, here is its result; `ask`: nobody knows, ask a person.
        result: The stored result.
        idempotency_key: The same each time this effect is tried; for callees that know such keys.
    """

    status: Literal["go", "done", "ask"]
    result: Any
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class PastEffect:
    """An effect of a run that is over.

    Args:
        name: Its name.
        key: Its key.
        status: `done`; `failed`; or `started`, when nobody knows whether it happened.
        result: Its result, when it is done and that could be stored.
    """

    name: str
    key: str
    status: Literal["started", "done", "failed"]
    result: Any


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a run did that is over.

    Args:
        status: Where it stands.
        for_child: Whether it was a child run, and is asked for by one.
        effects: Its effects, in the order in which they began.
    """

    status: str
    for_child: bool
    effects: list[PastEffect]


class EffectPort(Protocol):
    """What remembers effects; the engine brings one that writes to its database. `loop` is the event loop it lives in."""

    loop: asyncio.AbstractEventLoop

    async def begin(self, effect: Effect, *, verdict: Literal["happened", "did not"] | None = None) -> Begun:
        """Record that an effect is about to be done, or find that it was.

        Args:
            effect: The effect.
            verdict: What a person said about an uncertain one.

        Raises:
            EffectMismatch: It was done with other arguments, or its name is used twice in one task.
            EffectUncertain: A process died between its start and its record, and nobody may be asked.
            RunFailed: It failed as often as it may.
            LeaseLost: Another process drives the thread now; nothing may be done here any more.
        """
        ...

    async def end(self, effect: Effect, *, result: Any = None, error: BaseException | None = None) -> None:
        """Record how it went.

        Raises:
            InvalidInput: The result cannot be stored; that it was done is recorded all the same.
        """
        ...

    async def past(self, thread_id: str, *, asked_by: str) -> PastRun | None:
        """Return what a run did; see `past_run`."""
        ...


_current: ContextVar[EffectPort | None] = ContextVar("adjourn_effects", default=None)


@contextmanager
def effects_in(port: EffectPort | None) -> Iterator[None]:
    """Let the effects of everything that runs inside be remembered by a port; with None they are not."""
    token = _current.set(port)
    try:
        yield
    finally:
        _current.reset(token)


_fallback: list[Callable[[], EffectPort | None]] = []


def install_effects(port_here: Callable[[], EffectPort | None]) -> None:
    """Find the port of a node by a function where nothing can be put around its drive; `effects_in` comes first.

    Args:
        port_here: Called in the node, or in the thread that runs it; None when it does not know the node.
    """
    _fallback[:] = [port_here]


def _port() -> EffectPort | None:
    port = _current.get()
    return port if port is not None or not _fallback else _fallback[0]()


def remembers_effects() -> bool:
    """Say whether an engine remembers effects here; in a bare `graph.invoke` none does."""
    return _port() is not None


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
                return _once(None, name, wrapped, inner, named, options)

            return called

        return decorate
    return _once(None, name, function, args, kwargs, options)


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
    return await _once(Place(scope), name, function, args, kwargs, options)


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
    port = _port()
    if port is None:
        _warn(name)
        return function(*args, **kwargs)
    effect = _effect(_here(), name, args, kwargs, options)

    def wait(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, port.loop).result()

    begun = wait(port.begin(effect))
    if begun.status == "ask":
        begun = wait(port.begin(effect, verdict=_ask(effect)))
    if begun.status == "done":
        found: Result = begun.result
        return found
    try:
        result = function(*args, **kwargs, **_idempotency(function, begun))
    except Exception as error:
        wait(port.end(effect, error=error))
        raise
    wait(port.end(effect, result=result))
    return result


async def past_run(thread_id: str) -> PastRun | None:
    """Return what another run of the same tenant did, inside a node of the run that undoes it.

    Args:
        thread_id: The other run.

    Returns:
        Where it stands and its effects; None while a process may still be at work on it.

    Raises:
        RunFailed: There is no such run for this one's tenant, or no engine drives this graph.
    """
    port = _port()
    if port is None:
        raise RunFailed("Only an engine knows what another run did.")
    return await port.past(thread_id, asked_by=_here().scope)


async def _once(
    place: Place | None, name: str, function: Callable[..., Any], args: Any, kwargs: Any, options: dict[str, Any]
) -> Any:
    port = _port()
    if port is None:
        _warn(name)
        return await _call(function, args, kwargs)
    effect = _effect(place or _here(), name, args, kwargs, options)
    begun = await port.begin(effect)
    if begun.status == "ask":
        begun = await port.begin(effect, verdict=_ask(effect))
    if begun.status == "done":
        return begun.result
    try:
        result = await _call(function, args, {**kwargs, **_idempotency(function, begun)})
    except Exception as error:
        await port.end(effect, error=error)
        raise
    await port.end(effect, result=result)
    return result


async def _call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    result = await asyncio.to_thread(function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def _effect(place: Place, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Effect:
    arguments = (list(args), dict(kwargs))
    return Effect(
        place,
        name,
        options["key"] or "",
        arguments,
        options["on_uncertain"],
        options["max_attempts"],
        options.get("record_start", True),
    )


def _here() -> Place:
    info = get_runtime().execution_info
    if info is None or info.thread_id is None:  # pragma: no cover - a port is only there while an engine drives
        raise RuntimeError("once() was called outside a node; use once_for(scope, …) there")
    scratchpad = get_config()["configurable"].get("__pregel_scratchpad")
    return Place(info.thread_id, info.checkpoint_ns, (scratchpad, info.node_attempt))


def _idempotency(function: Callable[..., Any], begun: Begun) -> dict[str, str]:
    try:
        wanted = "idempotency_key" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        wanted = False
    return {"idempotency_key": begun.idempotency_key} if wanted else {}


def _ask(effect: Effect) -> Literal["happened", "did not"]:
    answer = read_answer(
        interrupt(
            question(
                "confirm_effect",
                {"effect": effect.name, "key": effect.key},
                f"A process died while it did {effect.name!r}, and nobody knows whether it happened. Find out, then "
                "approve (it happened; go on) or reject (it did not; do it now).",
                allowed=("approve", "reject"),
            )
        )
    )
    return "happened" if answer["kind"] == "approve" else "did not"


def _warn(name: str) -> None:
    _log.warning("an effect is not guarded: no engine drives this graph", effect=name)
