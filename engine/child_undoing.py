"""Which runs have something to undo, and which run undoes one of them: there is never a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import structlog

from ..errors import AdjournError, UnknownThread
from ..nodes.child_port import Ended
from ..nodes.delegation.reopening import UNDONE_RUN, needs_undoing, undoing_id
from .binding import Compiled
from .child_store import ChildStore
from .inputs import input_keys
from .model import Child
from .reader import Reader
from .reading import visible_state
from .registry import Registry, Workflow
from .runs import RunRow, RunStore

__all__ = ["Cancel", "ChildUndoing"]

Cancel: TypeAlias = "Callable[[str, str, dict[str, Any]], Coroutine[Any, Any, Any]]"
"""Cancels a run of a tenant with all below it; the last argument says why."""

_LOOK_SECONDS: Final = 0.2
_OVER: Final = ("cancelled", "failed")
_log = structlog.get_logger("adjourn")


class ChildUndoing:
    """Finds what is to be undone.

    Args:
        runs: The run rows.
        children: The links.
        reader: The checkpoints.
        registry: The workflows.
        graph_of: Gives the graph of a run.
    """

    def __init__(
        self,
        runs: RunStore,
        children: ChildStore,
        reader: Reader,
        registry: Registry,
        graph_of: Callable[[RunRow], AbstractAsyncContextManager[Compiled]],
    ) -> None:
        self._runs = runs
        self._children = children
        self._reader = reader
        self._registry = registry
        self._graph_of = graph_of

    async def undoable(self, thread_id: str, tenant: str) -> tuple[str, ...]:
        """Return the runs that undoing a run takes: itself, or else those nearest below it that have not completed.

        A run that undoes what it did sees to what is below it, in its own order.
        """
        row = await self._runs.get(thread_id, tenant)
        if row is None:
            return ()
        if await self.may_undo(row):
            return (thread_id,)
        if row["status"] == "completed" or not row["has_children"]:
            return ()
        return tuple(await self._below(await self._children.below(thread_id), tenant))

    async def _below(self, children: tuple[Child, ...], tenant: str) -> list[str]:
        found: list[str] = []
        for each in children:
            row = None if each.status == "completed" else await self._runs.get(each.thread_id, tenant)
            if row is not None and await self.may_undo(row):
                found.append(each.thread_id)
            else:
                found += await self._below(each.children, tenant)
        return found

    async def may_undo(self, row: RunRow) -> bool:
        """Say whether a run may have done something that its own workflow can undo."""
        if not needs_undoing(visible_state(await self._reader.latest(row["thread_id"]))):
            return False
        try:
            async with self._graph_of(row) as graph:
                return UNDONE_RUN in input_keys(graph)
        except AdjournError as error:
            _log.warning(
                "not undone: cancel it again where its workflow is", thread=row["thread_id"], error=error.message
            )
            return False

    async def meant(self, thread_id: str, tenant: str) -> tuple[Workflow, dict[str, Any]]:
        """Return the workflow of the run that undoes a run, and its input.

        Raises:
            UnknownThread: The run was deleted.
        """
        row = await self._runs.get(thread_id, tenant)
        if row is None:
            raise UnknownThread(
                f"Run {thread_id} was deleted; nobody knows what it did, and nothing of it is undone.",
                thread_id=thread_id,
            )
        return self._registry.find_for_run(row["workflow"], row["source"], thread_id), {UNDONE_RUN: thread_id}

    async def run_for(self, thread_id: str, tenant: str, cancel: Cancel) -> str | Ended:
        """Say under which thread id a run is to be undone, or that nobody has to.

        A run that has failed is cancelled, so that nobody goes on with it; so is an undoing that has failed, and another one
        goes on where that was.
        """
        note = {"type": "Cancelled", "message": "what it did is undone", "by": "system:parent"}
        each = thread_id
        while True:
            row = await self._runs.get(each, tenant)
            if row is None:
                return each if each != thread_id else Ended(each, "completed", {})
            status = row["status"]
            if each != thread_id and status == "running" and not row["expired"]:
                await asyncio.sleep(_LOOK_SECONDS)  # somebody undoes it just now
                continue
            if each != thread_id and status == "completed":
                return Ended(each, "completed", {})
            if each != thread_id and status not in _OVER:
                message = f"the run {each} undoes it already; go on when that has ended"
                return Ended(each, "failed", {}, {"type": "ThreadBusy", "message": message})
            if status not in ("completed", "cancelled"):
                await cancel(each, tenant, note)
            each = undoing_id(each)
