"""What a worker does with the runs of all tenants. None of this is a verb of a person: nobody asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from ..checkpoints.priming import UNREAD
from ..errors import AdjournError
from .base import EngineBase
from .binding import Compiled, saver_of
from .queue import Place
from .recovery import Attempt, RecoveryStore, Stalled, next_attempt
from .runs import Outcome, RunRow
from .taking import TakenRun
from .work import Claimed

__all__ = ["Working"]

_LIMIT: Final = 100
_LOOKED_AT: Final = 500
_FEW: Final = 3
_LATER_SECONDS: Final = 10.0
_log = structlog.get_logger("adjourn")


class Working(EngineBase):
    """Drives queued runs, and queues those whose driver died."""

    async def _drive_queued(self, thread_id: str, *, at_hand: bool = False, taken: TakenRun | None = None) -> bool:
        """Drive a run that a job names; nothing is done when somebody else has, or it has nothing to do.

        Args:
            thread_id: The run.
            at_hand: Whether its workflow was driven here before. Then the run is taken without a look at it first.
            taken: The run, if it was taken with its job.

        Returns:
            Whether it was driven.

        Raises:
            UnknownWorkflow: Its workflow is not registered here; the run is left to others.
            ConfigurationError: Its workflow cannot be loaded here; the run is left to others, for a while.
            StorageUnavailable: The database went away before the run was taken.
        """
        row: RunRow | None
        if taken is not None:
            row, at_hand = taken.row, True
        elif at_hand:
            row = await self._queue.claim(thread_id)
        else:
            row = await self._queue.find(thread_id)
        if row is None:
            return False
        async with contextlib.AsyncExitStack() as stack:
            try:
                graph = await stack.enter_async_context(self._graph_of(row))
            except AdjournError:
                if at_hand:
                    await self._queue.hand_back(thread_id, row["token"], after=_LATER_SECONDS)
                raise
            claimed = row if at_hand else await self._queue.claim(thread_id)
            if claimed is not None:
                await self._drive_claimed(claimed, graph, taken)
            return claimed is not None

    async def _drive_claimed(self, row: RunRow, graph: Compiled, taken: TakenRun | None) -> None:
        try:
            await self._driven(await self._claimed(row, graph, taken), graph, held=True)
        except AdjournError as error:
            # Whatever it is, it is recorded; or the lease or the database is lost, and recovery goes on.
            _log.warning("a drive ended early", thread=row["thread_id"], error=error.message)
        finally:
            # Whoever submitted or answered it may be waiting; where much is done at once, they wait a moment longer.
            if self._keeper.count < _FEW:
                self._recorder.hasten()

    async def _claimed(self, row: RunRow, graph: Compiled, taken: TakenRun | None) -> Claimed:
        """Return a run with what came with it of what it is given and LangGraph is about to read."""
        if taken is None or taken.latest is None:
            return Claimed(row, saved=None if taken is not None and taken.blank else UNREAD)
        try:
            return Claimed(row, self._reviews.given(taken.answers), await saver_of(graph).from_row(taken.latest))
        except Exception:  # noqa: BLE001  (the drive reads it again, and records what is wrong with it)
            return Claimed(row)

    async def _queue_stalled(self, workflows: Sequence[str]) -> int:
        """Put runs whose driver died back into the queue, or fail those that kill whoever drives them; see `recover`.

        Args:
            workflows: Only runs of these: workers take them. Others are left to whoever has their code.

        Returns:
            How many were queued or failed here.
        """
        store = RecoveryStore(self._storage.pool)
        return sum([await self._queue_one(found) for found in await store.stalled(None, _LIMIT, workflows)])

    async def _queue_woken(self, workflows: Sequence[str]) -> int:
        """Queue paused runs of some workflows whose children have ended, where whoever ended them could not go on.

        Returns:
            How many were queued here.
        """
        return await self._queue.put_woken(workflows, _LIMIT)

    async def _queue_lost(self, place: Place) -> Place:
        """Give a job to those of the next queued runs that have none.

        Args:
            place: Where to begin; see `RunQueue.put_lost`.

        Returns:
            Where to go on the next time.
        """
        lost, after = await self._queue.put_lost(place, _LOOKED_AT, self._keeper.seconds)
        if lost:
            _log.warning("queued runs had no job, and have one now", runs=lost)
        return after

    async def _queue_one(self, found: Stalled) -> bool:
        plan = next_attempt(found, self._keeper.owner)
        if isinstance(plan, Attempt):
            return await self._queue.put_stalled(found.thread_id, plan)
        claimed = await self._runs.claim(found.thread_id, None, ("running",))
        if claimed is None:
            return False
        failed = Outcome("failed", plan, checkpointed=False)
        return await self._runs.settle(found.thread_id, claimed["token"], failed) == "recorded"
