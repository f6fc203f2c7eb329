"""Undoing what a cancelled run did: a run of its own, of the same workflow, accepted before the other is cancelled.

So a process that dies in between leaves a run that recovery finds: it undoes when the other is cancelled, and fails when it
is not. A cancelled run itself never goes on.
"""

from __future__ import annotations

import json

import structlog

from ..errors import AdjournError
from ..nodes.delegation.reopening import needs_undoing, undoing_id
from .base import EngineBase, serde_of
from .inputs import Stored, input_keys, serialised
from .reading import visible_state
from .run_groups import NewRun
from .runs import RunRow

__all__ = ["Undoing"]

CANCELLED = "cancelled_run"
"""The input key of workflows that undo: they are started with it when a run of theirs was cancelled."""

_log = structlog.get_logger("adjourn")


class Undoing(EngineBase):
    """Starts the runs that undo."""

    async def _accept_undoing(self, row: RunRow, actor: str) -> RunRow | None:
        """Accept the run that undoes what a run did, or take up the one there is.

        Args:
            row: The run that is to be cancelled.
            actor: Who cancels it.

        Returns:
            The row of the run that undoes, with its lease; None where there is nothing to undo, or that is done, or
            somebody is at work on it.
        """
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
