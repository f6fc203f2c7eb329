"""The children of one drive: who wants them, who is on the way, and when the node that wants them pauses.

A node may want several at once. What one call of it finds is held back until every call of the same run of the node has
ended or must wait, too: so all children are started before the parent pauses, and the pause names all that it waits for.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.errors import GraphInterrupt

from ..errors import ChildMismatch, ConfigurationError, InvalidInput
from ..nodes.child_port import ChildCall, Ended, RunBelow, Until
from ..nodes.effect_port import Place
from .child_starting import ChildStarter, Tell, Waits
from .child_store import Link, ParentGone
from .child_waits import wait_for
from .leases import Drive
from .runs import RunRow

__all__ = ["ChildRuns"]

_LONGEST_ID: Final = 200


@dataclass(eq=False)
class _Activation:
    """One run of a node.

    Args:
        at_work: How many of its calls have not come to their end.
        used: The ids that it has used.
        waiting: What it waits for: id → thread and `until`.
        pauses: Whether its pause was begun.
        idle: Set while none is at work.
    """

    at_work: int = 0
    used: set[str] = field(default_factory=set)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    pauses: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        self.at_work += 1
        self.idle.clear()

    def end(self) -> None:
        self.at_work -= 1
        if not self.at_work:
            self.idle.set()

    async def all_idle(self) -> None:
        """Wait until no call is at work, and no branch of the node goes straight on to its next."""
        while self.at_work:
            await self.idle.wait()
            for _ in range(3):  # a result passes through gather and the like in a turn of the loop each
                await asyncio.sleep(0)


class ChildRuns:
    """Runs the children of one drive; see `ChildPort`.

    Whatever a child does here happens in the context in which the drive began: nothing of the node's own, such as
    LangGraph's configuration or the parent's lease, reaches it.

    Args:
        starter: Starts and drives one.
        parent: The row of the run that is driven.
        drive: Its drive.
        cancelled: Called when the run turns out to be cancelled.
        tell: Gets what the nodes of children that are driven here tell; see `told_on`.
        held: Whether limits hold the children back.
    """

    def __init__(
        self,
        starter: ChildStarter,
        parent: RunRow,
        drive: Drive,
        cancelled: Any,
        tell: Tell | None = None,
        *,
        held: bool = False,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._starter = starter
        self._parent = parent
        self._drive = drive
        self._cancelled = cancelled
        self._held = held
        self._tell = tell
        self._context = contextvars.copy_context()
        self._activations: dict[tuple[str, int, int], tuple[Any, _Activation]] = {}
        self._tasks: set[asyncio.Task[Ended | Waits]] = set()
        self._beginning: set[asyncio.Future[None]] = set()
        self._over = asyncio.Event()

    async def run(self, place: Place, calls: Mapping[str, ChildCall], until: Until) -> Mapping[str, Ended]:
        """Start children or find them again; see `ChildPort`."""
        _check(calls, until)
        activation = self._activation(place)
        self._use(activation, calls)
        activation.begin()
        try:
            tasks = {name: self._begin(place, name, call) for name, call in calls.items()}
            try:
                ended = await self._brought_on(tasks, until)
            except asyncio.CancelledError:
                await _stopped(tasks.values())
                raise
            except ParentGone:
                self._cancelled()
                await self._over.wait()  # the drive is stopped very soon
                raise asyncio.CancelledError from None
            waits = {name: task.result() for name, task in tasks.items() if name not in ended and task.done()}
        finally:
            activation.end()
        if len(ended) == len(calls) or (until == "one" and ended):
            return ended
        activation.waiting |= {name: (str(thread), until) for name, thread in waits.items()}
        raise await self._pause(place, activation)

    async def cancel(self, place: Place, reason: str) -> None:
        """Cancel the children of a place that have not ended; see `ChildPort`."""
        await self.begun()  # none is accepted behind our back
        await self._starter.cancel(self._parent, self._drive.token, place.namespace, reason)

    async def below(self, parent_id: str, namespace: str) -> Mapping[str, RunBelow]:
        """Return the children that a run has at a place; see `ChildPort`."""
        return await self._starter.below(parent_id, self._parent["tenant"], namespace)

    @property
    def pauses(self) -> bool:
        """Whether any pause was begun in this drive."""
        return any(activation.pauses for _, activation in self._activations.values())

    def waits(self, place: Place) -> bool:
        """Whether the pause of a task was begun; see `ChildPort`."""
        return self._activation(place).pauses

    async def begun(self) -> None:
        """Wait until every child that was asked for is there."""
        while self._beginning:
            await asyncio.wait(self._beginning)

    async def rest(self) -> bool:
        """Wait for the children that are still driven here although their parent's drive is over; say if there were any."""
        self._over.set()
        some = bool(self._tasks)
        while self._tasks:
            await asyncio.wait(self._tasks)
        return some

    async def stop(self) -> None:
        """Stop what is still driven here: it is recorded as interrupted, and goes on when its parent does."""
        self._over.set()
        await _stopped(self._tasks)

    def _activation(self, place: Place) -> _Activation:
        scratchpad, attempt = place.activation
        # the scratchpad is kept, so that no other gets its id
        key = (place.namespace, id(scratchpad), attempt)
        return self._activations.setdefault(key, (scratchpad, _Activation()))[1]

    def _use(self, activation: _Activation, calls: Mapping[str, ChildCall]) -> None:
        if twice := activation.used & calls.keys():
            raise ChildMismatch(
                f"The child {min(twice)!r} is used twice in one task; give each child an id of its own.",
                thread_id=self._parent["thread_id"],
            )
        activation.used |= calls.keys()

    def _begin(self, place: Place, id: str, call: ChildCall) -> asyncio.Task[Ended | Waits]:  # noqa: A002
        there: asyncio.Future[None] = self.loop.create_future()
        self._beginning.add(there)

        def begun() -> None:
            if not there.done():
                there.set_result(None)
            self._beginning.discard(there)

        def over(task: asyncio.Task[Ended | Waits]) -> None:
            begun()
            self._tasks.discard(task)
            if not task.cancelled():
                task.exception()  # it is told to whoever waits; perhaps nobody does any more

        link = Link(self._parent["thread_id"], self._drive.token, place.namespace, id, call.on_failure, self._held)
        work = self._starter.run(self._parent, link, call, begun, self._tell)
        task = self.loop.create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(over)
        return task

    async def _brought_on(self, tasks: Mapping[str, asyncio.Task[Ended | Waits]], until: Until) -> dict[str, Ended]:
        """Wait for the children as far as they come here; return those that have ended."""
        pending = set(tasks.values())
        ended: dict[str, Ended] = {}
        while pending and not (until == "one" and ended):
            when = asyncio.FIRST_COMPLETED if until == "one" else asyncio.ALL_COMPLETED
            _, pending = await asyncio.wait(pending, return_when=when)
            done = {name: task.result() for name, task in tasks.items() if task.done()}
            ended = {name: each for name, each in done.items() if isinstance(each, Ended)}
        return ended

    async def _pause(self, place: Place, activation: _Activation) -> GraphInterrupt:
        await activation.all_idle()
        activation.pauses = True
        return GraphInterrupt((wait_for(place.namespace, activation.waiting),))


async def _stopped(tasks: Any) -> None:
    for task in (running := set(tasks)):
        task.cancel()
    while running := {task for task in running if not task.done()}:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError:  # whoever stops us may do so again and again
            continue


def _check(calls: Mapping[str, ChildCall], until: Until) -> None:
    if until not in ("all", "one"):
        raise ConfigurationError(f"until is {until!r}; it must be 'all' or 'one'.")
    for name, call in calls.items():
        if not 1 <= len(name) <= _LONGEST_ID or not name.isprintable():
            raise InvalidInput(f"{name!r} is no id of a child; it must be 1 to {_LONGEST_ID} printable characters.")
        if call.on_failure not in ("raise", "return", "wait"):
            raise ConfigurationError(f"on_failure is {call.on_failure!r}; it must be 'raise', 'return' or 'wait'.")
