"""What a worker does with the runs of all tenants. None of this is a verb of a person: nobody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from ..errors import AdjournError
from .base import EngineBase
from .recovery import Attempt, RecoveryStore, Stalled, next_attempt
from .runs import Outcome

__all__ = ["Working"]

_LIMIT: Final = 100
_log = structlog.get_logger("adjourn")


class Working(EngineBase):
    """Drives queued runs, and queues those whose driver died."""

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
            finally:
                self._recorder.hasten()  # whoever submitted or answered it may be waiting

    async def _queue_stalled(self, workflows: Sequence[str]) -> int:
        """Put runs whose driver died back into the queue, or fail those that kill whoever drives them; see `recover`.

        Args:
            workflows: Only runs of these: workers take them. Others are left to whoever has their code.

        Returns:
            How many were queued or failed here.
        """
        store = RecoveryStore(self._storage.pool)
        return sum([await self._queue_one(found) for found in await store.stalled(None, _LIMIT, workflows)])

    async def _queue_one(self, found: Stalled) -> bool:
        plan = next_attempt(found, self._keeper.owner)
        if isinstance(plan, Attempt):
            return await self._queue.put_stalled(found.thread_id, plan)
        claimed = await self._runs.claim(found.thread_id, None, ("running",))
        if claimed is None:
            return False
        failed = Outcome("failed", plan, checkpointed=False)
        return await self._runs.settle(found.thread_id, claimed["token"], failed) == "recorded"
