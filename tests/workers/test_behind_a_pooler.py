"""Workers behind PgBouncer in transaction mode: two sessions for all, and any of them for each transaction."""

import asyncio
from typing import Any

import pytest

from adjourn import AsyncEngine, Principal, approve
from adjourn.engine import timekeeping, upkeep, worker
from adjourn.engine.worker import Worker
from adjourn.settings import Settings
from support import workflows
from support.auditing import agree
from support.eventually import eventually
from support.families import parent_of
from support.postgres import execute
from support.servers import PGBOUNCER, pgbouncer
from support.workflows import chain, mark

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
KNOWN: dict[str, Any] = {
    "asking": workflows.asking, "marks": chain(("one", mark("one"))), "parent": parent_of("asking"),
}  # fmt: skip
KIM = Principal("kim")
ENDED = "select count(*) filter (where status <> 'completed'), count(*) from adjourn.runs"


async def drained(running: Worker, task: "asyncio.Task[bool]") -> None:
    running.drain()
    assert await task


async def test_two_workers_do_all_that_they_do_elsewhere(database: str) -> None:
    """Limits, schedules, families, answers and later starts: nothing of it may rest on a session."""
    async with AsyncEngine.open(database):
        pass
    with pgbouncer(database) as behind:
        settings = Settings(prepare_threshold=None, listen_url=database, lease_seconds=3.0)
        async with (
            AsyncEngine.open(behind, workflows=KNOWN, principal=KIM, settings=settings) as engine,
            AsyncEngine.open(behind, workflows=KNOWN, principal=KIM, settings=settings) as other,
        ):
            workers = [Worker(each, concurrency=4) for each in (engine, other)]
            tasks = [asyncio.create_task(each.run()) for each in workers]
            await engine.set_limit(at_once=2)
            await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *")
            for number in range(6):
                await engine.submit("parent", {"name": "x"}, thread_id=f"p{number}")
                await engine.submit("marks", {"name": "x"}, thread_id=f"m{number}")

            async def answered() -> bool:
                for review in await engine.reviews():
                    await engine.resume(review.thread_id, approve(), by="dana", wait=False)
                parents = [run.status for run in await engine.runs(workflow="parent")]
                return parents == ["completed"] * 6

            await eventually(answered, timeout=60)
            await eventually(lambda: len(execute(database, "select 1 from adjourn.runs where workflow = 'marks'")) > 7)
            await engine.unschedule("often")
            await eventually(lambda: execute(database, ENDED)[0][0] == 0, timeout=20)
            for each, task in zip(workers, tasks, strict=True):
                await drained(each, task)
    agree(database)
    held = "select count(*) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()"
    assert execute(database, held) == [(0,)], "no session keeps a lock that its next user knows nothing of"


async def test_it_hears_of_jobs_places_and_ends_on_the_direct_connection(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks by himself for ten minutes: what goes on, goes on because somebody was told."""
    for module, name in ((worker, "_POLL_SECONDS"), (timekeeping, "_LONGEST_PAUSE"), (upkeep, "_LONGEST_PAUSE")):
        monkeypatch.setattr(module, name, 600.0)
    async with AsyncEngine.open(database):
        pass
    with pgbouncer(database) as behind:
        settings = Settings(prepare_threshold=None, listen_url=database, lease_seconds=3600.0)
        async with AsyncEngine.open(behind, workflows=KNOWN, principal=KIM, settings=settings) as engine:
            await engine.set_limit("marks", at_once=1)
            running = Worker(engine)
            task = asyncio.create_task(running.run())
            await engine.submit("asking", {"name": "x"}, thread_id="first")
            assert (await engine.wait("first", timeout=30)).status == "paused"
            await asyncio.gather(*(engine.submit("marks", {"name": "x"}, thread_id=f"m{n}") for n in range(3)))
            for number in range(3):
                assert (await engine.wait(f"m{number}", until="completed", timeout=30)).status == "completed"
            await engine.resume("first", approve(), wait=False)
            assert (await engine.wait("first", until="completed", timeout=30)).status == "completed"
            await drained(running, task)
