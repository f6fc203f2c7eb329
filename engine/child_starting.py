"""One child run: started, or found again and gone on with, for the node that wants it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeAlias

from langgraph.checkpoint.serde.base import SerializerProtocol

from ..errors import ChildMismatch, LeaseLost, ThreadExists
from ..nodes.child_port import OWN, ChildCall, Ended, RunBelow, UndoOf
from .binding import Compiled
from .child_inheritance import Inheritance
from .child_store import ChildStore, Link
from .child_undoing import Cancel, ChildUndoing
from .coping.book import CopingBook
from .events import Custom, Event
from .ids import new_thread_id
from .inputs import Stored, check_input, serialised
from .model import Run, RunStatus
from .policy_book import COPING, Policies
from .reader import Reader
from .reading import visible_state
from .registry import Registry, Workflow
from .run_groups import NewRun
from .runs import RunRow

__all__ = ["ENDED", "ChildStarter", "Drive", "Tell", "Waits", "told_on"]

ENDED: Final[tuple[RunStatus, ...]] = ("completed", "failed", "cancelled")

Waits: TypeAlias = str
"""The thread of a child that has not ended: its parent waits for it."""

Tell = Callable[[Event], None]


def told_on(listener: Tell | None) -> Tell | None:
    """Return what hears of a child for somebody who listens to its parent: what the child's nodes tell, and no more."""
    if listener is None:
        return None

    def hear(event: Event) -> None:
        if isinstance(event, Custom):
            listener(event)

    return hear


class Drive(Protocol):
    """Drives a run whose lease was just taken; `fresh` is its input where it was accepted just now."""

    def __call__(
        self,
        row: RunRow,
        graph: Compiled,
        *,
        fresh: Any = ...,
        saved: None = ...,
        alone: bool = ...,
        held: bool = ...,
        on_event: Tell | None = ...,
    ) -> Coroutine[Any, Any, Run]:
        """Drive it; `alone` leaves its parent to the caller, and limits hold back what is `held`."""
        ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A child that is not there yet: whose it is, where it hangs, what it is to be; and who hears of it."""

    parent: RunRow
    link: Link
    call: ChildCall
    workflow: Workflow
    given: Stored
    begun: Callable[[], None]
    tell: Tell | None


class ChildStarter:
    """Starts children of the runs that one engine drives, and goes on with those that nobody drives.

    Args:
        store: The links.
        registry: The workflows.
        reader: The checkpoints.
        serde: The saver's serializer.
        limit: The most bytes of an input.
        policies: By workflow, the policies of questions that bring none.
        coping: By workflow, how runs cope with faults.
        bound: Gives a workflow's graph for a thread.
        graph_of: Gives the graph of a run.
        drive: Drives a run.
        cancel: Cancels a run with all below it.
        undoing: Says what is to be undone, and by which run.
    """

    def __init__(
        self,
        store: ChildStore,
        registry: Registry,
        reader: Reader,
        serde: SerializerProtocol,
        *,
        limit: int,
        policies: dict[str, Policies],
        coping: CopingBook,
        bound: Callable[[Workflow, str, Any, Mapping[str, Any] | None], AbstractAsyncContextManager[Compiled]],
        graph_of: Callable[[RunRow], AbstractAsyncContextManager[Compiled]],
        drive: Drive,
        cancel: Cancel,
        undoing: ChildUndoing,
    ) -> None:
        self._store = store
        self._registry = registry
        self._reader = reader
        self._serde = serde
        self._limit = limit
        self._inheritance = Inheritance(serde, policies, coping)
        self._bound = bound
        self._graph_of = graph_of
        self._drive = drive
        self._cancel = cancel
        self._undoing = undoing

    async def cancel(self, parent: RunRow, token: int, namespace: str, reason: str) -> None:
        """Cancel the children of a place that have not ended, each with all below it; see `ChildPort`."""
        await self._store.check_lease(parent["thread_id"], token)
        note = {"type": "Cancelled", "message": reason, "by": "system:parent"}
        for each in await self._store.at(parent["thread_id"], parent["tenant"], namespace):
            if each["ended_as"] is None:
                await self._cancel(each["thread_id"], parent["tenant"], note)

    async def below(self, parent_id: str, tenant: str, namespace: str) -> dict[str, RunBelow]:
        """Return the children that a run has at a place; see `ChildPort`."""
        return {
            each["child_id"]: RunBelow(
                each["thread_id"], each["ended_as"], await self._undoing.undoable(each["thread_id"], tenant)
            )
            for each in await self._store.at(parent_id, tenant, namespace)
        }

    async def run(
        self, parent: RunRow, link: Link, call: ChildCall, begun: Callable[[], None], tell: Tell | None = None
    ) -> Ended | Waits:
        """Bring a child as far as it comes here.

        Args:
            parent: The parent's row.
            link: Where the child hangs.
            call: What it is to be.
            begun: Called when the child is there, before it is driven.
            tell: Gets what its nodes tell.

        Returns:
            How it ended; or its thread, when it waits, or somebody else drives it.

        Raises:
            ParentGone, LeaseLost, DepthExceeded: See `ChildStore.accept`.
            ChildMismatch: The id stands for another child.
            UnknownWorkflow, InvalidInput, ConfigurationError: As `AsyncEngine.start`; nothing was stored.
        """
        workflow, value = await self._meant(parent, call)
        given = serialised(self._serde, value, what="input of a child", limit=self._limit)
        found = await self._store.find(link)
        if found is None:
            wanted = _Wanted(parent, link, replace(call, input=value), workflow, given, begun, tell)
            if isinstance(call.workflow, UndoOf):
                return await self._undo(wanted)
            return await self._start(wanted, new_thread_id())
        begun()
        if found["thread_id"] is None:
            error = {"type": "Deleted", "message": "its run was deleted", "by": "system:deletion"}
            return Ended(found["child"], "cancelled", {}, error)
        if (found["workflow"], found["input_digest"]) != (workflow.name, given.digest):
            raise ChildMismatch(
                f"The child {link.child_id!r} was started with another workflow or other input (run "
                f"{found['thread_id']}). Give each child of a task an id of its own, and an input that does not depend on "
                "the time or on chance.",
                thread_id=link.parent_id,
            )
        expected = _to_be_taken_up(found, go_on=call.go_on)
        if expected is not None:
            return await self._go_on(found, expected, link, tell)
        return await self._as_it_stands(found, link.on_failure)

    async def _meant(self, parent: RunRow, call: ChildCall) -> tuple[Workflow, Any]:
        """Return the workflow of a call and its input."""
        if call.workflow is OWN:
            own = self._registry.find_for_run(parent["workflow"], parent["source"], parent["thread_id"])
            return own, call.input
        if isinstance(call.workflow, UndoOf):
            return await self._undoing.meant(call.workflow.thread_id, parent["tenant"])
        return self._registry.find(call.workflow), call.input

    async def _undo(self, wanted: _Wanted) -> Ended | Waits:
        while True:
            undone = wanted.call.workflow.thread_id
            chosen = await self._undoing.run_for(undone, wanted.parent["tenant"], self._cancel)
            if isinstance(chosen, Ended):
                wanted.begun()
                return chosen
            try:
                return await self._start(wanted, chosen)
            except ThreadExists:  # somebody else has it undone since
                continue

    async def _start(self, wanted: _Wanted, run_id: str) -> Ended | Waits:
        parent, link, call, workflow = wanted.parent, wanted.link, wanted.call, wanted.workflow
        context, value = self._inheritance.context(parent, call)
        kept = self._inheritance.policies(parent, workflow)
        async with self._bound(workflow, run_id, value, kept.get(COPING)) as graph:
            check_input(graph, call.input, json_only=workflow.built_in)
            new = NewRun(
                thread_id=run_id,
                tenant=parent["tenant"],
                workflow=workflow.name,
                version=workflow.version,
                source=workflow.source,
                requested_by=parent["requested_by"],
                given=wanted.given,
                context=context,
                policies=self._inheritance.sealed(kept),
                priority=parent["priority"],
            )
            row = await self._store.accept(link, new, submit=call.submit)
            wanted.begun()
            if row["status"] == "queued":
                return run_id
            driving = self._drive(
                row, graph, fresh=call.input, saved=None, alone=True, held=link.held, on_event=wanted.tell
            )
            return await self._driven(driving, run_id, link.on_failure)

    async def _go_on(self, found: RunRow, expected: RunStatus, link: Link, tell: Tell | None) -> Ended | Waits:
        thread_id = found["thread_id"]
        async with self._graph_of(found) as graph:
            row = await self._store.take_up(found, expected, held=link.held)
            if row is None:  # somebody else was faster, and drives it; or a limit holds it back
                return str(thread_id)
            driving = self._drive(row, graph, alone=True, held=link.held, on_event=tell)
            return await self._driven(driving, thread_id, link.on_failure)

    async def _driven(self, drive: Coroutine[Any, Any, Run], thread_id: str, on_failure: str) -> Ended | Waits:
        try:
            run = await drive
        except LeaseLost as error:
            if error.thread_id != thread_id:
                raise
            return thread_id
        return _outcome(thread_id, run.status, run.state, run.error, on_failure)

    async def _as_it_stands(self, found: RunRow, on_failure: str) -> Ended | Waits:
        thread_id, status = found["thread_id"], found["status"]
        if status != "completed":
            return _outcome(thread_id, status, {}, found["error"], on_failure)
        if found["erased_at"] is not None and found["erased_at"] >= found["ended_at"]:
            return Ended(thread_id, "failed", {}, {"type": "Erased", "message": "its content was erased"})
        return Ended(thread_id, "completed", visible_state(await self._reader.latest(thread_id)))


def _to_be_taken_up(found: RunRow, *, go_on: bool) -> RunStatus | None:
    """Say in which status a child stands that nobody drives and that is to go on; None for all others.

    Its process died, or was stopped; or it failed, and its parent is tried again, or wants it to go on.
    """
    if found["status"] == "running" and found["expired"]:
        return "running"
    stopped = (found["error"] or {}).get("type") == "Interrupted"
    if found["status"] == "failed" and (found["again"] or stopped or go_on):
        return "failed"
    return None


def _outcome(
    thread_id: str, status: RunStatus, state: dict[str, Any], error: dict[str, Any] | None, on_failure: str
) -> Ended | Waits:
    if status == "completed" or status == "cancelled" or (status == "failed" and on_failure != "wait"):
        return Ended(thread_id, status, state if status == "completed" else {}, error)
    return thread_id
