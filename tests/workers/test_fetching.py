"""How a worker takes its next job: by a look into an index for each of its queues."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate import sql, utils
from psycopg.rows import dict_row

from adjourn import AsyncEngine
from adjourn.engine.jobs import _qualified, job_app, job_pool
from support.postgres import execute
from support.workflows import chain, mark

FETCH = _qualified(sql.queries["fetch_job"])
OTHERS = """
    insert into adjourn.procrastinate_jobs (queue_name, task_name, priority, args)
    select 'others', 'adjourn:drive', 5, '{}' from generate_series(1, 20000)
"""


def fetched(connection: psycopg.Connection[Any], *queues: str) -> dict[str, Any]:
    row = connection.cursor(row_factory=dict_row).execute(FETCH, {"queues": list(queues), "worker_id": None}).fetchone()
    assert row is not None
    return row


async def test_a_worker_finds_its_job_whatever_lies_in_other_queues(database: str) -> None:
    """Seen in the pages that PostgreSQL touches: a walk past the others' jobs would touch hundreds."""
    async with AsyncEngine.open(database, workflows={"mine": chain(("one", mark("one")))}) as engine:
        await engine.submit("mine", {"name": "x"}, thread_id="x", priority=-3)
    execute(database, OTHERS, "analyze adjourn.procrastinate_jobs")
    with psycopg.connect(database, autocommit=True) as connection:
        values = {"queues": ["none", "mine"], "worker_id": None}
        for number in range(8):  # from the sixth time on PostgreSQL may choose a plan for whatever queues
            with connection.transaction(force_rollback=True):
                row = connection.execute("explain (analyze, buffers, format json) " + FETCH, values).fetchone()  # type: ignore[arg-type]
            assert row is not None
            # the first time it reads what it must know of the tables
            assert number == 0 or row[0][0]["Plan"]["Shared Hit Blocks"] < 100
        job = fetched(connection, "none", "mine")
        assert (job["args"], job["status"], job["priority"]) == ({"thread_id": "x"}, "doing", -3)
        assert fetched(connection, "mine")["id"] is None


async def test_workers_that_take_jobs_at_once_take_different_ones_the_most_urgent_first(database: str) -> None:
    async with AsyncEngine.open(database):
        pass
    execute(database, OTHERS.replace("20000", "40"), "update adjourn.procrastinate_jobs set priority = 9 where id > 35")
    execute(database, OTHERS.replace("20000", "5").replace("others", "more"))
    with psycopg.connect(database) as first, psycopg.connect(database) as second:
        # one that takes more than another would look at in its first look: all are locked until it commits
        taken = [fetched(first, "more", "others")["id"] for _ in range(30)]
        assert taken == [36, 37, 38, 39, 40, *range(1, 26)]
        left = {fetched(second, "others", "more")["id"] for _ in range(15)}
        assert left == {*range(26, 36), *range(41, 46)}
        assert fetched(second, "others", "more")["id"] is None


async def test_a_job_for_later_is_not_taken(database: str) -> None:
    async with AsyncEngine.open(database):
        pass
    execute(database, OTHERS.replace("20000", "2"))
    execute(database, "update adjourn.procrastinate_jobs set scheduled_at = now() + interval '1 hour' where id = 1")
    with psycopg.connect(database) as connection:
        assert [fetched(connection, "others")["id"] for _ in range(2)] == [2, None]


async def test_a_job_is_tried_again_by_the_clock_of_the_database(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose own clock is an hour ahead puts nothing off for an hour."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(utils, "utcnow", lambda: ahead)
    async with AsyncEngine.open(database) as engine:
        execute(database, OTHERS.replace("20000", "1"))
        execute(database, "update adjourn.procrastinate_jobs set status = 'doing'")

        async def nothing(*_: str) -> None: ...

        app = job_app(nothing, engine._listen_url, engine.settings)
        async with app.open_async(job_pool(engine._storage.saver)):
            (job,) = await app.job_manager.list_jobs_async()
            await app.job_manager.retry_job(job, ahead + timedelta(seconds=5))
    query = "select status::text, extract(epoch from scheduled_at - now())::float from adjourn.procrastinate_jobs"
    ((status, wait),) = execute(database, query)
    assert (status, wait) == ("todo", pytest.approx(5, abs=4))
