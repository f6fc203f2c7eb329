"""What a worker does besides driving: it shows that it lives, and looks after what others left behind.

Every few seconds, in every worker: runs whose driver died are queued again, parents whose children have ended and jobs
whose worker died too, queued runs whose job somebody deleted get another, deadlines of reviews act, notices are sent, and
cases that are too old are removed. Any number of workers may do so at once. A lease that ran out is found within a third of
its length, so recovery starts within two lease times.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

from .. import __version__
from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from ..checkpoints.retention import drop_cases
from ..errors import AdjournError
from .async_engine import AsyncEngine
from .queue import FIRST

__all__ = ["Upkeep"]

_SQL: Final = load_queries(__package__, "workers.sql")
_LONGEST_PAUSE: Final = 5.0
_AT_MOST: Final = 100
_FORGOTTEN_SECONDS: Final = 600.0
_log = structlog.get_logger("adjourn")


class Upkeep:
    """The upkeep of one worker.

    Args:
        engine: Its engine.
        app: Its jobs.
        concurrency: How many runs it drives at once, for people to see.
        workflows: The workflows whose runs it takes.
    """

    def __init__(self, engine: AsyncEngine, app: App, *, concurrency: int, workflows: Sequence[str]) -> None:
        self.draining = False
        self._place = FIRST
        self._engine = engine
        self._app = app
        self._lease = engine.settings.lease_seconds
        self._workflows = list(workflows)
        self._row: dict[str, Any] = {
            "owner": engine._keeper.owner,
            "host": platform.node(),
            "pid": os.getpid(),
            "version": __version__,
            "concurrency": concurrency,
            "workflows": self._workflows,
        }

    async def keep(self) -> None:
        """Do it for ever; a part that fails is tried again the next time."""
        while True:
            await self._trying("show that it lives", self._beat)
            if not self.draining:
                await self._trying("queue stalled runs", lambda: self._engine._queue_stalled(self._workflows))
                await self._trying("queue woken runs", lambda: self._engine._queue_woken(self._workflows))
                await self._trying("queue the jobs of dead workers", self._queue_jobs)
                await self._trying("look for runs without a job", self._queue_lost)
                await self._trying("let deadlines act", self._sweep)
                await self._trying("forget old starts", self._engine._admission.forget)
                await self._trying("remove old cases", self._drop_cases)
            await asyncio.sleep(min(self._lease / 3, _LONGEST_PAUSE))

    async def leave(self) -> None:
        """Say goodbye."""
        await self._trying("say goodbye", lambda: self._do("leave", owner=self._row["owner"]))

    async def _beat(self) -> None:
        await self._do("beat", **self._row, draining=self.draining)
        await self._do("forget", seconds=max(_FORGOTTEN_SECONDS, 10 * self._lease))

    async def _queue_jobs(self) -> None:
        # Jobs that a worker had fetched when it died. Most of their runs were taken, and are recovery's; it does no harm.
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._lease):
            await self._app.job_manager.retry_job(job)

    async def _queue_lost(self) -> None:
        # A few of those that wait at a time, so that it costs the same however many do.
        self._place = await self._engine._queue_lost(self._place)

    async def _sweep(self) -> None:
        await self._engine._sweep(None, None, _AT_MOST, self._workflows)

    async def _drop_cases(self) -> None:
        if self._engine.settings.case_days is not None:
            before = datetime.now(UTC) - timedelta(days=self._engine.settings.case_days)
            await drop_cases(self._engine._storage.pool, before, _AT_MOST)

    async def _do(self, query: str, **values: Any) -> None:
        with mapped_faults("cannot keep the table of workers"):
            async with self._engine._storage.pool.connection() as connection:
                await connection.execute(_SQL[query], values)

    async def _trying(self, doing: str, attempt: Callable[[], Awaitable[object]]) -> None:
        try:
            await attempt()
        except (AdjournError, ConnectorException) as error:
            _log.warning(f"a worker could not {doing}; it will try again", error=str(error.__cause__ or error))
        except Exception:  # noqa: BLE001  (a worker goes on driving whatever is wrong here)
            _log.exception(f"a worker could not {doing}; it will try again")
