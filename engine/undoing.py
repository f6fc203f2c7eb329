"""Undoing what a cancelled run did: a run of its own, of the same workflow, accepted before the other is cancelled.

So a process that dies in between leaves a run that recovery finds: it undoes when the other is cancelled, and fails when it
is not. A cancelled run itself never goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import structlog

from ..errors import AdjournError
from ..nodes.delegation.reopening import needs_undoing, undoing_id
from .base import EngineBase, serde_of
from .inputs import Stored, input_keys, serialised
from .model import Child
from .reading import visible_state
from .run_groups import NewRun
from .runs import RunRow

__all__ = ["Undoing"]

CANCELLED = "cancelled_run"
"""The input key of workflows that undo: they are started with it when a run of theirs was cancelled."""

_log = structlog.get_logger("adjourn")


class Undoing(EngineBase):
    """Starts the runs that undo."""

    async def _accept_undoings(self, row: RunRow, actor: str) -> list[RunRow]:
        """Accept the runs that undo what a run and those below it did, or take up those there are.

        Args:
            row: The run that is to be cancelled, and with it those below.
            actor: Who cancels it.

        Returns:
            The rows of the runs that undo, with their leases, the lowest first; none where there is nothing to undo, or
            that is done, or somebody is at work on it.
        """
        below = await self._children.below(row["thread_id"]) if row["has_children"] else ()
        rows = [row, *[await self._row(each) for each in _not_completed(below)]]
        accepted = [await self._accept_undoing(each, actor) for each in reversed(rows)]
        return [each for each in accepted if each is not None]

    async def _accept_undoing(self, row: RunRow, actor: str) -> RunRow | None:
        if row["status"] == "completed" or not needs_undoing(
            visible_state(await self._reader.latest(row["thread_id"]))
        ):
            return None
        try:
            async with self._graph_of(row) as graph:
                if CANCELLED not in input_keys(graph):
                    return None
                given = serialised(serde_of(graph), {CANCELLED: row["thread_id"]}, what="input")
        except AdjournError as error:
            _log.warning("cancelled without undoing; cancel it again where its workflow is", error=error.message)
            return None
        new = NewRun(
            thread_id=undoing_id(row["thread_id"]),
            tenant=row["tenant"],
            workflow=row["workflow"],
            version=row["version"],
            source=row["source"],
            requested_by=actor,
            given=given,
            context=Stored(row["context_type"], row["context"], ""),
            policies=None if row["policies"] is None else json.dumps(row["policies"]),
        )
        accepted = await self._runs.accept(new)
        return accepted or await self._runs.claim(new.thread_id, row["tenant"], ("failed", "running"))

    async def _undo(self, undoing: RunRow) -> None:
        """Drive the run that undoes; what becomes of it is kept with it."""
        try:
            async with self._graph_of(undoing) as graph:
                await self._drive(undoing, graph)
        except AdjournError as error:
            _log.warning(
                "a cancelled run is undone later, by recovery", thread=undoing["thread_id"], error=error.message
            )


def _not_completed(children: Sequence[Child]) -> Iterator[str]:
    """Yield the threads that have not completed, each before those below it; what completed is its parent's to undo."""
    for each in children:
        if each.status != "completed":
            yield each.thread_id
        yield from _not_completed(each.children)
