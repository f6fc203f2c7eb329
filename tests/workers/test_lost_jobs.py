"""Queued runs whose job somebody has deleted: workers give them another, and look at a few at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine
from adjourn.checkpoints.queries import load_queries
from adjourn.engine.queue import FIRST
from adjourn.settings import Settings
from support.postgres import execute
from support.workflows import chain, mark
from support.working import Serving

KNOWN: dict[str, Any] = {"marks": chain(("one", mark("one"))), "others": chain(("one", mark("one")))}
JOB = "args ->> 'thread_id'"


def jobs(url: str) -> list[str]:
    """The runs that have a job, once for each."""
    found = execute(url, f"select {JOB} from adjourn.procrastinate_jobs where status in ('todo', 'doing')")
    return sorted(row[0] for row in found)


@pytest.fixture
async def engine(database: str) -> Any:
    async with AsyncEngine.open(database, workflows=KNOWN) as opened:
        yield opened


async def test_a_queued_run_without_a_job_gets_one_and_no_other_run_does(engine: AsyncEngine, database: str) -> None:
    await engine.set_limit("others", at_once=1)
    for name in ("deleted", "cancelled", "waits", "taken", "ended"):
        await engine.submit("marks", {"name": "x"}, thread_id=name)
    await engine.submit("marks", {"name": "x"}, thread_id="later", start_at=datetime.now(UTC) + timedelta(days=1))
    for name in ("admitted", "held back"):
        await engine.submit("others", {"name": "x"}, thread_id=name)
        await engine._admit()
    await engine.cancel("ended", reason="no")
    execute(
        database,
        f"delete from adjourn.procrastinate_jobs where {JOB} in ('deleted', 'ended', 'admitted')",
        f"update adjourn.procrastinate_jobs set status = 'cancelled' where {JOB} = 'cancelled'",
        f"update adjourn.procrastinate_jobs set status = 'doing' where {JOB} = 'taken'",
    )
    assert await engine._queue.put_lost(FIRST, 100, 3600.0) == (0, FIRST)  # none of them has waited for long
    found = await asyncio.gather(*(engine._queue.put_lost(FIRST, 100, 0.0) for _ in range(3)))
    assert sum(lost for lost, _ in found) >= 3
    assert set(jobs(database)) == {"admitted", "cancelled", "deleted", "taken", "waits"}
    known = jobs(database)
    assert await engine._queue.put_lost(FIRST, 100, 0.0) == (0, FIRST)
    assert jobs(database) == known  # they do not pile up


async def test_some_are_looked_at_at_a_time_until_all_were(engine: AsyncEngine, database: str) -> None:
    names = [f"run {number}" for number in range(5)]
    for name in names:
        await engine.submit("marks", {"name": "x"}, thread_id=name)
    execute(
        database,
        "delete from adjourn.procrastinate_jobs",
        # as runs that were queued at the very same moment, by a version that did not note it
        "update adjourn.runs set queued_at = null, created_at = now()",
    )
    place, seen = FIRST, []
    for _ in range(3):
        lost, place = await engine._queue.put_lost(place, 2, 0.0)
        seen.append(lost)
    assert (seen, place) == ([2, 2, 1], FIRST)
    assert jobs(database) == names


async def test_what_a_look_costs_does_not_grow_with_those_that_wait(engine: AsyncEngine, database: str) -> None:
    """Seen in the pages that PostgreSQL touches."""
    execute(
        database,
        """
        insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
        select 'run ' || number, 'default', 'marks', '0', 'x', 'queued', 'kim', '' from generate_series(1, 10000) number
        """,
        "select adjourn.enqueue(array_agg(thread_id)) from adjourn.runs",
        "delete from adjourn.procrastinate_jobs where args ->> 'thread_id' = 'run 7777'",
    )
    execute(database, "analyze adjourn.runs", "analyze adjourn.procrastinate_jobs")
    ((since, thread),) = execute(database, "select queued_at, thread_id from adjourn.runs where thread_id = 'run 7776'")
    values = {"since": since, "after": thread, "limit": 20, "seconds": 0.0}
    with psycopg.connect(database, autocommit=True) as connection:
        query = load_queries("adjourn.engine", "queue.sql")["queue_lost"]
        for number in range(8):  # from the sixth time on PostgreSQL may choose a plan for whatever place
            with connection.transaction(force_rollback=True):
                row = connection.execute("explain (analyze, buffers, format json) " + query, values).fetchone()  # type: ignore[arg-type]
            assert row is not None
            assert number == 0 or row[0][0]["Plan"]["Shared Hit Blocks"] < 300
    lost, (_, last) = await engine._queue.put_lost((since, thread), 20, 0.0)
    assert (lost, last) == (1, "run 7796")


async def test_a_worker_drives_a_run_whose_job_somebody_has_deleted(database: str, serving: Serving) -> None:
    settings = Settings(lease_seconds=0.3)
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        execute(database, "delete from adjourn.procrastinate_jobs")
        async with serving(KNOWN, settings=settings):
            assert (await engine.wait("t", timeout=20)).status == "completed"
