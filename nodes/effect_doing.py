"""How an effect is done: asked for at the port, done, and its end recorded."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Literal

import structlog
from langgraph.config import get_config
from langgraph.runtime import get_runtime
from langgraph.types import interrupt

from ..state.questions import question, read_answer
from .effect_port import Begun, Effect, Place, effect_port
from .plain import waiter

__all__ = ["do_once", "do_once_in_thread", "place_here"]

_log = structlog.get_logger("adjourn")


async def do_once(
    place: Place | None, name: str, function: Callable[..., Any], args: Any, kwargs: Any, options: dict[str, Any]
) -> Any:
    """Do an effect, or find its result; see `effects.once`.

    Args:
        place: Where it stands; None for the running task.
        name: Its name.
        function: What is done.
        args: The function's arguments.
        kwargs: More of them.
        options: `key`, `on_uncertain`, `max_attempts` and perhaps `record_start`.
    """
    port = effect_port()
    if port is None:
        _warn(name)
        return await _call(function, args, kwargs)
    effect = _effect(place or place_here(), name, args, kwargs, options)
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


def do_once_in_thread(name: str, function: Callable[..., Any], args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
    """Do what `do_once` does for the running task, in the thread of a plain node; the function is called there."""
    port = effect_port()
    if port is None:
        _warn(name)
        return function(*args, **kwargs)
    wait = waiter(port.loop, "once")
    effect = _effect(place_here(), name, args, kwargs, options)
    begun = wait(port.begin(effect))
    if begun.status == "ask":
        begun = wait(port.begin(effect, verdict=_ask(effect)))
    if begun.status == "done":
        return begun.result
    try:
        result = function(*args, **kwargs, **_idempotency(function, begun))
    except Exception as error:
        wait(port.end(effect, error=error))
        raise
    wait(port.end(effect, result=result))
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


def place_here() -> Place:
    """Return where an effect of the running task stands."""
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
