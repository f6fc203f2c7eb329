"""What a worker does with the runs of all tenants. None of this is a verb of a person: nobody asks for it."""

from __future__ import annotations

import structlog

from ..errors import AdjournError
from .base import EngineBase

__all__ = ["Working"]

_log = structlog.get_logger("adjourn")


class Working(EngineBase):
    """Drives queued runs."""

    async def _drive_queued(self, thread_id: str) -> None:
        """Drive a run that a job names; nothing is done when somebody else has, or it has nothing to do.

        Raises:
            UnknownWorkflow: Its workflow is not registered here; nothing was changed.
            ConfigurationError: Its workflow cannot be loaded here; nothing was changed.
            StorageUnavailable: The database went away before the run was taken.
        """
        row = await self._queue.find(thread_id)
        if row is None:
            return
        async with self._graph_of(row) as graph:
            claimed = await self._queue.claim(thread_id)
            if claimed is None:
                return
            try:
                await self._driven(claimed, graph)
            except AdjournError as error:
                # Whatever it is, it is recorded; or the lease or the database is lost, and recovery goes on.
                _log.warning("a drive ended early", thread=thread_id, error=error.message)
