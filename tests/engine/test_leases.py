"""A heartbeat never takes a drive that has given its lease back for one that lost it; and locks are taken in one order."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine, Settings
from adjourn.engine.leases import Drive
from adjourn.engine.reviews import ReviewStore
from adjourn.engine.runs import RunStore
from support import workflows
from support.eventually import eventually
from support.postgres import execute

SECONDS = 0.09  # a heartbeat every 0.03 seconds
MANY_BEATS = 0.3


def slowed(function: Any) -> Any:
    async def after_many_beats(*args: Any, **values: Any) -> Any:
        result = await function(*args, **values)
        await asyncio.sleep(MANY_BEATS)
        return result

    return after_many_beats


@pytest.fixture
def settings() -> Settings:
    return Settings(lease_seconds=SECONDS)


@pytest.mark.parametrize("slow", ["settle_run", "pending"])
async def test_a_run_that_pauses_while_hearts_beat_has_not_lost_its_lease(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    store: type[Any] = RunStore if slow == "settle_run" else ReviewStore
    monkeypatch.setattr(store, slow, slowed(getattr(store, slow)))
    async with AsyncEngine.open(database, workflows={"asking": workflows.asking}, settings=settings) as engine:
        run = await engine.start("asking", {"name": "x"})
    assert (run.status, len(run.reviews)) == ("paused", 1)


async def test_a_run_that_fails_while_hearts_beat_is_failed(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(state: workflows.Trail) -> workflows.Trail:
        raise ValueError("broken")

    monkeypatch.setattr(RunStore, "settle_run", slowed(RunStore.settle_run))
    failing = workflows.chain(("fail", fail))
    async with AsyncEngine.open(database, workflows={"failing": failing}, settings=settings) as engine:
        run = await engine.start("failing", {"name": "x"})
    assert (run.status, run.error and run.error["message"]) == ("failed", "broken")


BLOCKED = (
    "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
    "and query like '%adjourn.leases%'"
)


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(database, workflows={"asking": workflows.asking}) as opened:
        yield opened


async def test_a_heartbeat_locks_leases_by_thread_id_whatever_their_place(engine: AsyncEngine, database: str) -> None:
    """Whoever locks several goes by thread id; in the order of the table two would wait for each other."""
    for thread in ("b", "a"):
        execute(
            database,
            "insert into adjourn.leases (thread_id, owner, expires_at) "
            f"values ('{thread}', '{engine._keeper.owner}', now() + interval '1 hour')",
        )
    with psycopg.connect(database) as holder:
        holder.execute("select from adjourn.leases where thread_id = 'b' for no key update")
        beat = asyncio.create_task(engine._keeper._renew(["b", "a"]))
        await eventually(lambda: execute(database, BLOCKED))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            execute(database, "select from adjourn.leases where thread_id = 'a' for no key update nowait")
        holder.rollback()
        assert set(await beat) == {"a", "b"}


async def test_giving_a_lease_back_locks_the_run_before_the_lease(engine: AsyncEngine, database: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    claimed = await engine._runs.claim("t", "default", ("paused",))
    assert claimed is not None
    with psycopg.connect(database) as holder:
        holder.execute("select from adjourn.runs where thread_id = 't' for no key update")
        engine._keeper._abandoned.append(Drive("t", claimed["token"]))
        giving = asyncio.create_task(engine._keeper._give_back())
        await eventually(lambda: execute(database, BLOCKED))
        execute(database, "select from adjourn.leases where thread_id = 't' for no key update nowait")
        holder.rollback()
        await giving
    assert execute(database, "select expires_at = '-infinity' from adjourn.leases") == [(True,)]


async def test_nothing_of_a_drive_stays_in_memory_when_its_run_has_completed(database: str) -> None:
    """Whoever waits for the collector of circles waits long, and each circle would hold a run's whole state."""
    marked = workflows.chain(("a", workflows.mark("a")))
    async with AsyncEngine.open(database, workflows={"marked": marked}) as engine:
        gc.collect()
        gc.disable()
        try:
            assert (await engine.start("marked", {"name": "x"})).status == "completed"
            assert [each for each in gc.get_objects() if isinstance(each, Drive)] == []
        finally:
            gc.enable()
