"""What child runs are, and the port to what runs them; the engine brings one for each drive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from .effect_port import Place

__all__ = [
    "INHERITED",
    "OWN",
    "ChildCall",
    "ChildPort",
    "Ended",
    "OnFailure",
    "RunBelow",
    "State",
    "UndoOf",
    "Until",
    "child_port",
    "children_in",
]

OnFailure = Literal["raise", "return", "wait"]
Until = Literal["all", "one"]
State = dict[str, Any]


class _Inherited:
    def __repr__(self) -> str:
        return "INHERITED"


INHERITED: Final = _Inherited()
"""The parent's context, for its children as well."""


class _Own:
    def __repr__(self) -> str:
        return "OWN"


OWN: Final = _Own()
"""The parent's own workflow, whatever it is called and wherever it is registered: for a workflow that starts itself."""


@dataclass(frozen=True, slots=True)
class UndoOf:
    """In the place of a workflow: the run that undoes what another one did.

    There is never a second one, whoever wants it. A run that has failed is cancelled first, so that nobody goes on with it.
    Where there is nothing to undo, or somebody else has had it undone, the child counts as completed, and none is started.

    Args:
        thread_id: The run that is undone: a child of this one, or of the run that this one undoes.
    """

    thread_id: str


@dataclass(frozen=True, slots=True)
class ChildCall:
    """A child to be run.

    Args:
        workflow: A registered name, a graph that has a name of its own, OWN, or an `UndoOf`.
        input: What it starts with.
        context: Its run-time context; by default the parent's. Stored, so keep secrets out.
        on_failure: What its failure means: `raise` ChildFailed in the node, `return` the ChildFailed as a value, or `wait`
            until somebody retries it. A child that was cancelled cannot be retried, so `wait` raises then.
        submit: Whether it is left to the workers: the parent pauses, and any worker that has its workflow drives it. By
            default it is driven where its parent is.
        go_on: Whether a child that has failed goes on, as if somebody retried it.
    """

    workflow: Any
    input: Any = None
    context: Any = INHERITED
    on_failure: OnFailure = "raise"
    submit: bool = False
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Args:
        thread_id: The child run.
        status: completed, failed or cancelled.
        state: Its state; empty unless it completed.
        error: Its error, unless it completed.
    """

    thread_id: str
    status: Literal["completed", "failed", "cancelled"]
    state: State
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunBelow:
    """A child run as its parent's links show it.

    Args:
        thread_id: The child run.
        status: How it has ended; None while it goes on.
        undoable: The runs that undoing it takes, for an `UndoOf` each: itself, or those below it; empty where there is
            nothing to undo.
    """

    thread_id: str
    status: Literal["completed", "failed", "cancelled"] | None
    undoable: tuple[str, ...] = ()


class ChildPort(Protocol):
    """What runs children; the engine brings one for each drive. `loop` is the event loop it lives in."""

    loop: asyncio.AbstractEventLoop

    async def run(self, place: Place, calls: Mapping[str, ChildCall], until: Until) -> Mapping[str, Ended]:
        """Start children or find them again, and drive those that nobody drives.

        Args:
            place: The task that wants them.
            calls: The children by id.
            until: Whether all of them must have ended, or one.

        Returns:
            Those that have ended.

        Raises:
            GraphInterrupt: The parent pauses until they have.
            ChildMismatch: An id stands for another child, or was used twice in one run of the task.
            DepthExceeded: There are too many runs above.
            UnknownWorkflow, InvalidInput, ConfigurationError: As `AsyncEngine.start`.
        """
        ...

    async def cancel(self, place: Place, reason: str) -> None:
        """Cancel the children of a place that have not ended; see `cancel_children`.

        Raises:
            LeaseLost: Another process drives the parent.
        """
        ...

    async def below(self, parent_id: str, namespace: str) -> Mapping[str, RunBelow]:
        """Return the children that a run of the same tenant has at a place, by their ids there."""
        ...

    @property
    def pauses(self) -> bool:
        """Whether any pause was begun in this drive."""
        ...

    def waits(self, place: Place) -> bool:
        """Whether the pause of this task was begun, so that the task may not end as if nothing were missing."""
        ...


_current: ContextVar[ChildPort | None] = ContextVar("adjourn_children", default=None)


@contextmanager
def children_in(port: ChildPort | None) -> Iterator[None]:
    """Let the children of everything that runs inside be run by a port; with None there can be none."""
    token = _current.set(port)
    try:
        yield
    finally:
        _current.reset(token)


def child_port() -> ChildPort | None:
    """Return what runs children here; None where no engine drives."""
    return _current.get()
