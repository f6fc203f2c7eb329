"""What is told to stop stops, even if it did not hear it the first time."""

import asyncio
from typing import Any

import pytest
from procrastinate.manager import JobManager

from adjourn import AsyncEngine
from adjourn.engine.leases import Drive, LeaseKeeper
from adjourn.engine.stopping import stopped, within
from adjourn.engine.worker import Worker
from adjourn.settings import Settings
from support.eventually import eventually
from support.postgres import execute


class Deaf:
    """Work that goes on for ever, and does not hear that it is cancelled the first times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.begun = asyncio.Event()

    async def work(self, *_: Any) -> Any:
        while True:
            try:
                self.begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.times -= 1
                if self.times < 0:
                    raise


async def test_it_is_said_until_it_is_heard_but_not_to_what_is_ending() -> None:
    deaf = Deaf(2)
    task = asyncio.create_task(deaf.work())
    await deaf.begun.wait()
    await stopped(task, again=0.01)
    assert (task.cancelled(), deaf.times) == (True, -1)
    ending = asyncio.create_task(asyncio.sleep(0.05))
    await stopped(ending, again=0.01, heard=lambda: True)
    assert not ending.cancelled()
    assert await within(5, asyncio.sleep(0))
    assert not await within(0.01, asyncio.sleep(99))


async def test_leases_are_closed_although_a_heartbeat_did_not_hear_that_it_is_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaf, pool = Deaf(), None
    keeper = LeaseKeeper(pool, seconds=0.01, grace=1.0)  # type: ignore[arg-type]
    monkeypatch.setattr(keeper, "_renew", deaf.work)
    with keeper.keeping(Drive("t", 1)):
        await deaf.begun.wait()
    async with asyncio.timeout(20):
        await keeper.close()


async def test_a_drive_that_did_not_hear_that_it_is_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.leases._NODES_CLEAN_UP_SECONDS", 0.01)
    deaf = Deaf(3)
    drive = Drive("t", 1, task=asyncio.create_task(deaf.work()))
    await deaf.begun.wait()
    async with asyncio.timeout(20):
        await drive.stopped()
    assert deaf.times == -1


async def test_a_worker_ends_although_its_queue_does_not_come_to_an_end(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that does not answer any more, and a cancellation that is lost in that."""
    monkeypatch.setattr("adjourn.engine.worker._LEAVING_SECONDS", 0.1)
    deaf, alive = Deaf(), "select count(*) from adjourn.workers"
    fetches = "select count(*) from adjourn.procrastinate_workers"
    monkeypatch.setattr(JobManager, "unregister_worker", deaf.work)
    async with AsyncEngine.open(database, settings=Settings(drain_seconds=3600)) as engine:
        worker = Worker(engine)
        running = asyncio.create_task(worker.run())
        await eventually(lambda: execute(database, fetches) == [(1,)])
        await eventually(lambda: execute(database, alive) == [(1,)])
        worker.drain()
        async with asyncio.timeout(30):
            assert await running
    assert (deaf.begun.is_set(), execute(database, alive)) == (True, [(0,)])
