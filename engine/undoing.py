"""Undoing what a cancelled run did: a run of its own, of the same workflow, accepted before the other is cancelled.

So a process that dies in between leaves a run that recovery finds: it undoes when the other is cancelled, and fails when it
is not. A cancelled run itself never goes on.
"""

from __future__ import annotations

import json

import structlog

from ..errors import AdjournError
from ..nodes.delegation.reopening import UNDONE_RUN, undoing_id
from .base import EngineBase
from .binding import serde_of
from .inputs import Stored, serialised
from .run_groups import NewRun
from .runs import RunRow

__all__ = ["Undoing"]

_log = structlog.get_logger("adjourn")


class Undoing(EngineBase):
    """Starts the runs that undo."""

    async def _accept_undoings(self, row: RunRow, actor: str) -> list[RunRow]:
        """Accept the runs that undo what a run and those below it did, or take up those there are.

        Args:
            row: The run that is to be cancelled, and with it those below.
            actor: Who cancels it.

        Returns:
            The rows of the runs that undo, with their leases; none where there is nothing to undo, or
            that is done, or somebody is at work on it.
        """
        if row["status"] == "completed":
            return []
        undone = await self._undoable.undoable(row["thread_id"], row["tenant"])
        accepted = [await self._accept_undoing(await self._row(each), actor) for each in undone]
        return [each for each in accepted if each is not None]

    async def _accept_undoing(self, row: RunRow, actor: str) -> RunRow | None:
        async with self._graph_of(row) as graph:
            given = serialised(serde_of(graph), {UNDONE_RUN: row["thread_id"]}, what="input")
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
