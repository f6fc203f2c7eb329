"""A worker: takes queued runs, of any tenant, and drives them, as many at once as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker as JobWorker

from ..errors import StorageUnavailable
from .async_engine import AsyncEngine
from .jobs import job_app

__all__ = ["Worker"]

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_POLL_SECONDS: Final = 2.0
_log = structlog.get_logger("adjourn")


class Worker:
    """Drives queued runs through an engine.

    Args:
        engine: Knows the workflows, and holds the leases.
        concurrency: The most runs that are driven at once.
        queues: The workflows whose runs it takes; by default those that the engine knows.
    """

    def __init__(self, engine: AsyncEngine, *, concurrency: int = 8, queues: Sequence[str] | None = None) -> None:
        self._engine = engine
        self._concurrency = concurrency
        self._names = list(queues) if queues is not None else engine.registry.names()
        self._driving: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._jobs: JobWorker | None = None

    def drain(self) -> None:
        """Take no more runs, and hand those that are driven back before their next step; `run` returns then."""
        self._stopping.set()
        self._engine._keeper.drain()
        if self._jobs is not None:
            # what is driven comes to its next step before its job ends
            self._jobs.shutdown_graceful_timeout = None
            self._jobs.stop()  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Take and drive runs until it is drained. A database that is away for a while is waited for."""
        await self._feed()
        if self._driving:
            await asyncio.wait(self._driving)

    async def _feed(self) -> None:
        """Have Procrastinate fetch jobs, again and again: it gives up when the database goes away."""
        engine = self._engine
        app = job_app(self._drive, engine._listen_url, engine.settings)
        wait = _FIRST_WAIT
        async with app.open_async(engine._storage.pool):
            while not self._stopping.is_set():
                try:
                    queues = await engine._queue.names_of(self._names)
                    self._jobs = JobWorker(app, queues, **self._options())  # type: ignore[arg-type]
                    if self._stopping.is_set():
                        return
                    await self._jobs.run()  # type: ignore[no-untyped-call]
                    wait = _FIRST_WAIT
                except (ConnectorException, StorageUnavailable) as error:
                    _log.warning("the queue is out of reach; trying again", error=str(error.__cause__ or error))
                await _pause(self._stopping, wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    def _options(self) -> dict[str, object]:
        lease = self._engine.settings.lease_seconds
        return {
            "concurrency": self._concurrency,
            "install_signal_handlers": False,
            "fetch_job_polling_interval": min(_POLL_SECONDS, lease / 3),
            "abort_job_polling_interval": 3600.0,
            "shutdown_graceful_timeout": 0.0,
            "delete_jobs": "always",
            "update_heartbeat_interval": lease / 3,
            "stalled_worker_timeout": lease,
        }

    async def _drive(self, thread_id: str) -> None:
        """Do a job: drive its run until it pauses or ends.

        A job is stopped when Procrastinate loses the database. The drive, which may well survive that, goes on without it
        and still takes its place.
        """
        if len(self._driving) >= self._concurrency:
            raise _Full(f"{self._concurrency} runs are driven already")
        driving = asyncio.create_task(self._engine._drive_queued(thread_id))
        self._driving.add(driving)
        driving.add_done_callback(self._driving.discard)
        await asyncio.shield(driving)


class _Full(Exception):
    """Runs that lost their job are still being driven."""


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
