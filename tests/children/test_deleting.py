"""Deleting a run that has children: they are cancelled, under locks that are taken in the order of all others."""

import asyncio
from typing import Any

import psycopg

from adjourn import AsyncEngine
from support.eventually import eventually
from support.families import parent_of
from support.postgres import execute
from support.workflows import asking

KNOWN: dict[str, Any] = {"asking": asking, "middle": parent_of("asking"), "parent": parent_of("middle")}
# whoever waits for a row of another transaction
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def test_deleting_a_family_and_cancelling_it_wait_for_each_other_and_none_fails(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        run = await engine.start("parent", {"name": "x"}, thread_id="z")
        ((first, second),) = execute(
            database, "select min(thread_id), max(thread_id) from adjourn.runs where thread_id <> 'z'"
        )
        with psycopg.connect(database) as other:
            # somebody cancels it, and has come as far as the first of its rows
            other.execute("select from adjourn.runs where thread_id = %s for no key update", (first,))
            deleting = asyncio.create_task(engine._runs.delete("z", "default"))
            await eventually(lambda: execute(database, WAITING) == [(1,)])
            why = '{"type": "Cancelled", "message": "not wanted", "by": "kim"}'
            cancelled = other.execute("select adjourn.cancel_runs('z', 'default', %s, '{}')", (why,)).fetchall()
            assert {row[0] for row in cancelled} == {first, second, "z"}
            other.commit()
            await deleting
        assert [each.status for each in await engine.runs()] == ["cancelled", "cancelled"]
        assert run.children


async def test_what_goes_on_below_a_run_that_is_deleted_is_cancelled_and_strangers_delete_nothing(
    database: str,
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        await engine.start("parent", {"name": "x"}, thread_id="z")
        await engine._runs.delete("z", "another")
        assert (await engine.get("z")).status == "paused"
        await engine._runs.delete("z", "default")
        left = await engine.runs()
        assert [(each.status, each.error and each.error["by"]) for each in left] == [
            ("cancelled", "system:deletion")
        ] * 2
        assert list(await engine.reviews()) == []
