"""What stays of a family, and for how long; and what counts as its progress."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adjourn import AsyncEngine, Run, ThreadBusy, approve
from adjourn.checkpoints.retention import Policy, prune
from adjourn.engine.recovery import RecoveryStore
from adjourn.nodes.children import child
from adjourn.settings import Settings
from support.eventually import eventually
from support.families import Runs, parent_of, told, working
from support.postgres import execute
from support.recovering import attempt_and_die
from support.workflows import asking, chain, mark

LATER = datetime.now(UTC) + timedelta(days=30)
KEY = base64.b64encode(bytes(range(32))).decode()


async def quick_then_asking(state: Runs) -> Runs:
    quick = await child("quick", "quick", {"name": "x"})
    return {"got": [told(quick), told(await child("asking", "asking", {"name": "x"}))]}


WORKFLOWS: dict[str, Any] = {
    "asking": asking, "quick": chain(("quick", mark("quick"))), "parent": working(quick_then_asking),
}  # fmt: skip


def thread_of(run: Run, name: str) -> str:
    return next(each.thread_id for each in run.children if each.id == name)


async def test_what_ended_is_kept_while_the_run_at_the_top_may_look_at_it_again(database: str) -> None:
    async with AsyncEngine.open(database, workflows=WORKFLOWS) as engine:
        run = await engine.start("parent", {"name": "x"})
        pool, saver = engine._storage.pool, engine._storage.saver
        policy = Policy(erase_after=timedelta(0), prune_after=timedelta(0))
        assert (await prune(pool, saver, policy, now=LATER)).erased == 0
        with pytest.raises(ThreadBusy):
            await engine.erase(thread_of(run, "quick"))
        await engine.resume(thread_of(run, "asking"), approve())
        run = await engine.get(run.thread_id)
        assert (run.status, run.state["got"][0]) == ("completed", ["quick"])
        assert (await prune(pool, saver, policy, now=LATER)).erased == 3


async def test_erasing_a_run_erases_its_children_too_all_or_none(database: str) -> None:
    async with AsyncEngine.open(database, workflows=WORKFLOWS) as engine:
        run = await engine.start("parent", {"name": "x"})
        with pytest.raises(ThreadBusy):
            await engine.erase(run.thread_id)
        await engine.cancel(run.thread_id, reason="enough")
        run = await engine.erase(run.thread_id)
        assert [each.status for each in run.children] == ["completed", "cancelled"]
        assert (await engine.get(thread_of(run, "quick"))).state == {}
    assert execute(database, "select distinct thread_id from checkpoints") == []


async def test_a_deleted_child_counts_as_cancelled_and_a_deleted_parent_cancels_its_children(database: str) -> None:
    workflows = {**WORKFLOWS, "parent": parent_of("asking", on_failure="return")}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        run = await engine.start("parent", {"name": "x"})
        await engine._runs.delete(run.children[0].thread_id, "default")
        (run,) = await engine.recover()
        assert (run.status, run.state["got"]) == ("completed", ["ChildFailed: cancelled", "last"])
        run = await engine.start("parent", {"name": "x"})
        await engine._runs.delete(run.thread_id, "default")
        assert (await engine.get(run.children[0].thread_id)).status == "cancelled"


async def test_what_a_child_got_done_forgives_the_crashes_of_its_parent(database: str) -> None:
    async with AsyncEngine.open(database, workflows=WORKFLOWS) as engine:
        run = await engine.start("parent", {"name": "x"}, thread_id="p")
        execute(database, "update adjourn.runs set status = 'running' where thread_id = 'p'")
        store = RecoveryStore(engine._storage.pool)
        assert await eventually(lambda: attempt_and_die(engine, "p"))
        execute(database, "update adjourn.runs set next_attempt_at = null")
        (found,) = await store.stalled("default", 10)
        assert found.newest_checkpoint == found.attempted_checkpoint
        await engine.resume(thread_of(run, "asking"), approve())
        (found,) = await store.stalled("default", 10)
        assert found.newest_checkpoint != found.attempted_checkpoint


async def test_with_a_key_nothing_of_what_a_child_is_about_is_stored_in_clear(database: str) -> None:
    secret = "tell-nobody"
    settings = Settings(encryption_key=KEY)
    workflows = {**WORKFLOWS, "parent": parent_of("asking", {"name": secret})}
    async with AsyncEngine.open(database, workflows=workflows, settings=settings) as engine:
        run = await engine.start("parent", {"name": "x"}, context={"of": secret})
        run = await engine.cancel(run.thread_id, reason=secret)
        assert [each.error and each.error["message"] for each in run.children] == [secret]
    tables = execute(
        database,
        "select schemaname || '.' || tablename from pg_tables where schemaname in ('adjourn', 'public')",
    )
    for (table,) in tables:
        assert execute(database, f"select 1 from {table} t where strpos(t::text, '{secret}') > 0") == [], table
        hidden = secret.encode().hex()
        assert execute(database, f"select 1 from {table} t where strpos(t::text, '{hidden}') > 0") == [], table
