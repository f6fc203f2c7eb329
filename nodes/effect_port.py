"""What effects are, and the port to what remembers them; the engine brings one that writes to its database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = [
    "Begun",
    "Effect",
    "EffectPort",
    "OnUncertain",
    "PastEffect",
    "PastRun",
    "Place",
    "effect_port",
    "effects_in",
    "install_effects",
    "remembers_effects",
]

OnUncertain = Literal["fail", "retry", "ask"]


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


def effect_port() -> EffectPort | None:
    """Return what remembers effects here; None where no engine drives."""
    port = _current.get()
    return port if port is not None or not _fallback else _fallback[0]()


def remembers_effects() -> bool:
    """Say whether an engine remembers effects here; in a bare `graph.invoke` none does."""
    return effect_port() is not None
