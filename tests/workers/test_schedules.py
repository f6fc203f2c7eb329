"""Schedules: declared once, started by any worker, each moment once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adjourn import (
    AsyncEngine,
    ConfigurationError,
    InvalidInput,
    Principal,
    Settings,
    Timetable,
    UnknownSchedule,
    UnknownWorkflow,
)
from adjourn.engine.schedule_rows import thread_of
from support import workflows
from support.auditing import agree
from support.eventually import eventually
from support.postgres import execute
from support.workflows import chain, mark
from support.working import Serving

KNOWN: dict[str, Any] = {"marks": chain(("one", mark("one"))), "asking": workflows.asking}
STARTED = "select thread_id, requested_by, status, created_at from adjourn.runs order by created_at, thread_id"


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim")) as opened:
        yield opened


async def back(database: str, seconds: float) -> datetime:
    """Let a schedule look as if nobody had been there for so long; return the moment at which that began."""
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)
    execute(
        database, f"update adjourn.schedules set settled_until = '{since}', next_at = '{since + timedelta(seconds=1)}'"
    )
    return since


async def test_a_schedule_is_declared_changed_listed_and_removed(engine: AsyncEngine) -> None:
    daily = await engine.schedule("nightly", "marks", {"name": "x"}, cron="0 3 * * *", timezone="Europe/Berlin")
    assert daily.timetable == Timetable("0 3 * * *", "Europe/Berlin", "latest", 60.0)
    assert (daily.workflow, daily.created_by, daily.last_at) == ("marks", "kim", None)
    assert daily.next_at is not None
    assert daily.next_at > datetime.now(UTC)
    again = await engine.schedule(
        "nightly", "marks", {"name": "y"}, cron="0 3 * * *", timezone="Europe/Berlin", by="dana"
    )
    assert (again.next_at, again.created_by) == (daily.next_at, "dana")
    assert await engine.schedules() == [again]
    await engine.unschedule("nightly")
    assert await engine.schedules() == []
    with pytest.raises(UnknownSchedule, match="nightly"):
        await engine.unschedule("nightly")


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"name": ""}, ConfigurationError), ({"name": "a\nb"}, ConfigurationError), ({"cron": "soon"}, ConfigurationError),
    ({"timezone": "Moon"}, ConfigurationError), ({"missed": "maybe"}, ConfigurationError),
    ({"grace": -1}, ConfigurationError), ({"priority": 1e9}, InvalidInput), ({"workflow": "nowhere"}, UnknownWorkflow),
    ({"input": {"name": object()}}, InvalidInput),
]  # fmt: skip


async def test_what_is_no_schedule_is_refused(engine: AsyncEngine) -> None:
    good = {"name": "x", "workflow": "marks", "input": {"name": "x"}, "cron": "* * * * *"}
    for wrong, error in WRONG:
        with pytest.raises(error):
            await engine.schedule(**{**good, **wrong})
    assert await engine.schedules() == []


async def test_schedules_of_another_tenant_are_unknown(database: str, engine: AsyncEngine) -> None:
    await engine.schedule("nightly", "marks", {"name": "x"}, cron="0 3 * * *")
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("ann", tenant="acme")) as other:
        assert await other.schedules() == []
        with pytest.raises(UnknownSchedule):
            await other.unschedule("nightly")


MADE_UP: dict[Any, list[int]] = {"skip": [2, 1, 0], "latest": [3, 2, 1, 0], "all": [*range(9, -1, -1)]}


async def test_moments_that_nobody_was_there_for_are_made_up_as_the_policy_says(
    database: str, engine: AsyncEngine
) -> None:
    """Nobody was there for ten seconds; what is older than two and a half was missed."""
    for missed in MADE_UP:
        await engine.schedule(missed, "marks", {"name": "x"}, cron="* * * * * *", missed=missed, grace=2.5)
    since = await back(database, 10)
    now = since + timedelta(seconds=10, milliseconds=200)
    async with engine._storage.pool.connection() as connection, connection.transaction():
        cursor = await connection.execute("select *, %s::timestamptz as now from adjourn.schedules", [now])
        for due in await cursor.fetchall():
            await engine._start_due(connection, due)
    expected = {
        thread_of("default", missed, since + timedelta(seconds=10 - each))
        for missed, ago in MADE_UP.items()
        for each in ago
    }
    assert {thread for thread, *_ in execute(database, STARTED)} == expected
    assert len(execute(database, "select 1 from adjourn.procrastinate_jobs")) == len(expected)
    for kept in await engine.schedules():
        assert (kept.last_at, kept.next_at) == (since + timedelta(seconds=10), since + timedelta(seconds=11))


async def test_a_moment_that_was_started_is_not_started_again_whatever_the_schedule_remembers(
    database: str, engine: AsyncEngine
) -> None:
    await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *", missed="all")
    for _ in range(3):
        await back(database, 3)
        await engine._start_scheduled(["marks"])
    started = [thread for thread, *_ in execute(database, STARTED)]
    assert 3 <= len(started) == len(set(started)) <= 6


async def test_a_schedule_that_cannot_be_kept_holds_up_no_other(database: str, engine: AsyncEngine) -> None:
    for name in ("bad", "good"):
        await engine.schedule(name, "marks", {"name": "x"}, cron="* * * * * *")
    await back(database, 3)
    execute(database, "update adjourn.schedules set timezone = 'Europe/Atlantis' where name = 'bad'")
    await engine._start_scheduled(["marks"])
    assert {who for _, who, *_ in execute(database, STARTED)} == {"schedule:good"}
    bad, good = await engine.schedules()
    assert (bad.name, bad.timetable.timezone, good.problem) == ("bad", "Europe/Atlantis", None)
    assert bad.problem is not None
    assert "'Europe/Atlantis' is no time zone" in bad.problem
    mended = await engine.schedule("bad", "marks", {"name": "x"}, cron="* * * * * *")
    assert mended.problem is None


async def test_what_cannot_be_kept_here_stays_due_for_others_and_is_not_looked_at_again_for_a_while(
    database: str, engine: AsyncEngine
) -> None:
    await engine.schedule("bad", "marks", {"name": "x"}, cron="* * * * * *", missed="all")
    since = await back(database, 3)
    execute(database, "update adjourn.schedules set timezone = 'Europe/Atlantis'")
    put_off: dict[str, float] = {}
    assert await engine._start_scheduled(["marks"], put_off) is None
    assert list(put_off) == ["default\x1fbad"]
    assert execute(database, "select settled_until, next_at from adjourn.schedules")[0][0] == since
    execute(database, "update adjourn.schedules set timezone = 'UTC'")
    assert await engine._start_scheduled(["marks"], put_off) is None
    await engine._start_scheduled(["marks"])
    assert len(execute(database, STARTED)) >= 3


async def test_nobody_keeps_a_schedule_from_starting_by_taking_its_thread_ids(
    database: str, engine: AsyncEngine
) -> None:
    await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *", missed="all")
    since = await back(database, 3)
    moments = [since + timedelta(seconds=number) for number in range(1, 4)]
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("eve", tenant="evil")) as other:
        await other.start("marks", {"name": "y"}, thread_id=thread_of("default", "often", moments[1]))
    await engine._start_scheduled(["marks"])
    started = [thread for thread, who, *_ in execute(database, STARTED) if who == "schedule:often"]
    ours = [thread_of("default", "often", moment) for moment in moments]
    assert len(started) >= 3
    assert ours[0] in started
    assert ours[1] not in started


async def test_who_lacks_the_workflow_leaves_its_schedules_to_others(database: str, engine: AsyncEngine) -> None:
    await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *")
    await back(database, 3)
    assert await engine._start_scheduled(["asking"]) is None
    assert execute(database, STARTED) == []


async def test_workers_start_each_moment_once_and_as_submitted_runs(
    database: str, engine: AsyncEngine, serving: Serving
) -> None:
    await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *", priority=3)
    async with serving(KNOWN), serving(KNOWN):
        await eventually(lambda: len(execute(database, STARTED)) >= 3, timeout=30)
        await engine.unschedule("often")
    runs = execute(database, STARTED)
    async with serving(KNOWN):
        await eventually(lambda: {row[2] for row in execute(database, STARTED)} == {"completed"}, timeout=20)
    moments = sorted(at.replace(microsecond=0) for *_, at in runs)
    assert [moment - moments[0] for moment in moments] == [timedelta(seconds=n) for n in range(len(runs))]
    assert {who for _, who, *_ in runs} == {"schedule:often"}
    agree(database)


@pytest.mark.soak
async def test_a_schedule_of_every_second_for_a_minute_with_three_workers_starts_exactly_sixty(
    database: str, engine: AsyncEngine, serving: Serving
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(serving(KNOWN))
        await asyncio.sleep(1 - datetime.now(UTC).microsecond / 1e6 + 0.5)
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *")
        last = first + timedelta(seconds=59)
        await eventually(lambda: _settled(engine, last), timeout=90)
        await engine.unschedule("often")
        expected = {thread_of("default", "often", first + timedelta(seconds=number)) for number in range(60)}
        started = [thread for thread, *_ in execute(database, STARTED)]
        assert expected <= set(started)
        # whatever came between the last of them and the end of the schedule
        assert len(started) == len(set(started)) <= 63
        await eventually(lambda: {row[2] for row in execute(database, STARTED)} == {"completed"}, timeout=60)


async def _settled(engine: AsyncEngine, last: datetime) -> bool:
    (found,) = await engine.schedules()
    return found.last_at is not None and found.last_at >= last


@pytest.mark.soak
@pytest.mark.parametrize(("missed", "made_up"), [("skip", 0), ("latest", 1), ("all", 7)])
async def test_with_the_workers_stopped_for_ten_seconds_the_policy_decides(
    database: str, engine: AsyncEngine, serving: Serving, missed: Any, made_up: int
) -> None:
    await engine.schedule("often", "marks", {"name": "x"}, cron="* * * * * *", missed=missed, grace=3.0)
    async with serving(KNOWN), serving(KNOWN), serving(KNOWN):
        await eventually(lambda: len(execute(database, STARTED)) >= 3, timeout=30)
    (before,) = await engine.schedules()
    await asyncio.sleep(10)
    async with serving(KNOWN), serving(KNOWN), serving(KNOWN):
        await eventually(lambda: _settled(engine, before.last_at + timedelta(seconds=14)), timeout=30)
        await engine.unschedule("often")
    started = {thread for thread, *_ in execute(database, STARTED)}
    away = [before.last_at + timedelta(seconds=number) for number in range(1, 15)]
    present = [thread_of("default", "often", moment) in started for moment in away]
    # the first of those that were only late, three seconds before somebody looked again
    late = next(index for index, _ in enumerate(away) if all(present[index:]))
    missed_ones = present[: late + (1 if missed == "latest" else 0)]
    if missed == "all":
        assert all(present)
    else:
        assert 6 <= len(missed_ones) <= 9
        assert sum(missed_ones) <= made_up


async def test_with_a_key_the_input_of_a_schedule_is_not_stored_in_clear(database: str) -> None:
    settings = Settings(encryption_key="A" * 43 + "=")
    async with AsyncEngine.open(database, workflows=KNOWN, settings=settings) as engine:
        await engine.schedule(
            "often", "marks", {"name": "the secret name"}, cron="* * * * * *", context={"key": "a secret"}
        )
        stored = execute(database, "select input, context, policies::text from adjourn.schedules")[0]
        assert b"secret" not in bytes(stored[0]) + bytes(stored[1])
        await back(database, 1)
        await engine._start_scheduled(["marks"])
        (run,) = await engine.runs(limit=1)
        await engine._drive_queued(run.thread_id)
        assert (await engine.get(run.thread_id)).state["name"] == "the secret name"
