"""Past cases: a node that puts similar ones into the state, and one that leaves a case to later runs.

    graph.add_node("recall", recall("incident", about="alert", into="similar_cases"))
    graph.add_node("remember", remember("incident", text="alert", outcome="report"))

Cases are kept in the engine's database, by tenant and kind. A run leaves a case once, however often the node runs; its own
cases are not recalled in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

from langgraph.config import get_config

from ..errors import ConfigurationError, InvalidInput
from ..state.cases import Case, NewCase, check_count, check_kind
from .effect_port import Place

__all__ = ["CaseNode", "CasePort", "Part", "cases_in", "install_cases", "recall", "remember"]

Part: TypeAlias = str | Callable[[Any], Any]
"""A part of a state: the name of a key, or a function of the state."""


class CaseNode(Protocol):
    """A node that recalls or remembers, for graphs that an engine drives."""

    def __call__(self, state: Any) -> Awaitable[dict[str, Any]]:
        """Do the step."""
        ...


class CasePort(Protocol):
    """What keeps cases; the engine brings one for each drive. `loop` is the event loop it lives in."""

    loop: asyncio.AbstractEventLoop

    async def recall(self, place: Place, kind: str, about: str, *, limit: int, min_score: float) -> list[Case]:
        """Return the cases of other runs of this tenant that are most like a text, best first.

        Raises:
            InvalidInput: The text is empty, too long, or holds what PostgreSQL cannot.
            ConfigurationError: An embedding model is set and cannot be used, or pgvector is missing.
            StorageUnavailable: The database cannot be reached.
        """
        ...

    async def remember(self, place: Place, case: NewCase) -> bool:
        """Remember a case of this run, once for the node, the kind and the key; say whether it is new.

        Raises:
            InvalidInput: It cannot be remembered; nothing was stored.
            ConfigurationError: An embedding model is set and cannot be used, or pgvector is missing.
            LeaseLost: Another process drives the run now; nothing was stored.
            StorageUnavailable: The database cannot be reached.
        """
        ...


_current: ContextVar[CasePort | None] = ContextVar("adjourn_cases", default=None)


@contextmanager
def cases_in(port: CasePort | None) -> Iterator[None]:
    """Let everything that runs inside recall and remember by a port; with None it cannot."""
    token = _current.set(port)
    try:
        yield
    finally:
        _current.reset(token)


_fallback: list[Callable[[], CasePort | None]] = []


def install_cases(port_here: Callable[[], CasePort | None]) -> None:
    """Find the port of a node by a function where nothing can be put around its drive; `cases_in` comes first.

    Args:
        port_here: Called in the node; None when it does not know the node.
    """
    _fallback[:] = [port_here]


def recall(
    kind: str,
    *,
    about: Part = "input_text",
    into: str = "similar_cases",
    limit: int = 5,
    min_score: float = 0.0,
) -> CaseNode:
    """Make a node that puts the past cases which are most like this one into the state.

    They are found by their words (Okapi BM25 over stems) and, where an embedding model is set, by their meaning, too. Cases
    that this run has left itself are not among them.

    Args:
        kind: Which kind of cases; 1-100 printable characters.
        about: The text to compare with: a key of the state, or a function of the state.
        into: The key of the state that gets them: a list of dictionaries, best first, each with `id`, `kind`,
            `thread_id`, `text`, `outcome`, `at` (ISO 8601) and `score` (above 0, at most 1); empty when there is none.
        limit: The most (1-50).
        min_score: The least score (0-1). By words 1 means that a case has all words of the text; by meaning it is the
            cosine of the angle between the vectors.

    Returns:
        An async node. When it runs it raises

        - InvalidInput: the text is missing, empty, longer than 100,000 bytes, or not storable;
        - ConfigurationError: no engine drives the graph; or an embedding model is set and cannot be used, or pgvector is
          missing;
        - whatever error the provider of the embedding model raises, so that retry policies can tell these apart.

    Raises:
        InvalidInput: The kind or a number does not fit.
    """
    check_kind(kind)
    check_count(limit, min_score)

    async def recall_cases(state: Any) -> dict[str, Any]:
        port = _port("recall()")
        searching = port.recall(_here(), kind, part(state, about), limit=limit, min_score=min_score)
        found: list[Case] = await _at_home(port, searching)
        return {into: [case.as_json() for case in found]}

    return recall_cases


def remember(kind: str, *, text: Part = "input_text", outcome: Part | None = None, key: Part | None = None) -> CaseNode:
    """Make a node that leaves this run as a case to later ones.

    It is written once for the run, the node, the kind and the key, in a transaction of its own: a node that runs again,
    because it was retried or its process died, changes nothing. Nothing is stored by a process that has lost the run.
    Erasing the run erases its cases.

    Args:
        kind: What kind of case it is; 1-100 printable characters.
        text: What it was about, and is found by: a key of the state, or a function of the state.
        outcome: What came of it, JSON-safe; likewise.
        key: A text that tells the cases of one node apart, where it leaves several (in a loop, or started by `Send`): a
            function of the state, or a key of the state. Without it the first case counts.

    Returns:
        An async node that changes nothing in the state. When it runs it raises

        - InvalidInput: the text is missing, empty or longer than 100,000 bytes, the outcome is not JSON-safe or too
          large; nothing was stored;
        - ConfigurationError, and errors of the provider of the embedding model: as in `recall`;
        - LeaseLost: another process drives the run now.

    Raises:
        InvalidInput: The kind does not fit.
    """
    check_kind(kind)

    async def remember_case(state: Any) -> dict[str, Any]:
        port = _port("remember()")
        case = NewCase(
            kind,
            part(state, text),
            None if outcome is None else part(state, outcome),
            "" if key is None else part(state, key),
        )
        await _at_home(port, port.remember(_here(), case))
        return {}

    return remember_case


def part(state: Any, of: Part) -> Any:
    """Return a part of a state, which may be a dictionary, a data class or a model.

    Raises:
        InvalidInput: The state has no such key.
    """
    if callable(of):
        return of(state)
    if isinstance(state, Mapping):
        if of in state:
            return state[of]
        known = ", ".join(map(repr, state)) or "none"
    elif hasattr(state, of):
        return getattr(state, of)
    else:
        known = ", ".join(repr(name) for name in getattr(state, "__dict__", getattr(state, "__slots__", ())))
    raise InvalidInput(f"The state has no key {of!r} for the memory of cases; it has {known}.")


async def _at_home(port: CasePort, coroutine: Any) -> Any:
    """Run something on the loop of the drive, whatever loop the node runs on: connections live there."""
    if asyncio.get_running_loop() is port.loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, port.loop))


def _port(who: str) -> CasePort:
    port = _current.get()
    if port is None and _fallback:
        port = _fallback[0]()
    if port is None:
        raise ConfigurationError(
            f"{who} needs an engine of adjourn, whose database keeps the cases. Start the workflow with Engine.start, or "
            "drive it in Studio with adjourn's checkpointer; a bare graph.ainvoke remembers nothing."
        )
    return port


def _here() -> Place:
    info = get_config()["configurable"]["__pregel_runtime"].execution_info
    return Place(str(info.thread_id), info.checkpoint_ns)
