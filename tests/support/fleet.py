"""Worker processes (`adjourn worker`) over one database: started, told to stop, killed; and whoever submits and answers."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph

from adjourn import AsyncEngine, NotPaused, ReviewClosed, StorageUnavailable, approve
from adjourn.settings import Settings
from support.forking import Forked
from support.load import load_workflow
from support.processes import Child
from support.workflows import Trail

TESTS = Path(__file__).parents[1]
FLOWS = """
import os
from pathlib import Path
from support.load import load_workflow

load = load_workflow(Path(os.environ["LEDGER"]), float(os.environ["PAUSE"]))
"""
PROJECT = '{"dependencies": ["."], "graphs": {"load": "./flows.py:load"}}'


class Fleet:
    """Workers that know the workflow `load` of support.load.

    Args:
        database: The database.
        folder: An empty folder; the ledger is made in it.
        pause: The longest that a node takes, in seconds.
        lease: How long leases last.
        concurrency: How many runs each drives at once.
        drain: How long a worker that is told to stop waits.
        queues: The workflows whose runs they take.
    """

    def __init__(
        self,
        database: str,
        folder: Path,
        *,
        pause: float,
        lease: float,
        concurrency: int = 8,
        drain: float = 30,
        queues: str = "load",
    ) -> None:
        self.ledger = folder / "ledger"
        self.ledger.touch()
        (folder / "flows.py").write_text(FLOWS)
        (folder / "langgraph.json").write_text(PROJECT)
        self.alive: list[Child] = []
        self.killed: list[int] = []
        self.log = ""
        self._folder = folder
        self._command = ["-m", "adjourn.cli", "worker", "--queues", queues, "--concurrency", str(concurrency)]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "LEDGER": str(self.ledger),
            "PAUSE": str(pause),
            "ADJOURN_DATABASE_URL": database,
            "ADJOURN_LEASE_SECONDS": str(lease),
            "ADJOURN_DRAIN_SECONDS": str(drain),
            "ADJOURN_ACQUIRE_TIMEOUT": "5",
        }

    def workflow(self) -> StateGraph[Trail]:
        """The workflow, to submit runs of it."""
        return load_workflow(self.ledger, 0)

    def start(self) -> Child:
        worker = Child(Forked(self._command, self._environment, self._folder))
        self.alive.append(worker)
        return worker

    def kill(self, worker: Child) -> None:
        """kill -9."""
        self.alive.remove(worker)
        self.killed.append(worker.pid)
        worker.kill()
        self.log += worker.output

    def stop(self, worker: Child) -> None:
        """SIGTERM, and wait until it has ended by itself."""
        worker.tell(signal.SIGTERM)
        self.alive.remove(worker)
        self.log += worker.finish()


@contextmanager
def fleet(database: str, folder: Path, **options: Any) -> Iterator[Fleet]:
    """A fleet without workers yet; those that are left at the end of the block are killed."""
    workers = Fleet(database, folder, **options)
    try:
        yield workers
    finally:
        for worker in list(workers.alive):
            workers.kill(worker)


async def submit_and_answer(database: str, names: Sequence[str], submitted: asyncio.Event) -> None:
    """Submit the runs, answer each when it asks, and return when all have completed. Nothing is driven here."""
    settings = Settings(lease_seconds=3.0, acquire_timeout=5.0)
    workflows = {"load": load_workflow(Path(os.devnull), 0)}
    async with AsyncEngine.open(database, workflows=workflows, settings=settings) as engine:
        await asyncio.gather(*(engine.submit("load", {"name": name}, thread_id=name) for name in names))
        submitted.set()
        ended, since = 0, time.monotonic()
        while ended < len(names):
            with contextlib.suppress(StorageUnavailable, NotPaused, ReviewClosed):  # the next look finds what is left
                for run in await engine.runs(status="paused", limit=1000):
                    await engine.resume(run.thread_id, approve(), by="dana", wait=False)
                failed = await engine.runs(status="failed")
                assert not failed, failed[0].error
                completed = len(await engine.runs(status="completed", limit=1000))
                if completed > ended:
                    ended, since = completed, time.monotonic()
            assert time.monotonic() - since < 60, f"{ended} runs have ended, and none in 60 s"
            await asyncio.sleep(0.1)
