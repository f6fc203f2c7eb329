"""A worker: takes queued runs, of any tenant, and drives them, as many at once as it may.

    Procrastinate fetches jobs, with their runs where it can (taking.py) → a job drives its run → the run pauses or ends
    beside that, the upkeep: see `upkeep.py`; and what has its time: see `timekeeping.py`

When the database goes away, Procrastinate stops, and is started again until it is back; drives wait for the database
themselves, and go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker as JobWorker

from ..errors import AdjournError
from .async_engine import AsyncEngine
from .jobs import job_app, job_pool
from .stopping import stopped, within
from .taking import JobTaker
from .timekeeping import Timekeeper
from .upkeep import Upkeep

__all__ = ["Worker"]

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_POLL_SECONDS: Final = 2.0
_NO_POLLING: Final = 1e6
_LEAVING_SECONDS: Final = 5.0
_log = structlog.get_logger("adjourn")


class Worker:
    """Drives queued runs through an engine, for the tenants of all.

    Args:
        engine: Knows the workflows, and holds the leases.
        concurrency: The most runs that are driven at once.
        workflows: The workflows whose runs it takes; by default those that the engine knows.
    """

    def __init__(self, engine: AsyncEngine, *, concurrency: int = 8, workflows: Sequence[str] | None = None) -> None:
        self._engine = engine
        self._concurrency = concurrency
        self._workflows = list(workflows) if workflows is not None else engine.registry.names()
        self._taker = JobTaker(
            engine._storage.saver,
            owner=engine._keeper.owner,
            seconds=engine.settings.lease_seconds,
            at_hand=lambda: self._at_hand if self._may_drive() else (),
        )
        self._app = job_app(self._drive, engine._listen_url, engine.settings, self._taker)
        self._upkeep = Upkeep(engine, self._app, concurrency=concurrency, workflows=self._workflows)
        self._times = Timekeeper(engine, self._workflows)
        self._driving: set[asyncio.Task[bool]] = set()
        # the queues whose runs were driven here
        self._at_hand: set[str] = set()
        self._stopping = asyncio.Event()
        self._jobs: JobWorker | None = None

    def drain(self) -> None:
        """Take no more runs, and hand those that are driven back before their next step; `run` returns then."""
        _log.info("the worker drains", driving=len(self._driving))
        self._stopping.set()
        self._upkeep.draining = True
        self._engine._keeper.drain()
        if self._jobs is not None:
            # what is driven comes to its next step before its job ends
            self._jobs.shutdown_graceful_timeout = None
            self._jobs.stop()  # type: ignore[no-untyped-call]

    async def run(self) -> bool:
        """Take and drive runs until it is drained. A database that is away for a while is waited for.

        Returns:
            Whether all runs were given back. False when some did not come to their next step within the time
            (`ADJOURN_DRAIN_SECONDS`): then the process is to end at once, and their leases run out.
        """
        upkeep = asyncio.create_task(self._upkeep.keep())
        times = asyncio.create_task(self._times.keep())
        feeding = asyncio.create_task(self._feed())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({feeding, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await self._drained(feeding)
        finally:
            await stopped(upkeep, times, stopping)
            await within(_LEAVING_SECONDS, self._upkeep.leave())

    async def _drained(self, feeding: asyncio.Task[None]) -> bool:
        deadline = asyncio.get_running_loop().time() + self._engine.settings.drain_seconds
        while self._driving and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._driving, timeout=left)
        if self._driving:
            _log.warning(
                "runs did not come to their next step in time; recovery goes on with them", runs=len(self._driving)
            )
            return False
        # The jobs of what was driven are ended now. Procrastinate tells its own tasks once to stop, which may go unheard.
        await asyncio.wait({feeding}, timeout=_LEAVING_SECONDS)
        if not feeding.done():
            await stopped(feeding)
        elif not feeding.cancelled():
            feeding.result()  # raises what ended it, if it was not asked to end
        return True

    async def _feed(self) -> None:
        """Have Procrastinate fetch jobs, again and again: it gives up when the database goes away."""
        wait = _FIRST_WAIT
        async with self._app.open_async(job_pool(self._engine._storage.saver)):
            while not self._stopping.is_set():
                try:
                    await self._fetch()
                    wait = _FIRST_WAIT
                except (ConnectorException, AdjournError) as error:
                    _log.warning("the queue is out of reach; trying again", error=str(error.__cause__ or error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stopping.wait()
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _fetch(self) -> None:
        queues = await self._engine._queue.names_of(self._workflows)
        lease = self._engine.settings.lease_seconds
        options: dict[str, Any] = {
            "concurrency": self._concurrency,
            "install_signal_handlers": False,
            "fetch_job_polling_interval": min(_POLL_SECONDS, lease / 3),
            "abort_job_polling_interval": _NO_POLLING,
            # When it loses the database it lets go of its jobs, and fetches again as soon as it can.
            "shutdown_graceful_timeout": 0.0,
            "delete_jobs": "always",
            "update_heartbeat_interval": lease / 3,
            "stalled_worker_timeout": lease,
        }
        self._jobs = JobWorker(self._app, queues, **options)
        if not self._stopping.is_set():
            await self._jobs.run()  # type: ignore[no-untyped-call]

    async def _drive(self, thread_id: str, queue: str) -> None:
        """Do a job: drive its run until it pauses or ends.

        A job is stopped when Procrastinate loses the database. The drive, which may well survive that, goes on without it
        and still takes its place.
        """
        taken = self._taker.run_of(thread_id)
        if not self._may_drive():
            if taken is None:
                raise _NotNow
            await self._engine._queue.hand_back(thread_id, taken.row["token"])
            return
        at_hand = queue in self._at_hand
        driving = asyncio.create_task(self._engine._drive_queued(thread_id, at_hand=at_hand, taken=taken))
        self._driving.add(driving)
        driving.add_done_callback(self._forget)
        if await asyncio.shield(driving):
            self._at_hand.add(queue)

    def _may_drive(self) -> bool:
        return not self._stopping.is_set() and len(self._driving) < self._concurrency

    def _forget(self, driving: asyncio.Task[bool]) -> None:
        self._driving.discard(driving)
        if not driving.cancelled():
            driving.exception()  # its job knows it; or has ended, and then the next one will meet it


class _NotNow(Exception):
    """The worker drains, or runs that lost their job are still being driven: the job is for later, or for others."""
