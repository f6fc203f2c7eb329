"""Where a call is made: in which node of which drive, under which rules. Nodes know nothing of it; it is in the context."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from ...errors import BudgetExceeded, ConfigurationError
from ...state.coping import Budget, Coping
from .answers import Answers
from .breakers import Breakers
from .ledger import Ledger
from .loops import Call
from .spending import Granted, Spent, excess
from .turns import Turns

__all__ = ["CopingDrive", "Place", "Tools", "drive_here", "driving", "in_node", "in_place", "place_here"]

Result = TypeVar("Result")
# by graph and call, the ids under which it was asked for
Counted: TypeAlias = dict[tuple[str, Call], set[str]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What an engine has for coping.

    Args:
        ledger: Counts what runs spend.
        answers: Keeps answers and results.
        turns: Spaces calls.
        breakers: Refuse calls.
        draw: Gives random numbers from 0 to 1, for jitter.
    """

    ledger: Ledger
    answers: Answers
    turns: Turns
    breakers: Breakers = field(default_factory=Breakers)
    draw: Callable[[], float] = random.random


class CopingDrive:
    """One drive of a run whose workflow has rules. It belongs to the event loop that drives the run.

    Args:
        thread_id: The run.
        tenant: Whose it is.
        coping: The rules of its workflow.
        tools: What the engine has.
    """

    def __init__(self, thread_id: str, tenant: str, coping: Coping, tools: Tools) -> None:
        self.thread_id = thread_id
        self.tenant = tenant
        self.coping = coping
        self.tools = tools
        self.loop = asyncio.get_running_loop()
        self.calls: Counted = {}
        self.closed = 0
        self.refused_by: str | None = None
        self._granted: Granted | None = None
        self.spent = Spent()
        self.used: str | None = None
        self._reading = asyncio.Lock()
        self._waiting: set[Future[Any]] = set()

    def begin(self, refused_by: str | None) -> None:
        """Go on with answers that people gave, which are read again when they are needed.

        Args:
            refused_by: Who has just refused to grant more.
        """
        self.refused_by, self._granted = refused_by, None

    async def check(self, budget: Budget) -> None:
        """Refuse a call of a model when the run has spent its budget.

        Raises:
            BudgetExceeded: It has.
        """
        async with self._reading:
            if self._granted is None:
                self.spent = await self.tools.ledger.spent(self.thread_id)
                self._granted, self.closed = await self.tools.ledger.granted(self.thread_id)
        self.used = used = excess(budget, self.spent, self._granted)
        if used is None:
            return
        refused = f", and {self.refused_by} refused to grant more" if self.refused_by else ""
        raise BudgetExceeded(
            f"Run {self.thread_id} has used up its budget ({used}){refused}; no model is called any more. Raise the "
            "budget of its workflow and call retry().",
            thread_id=self.thread_id,
        )

    def note(self, spent: Spent) -> None:
        """Take note of what the run has spent now; calls that were counted at once may say so in any order."""
        if spent.calls > self.spent.calls:
            self.spent = spent

    def wait_for(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run something on the loop of the drive, for a thread that waits for it; the end of the drive cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    async def at_home(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run something on the loop of the drive, whatever loop the caller runs on: connections live there."""
        if asyncio.get_running_loop() is self.loop:
            return await coroutine
        return await asyncio.wrap_future(self.wait_for(coroutine))

    def close(self) -> None:
        """Let nothing that was begun outlive the drive."""
        for future in list(self._waiting):
            future.cancel()


@dataclass(frozen=True, slots=True)
class Place:
    """A node at work.

    Args:
        drive: The drive.
        coping: The rules that count here.
        node: The path of the node.
        namespace: That of its task.
        asked: The calls of tools that the state's messages show.
        calls: The calls of tools that this try of the node has made, in graphs that it called.
        stops: Errors that end the step, whatever the node makes of them.
        in_model: Whether a call of a model is under way, so that what a model calls in turn is not counted twice.
    """

    drive: CopingDrive
    coping: Coping
    node: str
    namespace: str
    asked: Counter[Call] = field(default_factory=Counter)
    calls: Counted = field(default_factory=dict)
    stops: list[BaseException] = field(default_factory=list)
    in_model: bool = False

    def stop(self, error: BaseException) -> BaseException:
        """Note that an error ends the step, and return it."""
        self.stops.append(error)
        return error


_drive: ContextVar[CopingDrive | None] = ContextVar("adjourn_coping_drive", default=None)
_place: ContextVar[Place | None] = ContextVar("adjourn_coping_place", default=None)


def drive_here() -> CopingDrive | None:
    """Return the drive that runs here, if its workflow has rules."""
    return _drive.get()


def place_here() -> Place | None:
    """Return the node at work here, if there are rules for it."""
    return _place.get()


@contextmanager
def driving(drive: CopingDrive | None) -> Iterator[None]:
    """Let everything that runs inside cope; without rules nothing changes."""
    if drive is None:
        yield
        return
    token = _drive.set(drive)
    try:
        yield
    finally:
        _drive.reset(token)
        drive.close()


@contextmanager
def in_place(place: Place) -> Iterator[Place]:
    """Let calls inside be made at a place."""
    token = _place.set(place)
    try:
        yield place
    finally:
        _place.reset(token)


@contextmanager
def in_node(place: Place) -> Iterator[None]:
    """Stand around a node: an error that ends the step does so even where the node caught it, or wrapped it.

    Raises:
        BudgetExceeded, LoopDetected, ToolRefused: A call in the node was refused.
    """
    with in_place(place):
        try:
            yield
        except Exception as error:
            if place.stops and error is not place.stops[0]:
                raise place.stops[0] from error
            raise
    if place.stops:
        raise place.stops[0]


def inside_model(place: Place) -> Place:
    """Return a place as it is inside a call of a model."""
    return replace(place, in_model=True)


def refuse_blocking(place: Place, what: str) -> None:
    """Refuse a blocking call on the event loop of the drive: it could not wait for anything there.

    Raises:
        ConfigurationError: It is one.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if running is place.drive.loop:
        raise ConfigurationError(
            f"The node {place.node!r} is async and calls {what} in a blocking way, which holds up the whole process and "
            "cannot be guarded. Use `await ….ainvoke(…)` there, or make the node a plain function."
        )
