"""Runs that are queued, and workers that drive them."""

import asyncio
from typing import Any

import pytest
from langgraph.config import get_store

from adjourn import (
    AsyncEngine,
    InvalidInput,
    NotPaused,
    Principal,
    ReviewClosed,
    ThreadExists,
    UnknownWorkflow,
    approve,
    reject,
)
from adjourn.engine.queue import enqueue
from adjourn.engine.worker import Worker
from adjourn.nodes.children import child
from adjourn.settings import Settings
from support import workflows
from support.auditing import agree, said
from support.eventually import eventually
from support.postgres import execute
from support.workflows import chain, mark
from support.working import Gate, Serving

KNOWN: dict[str, Any] = {
    "asking": workflows.asking,
    "marks": chain(("one", mark("one")), ("two", mark("two"))),
    "parallel": workflows.parallel(),
}
KILL_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()"""
JOBS = "select args, status::text from adjourn.procrastinate_jobs order by id"


@pytest.fixture
async def engine(database: str) -> Any:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim")) as opened:
        yield opened


async def test_a_submitted_run_is_driven_by_a_worker_answered_and_driven_on(
    engine: AsyncEngine, database: str, serving: Serving
) -> None:
    run = await engine.submit("asking", {"name": "x"}, thread_id="t")
    assert (run.status, (await engine.get("t")).status) == ("queued", "queued")
    assert execute(database, JOBS) == [({"thread_id": "t"}, "todo")]
    async with serving(KNOWN):
        assert [each.action for each in (await engine.wait("t", timeout=20)).reviews] == ["pay"]
        run = await engine.resume("t", approve(), by="dana", wait=False)
        assert run.status in ("queued", "running", "completed")
        run = await engine.wait("t", until="completed", timeout=20)
    assert (run.status, run.state["trail"]) == ("completed", ["before", "ask", "after"])
    assert execute(database, JOBS) == []
    agree(database)
    kinds = [*("started", "resumed", "asked", "paused"), *("decided", "queued", "resumed", "completed")]
    entries = await engine.audit("t")
    assert said(entries) == kinds
    assert [entries[place].by for place in (0, 1, 5, 6)] == ["kim", "system:worker", "dana", "system:worker"]


async def test_submitting_is_idempotent_and_bad_input_queues_nothing(engine: AsyncEngine, database: str) -> None:
    both = await asyncio.gather(*(engine.submit("asking", {"name": "x"}, thread_id="t") for _ in range(2)))
    assert [run.status for run in both] == ["queued", "queued"]
    with pytest.raises(ThreadExists):
        await engine.submit("asking", {"name": "y"}, thread_id="t")
    with pytest.raises(InvalidInput):
        await engine.submit("asking", {"unknown": 1})
    with pytest.raises(UnknownWorkflow):
        await engine.submit("nothing", {})
    assert (await engine.start("asking", {"name": "x"}, thread_id="t")).status == "queued"
    assert len(execute(database, JOBS)) == len(await engine.runs()) == 1


async def test_a_transaction_that_is_rolled_back_queues_nothing(engine: AsyncEngine, database: str) -> None:
    await engine.submit("asking", {"name": "x"}, thread_id="t")
    async with engine._storage.pool.connection() as connection:
        async with connection.transaction(force_rollback=True):
            await connection.execute("set local search_path = pg_temp")
            await enqueue(connection, ["t"])
        async with connection.transaction():
            await connection.execute("set local search_path = pg_temp")
            await enqueue(connection, ["t"], priority=3)
    found = execute(database, "select queue_name, priority from adjourn.procrastinate_jobs order by id")
    assert found == [("asking", 0), ("asking", 3)]


async def test_a_job_that_has_nothing_to_do_ends_at_once(database: str, serving: Serving) -> None:
    gate = Gate()
    known = {**KNOWN, "gate": gate.graph}
    async with AsyncEngine.open(database, workflows=known) as engine:
        driving = asyncio.create_task(engine.start("gate", {"name": "x"}, thread_id="driven"))
        await gate.reached.wait()
        await engine.start("asking", {"name": "x"}, thread_id="asks")
        await engine.submit("asking", {"name": "x"}, thread_id="gone")
        await engine.cancel("gone", reason="not wanted")
        async with engine._storage.pool.connection() as connection:
            await enqueue(connection, ["driven", "asks", "gone"])
        async with serving(known):
            await eventually(lambda: execute(database, JOBS) == [])
        assert [(await engine.get(name)).status for name in ("driven", "asks", "gone")] == [
            *("running", "paused", "cancelled")
        ]
        gate.open.set()
        assert (await driving).state["trail"] == ["wait", "after"]
    agree(database)


async def test_an_answer_for_the_workers_needs_no_code_of_the_workflow_and_is_taken_once(
    engine: AsyncEngine, database: str, serving: Serving
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    async with AsyncEngine.open(database, principal=Principal("kim")) as stranger:
        run = await stranger.resume("t", approve(), by="dana", wait=False)
        assert (run.status, run.reviews) == ("queued", ())
        assert (await stranger.resume("t", approve(), by="dana", wait=False)).status == "queued"
        with pytest.raises(ReviewClosed):
            await stranger.resume("t", reject("no"), by="bob", wait=False)
        await engine.submit("asking", {"name": "y"}, thread_id="fresh")
        with pytest.raises(NotPaused, match="it waits for a worker"):
            await stranger.resume("fresh", approve(), wait=False)
    assert len(execute(database, JOBS)) == 2
    async with serving(KNOWN):
        assert (await engine.wait("t", until="completed", timeout=20)).state["trail"] == ["before", "ask", "after"]


async def test_a_question_beside_one_that_was_answered_can_be_answered_while_the_run_is_queued(
    engine: AsyncEngine, serving: Serving
) -> None:
    run = await engine.start("parallel", {}, thread_id="t")
    first, second = (review.id for review in run.reviews)
    run = await engine.resume("t", "yes", review_id=first, wait=False)
    assert (run.status, [review.id for review in run.reviews]) == ("queued", [second])
    assert (await engine.resume("t", "no", review_id=second, wait=False)).status == "queued"
    async with serving(KNOWN):
        run = await engine.wait("t", until="completed", timeout=20)
    assert sorted(run.state["answers"]) == ["ann: yes", "bob: no"]


async def test_a_queued_run_may_be_driven_by_whoever_answers_its_other_question(engine: AsyncEngine) -> None:
    run = await engine.start("parallel", {}, thread_id="t")
    first, second = (review.id for review in run.reviews)
    await engine.resume("t", "yes", review_id=first, wait=False)
    assert (await engine.resume("t", "no", review_id=second)).status == "completed"


async def test_a_worker_takes_runs_of_all_tenants_and_of_its_workflows_only(database: str, serving: Serving) -> None:
    async def submitted(tenant: str, workflow: str) -> AsyncEngine:
        async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim", tenant=tenant)) as engine:
            await engine.submit(workflow, {"name": "x"}, thread_id=f"{tenant}-{workflow}")
        return engine

    for tenant in ("a", "b"):
        for workflow in ("asking", "marks"):
            await submitted(tenant, workflow)
    async with serving(KNOWN, workflows=["marks"]):
        await eventually(lambda: len(execute(database, JOBS)) == 2)
    stands = dict(execute(database, "select thread_id, status from adjourn.runs"))
    assert stands == {"a-asking": "queued", "b-asking": "queued", "a-marks": "completed", "b-marks": "completed"}


async def test_a_job_that_cannot_be_done_here_is_left_for_later_and_for_others(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        async with serving({}, workflows=["marks"]):  # it says that it takes them, and has no code for them
            later = "select count(*) from adjourn.procrastinate_jobs where status = 'todo' and attempts > 0"
            await eventually(lambda: execute(database, later) == [(1,)])
            assert (await engine.get("t")).status == "queued"
        async with serving(KNOWN):
            assert (await engine.wait("t", timeout=20)).status == "completed"


async def test_names_of_workflows_may_be_longer_than_postgresql_lets_a_channel_be(
    database: str, serving: Serving
) -> None:
    known = {"ä" * 90: chain(("one", mark("one")))}
    async with AsyncEngine.open(database, workflows=known) as engine:
        await engine.submit("ä" * 90, {"name": "x"}, thread_id="t")
        async with serving(known):
            assert (await engine.wait("t", timeout=20)).status == "completed"


async def test_no_more_runs_are_driven_at_once_than_the_worker_may(database: str, serving: Serving) -> None:
    gate = Gate()
    async with AsyncEngine.open(database, workflows={"gate": gate.graph}) as engine:
        for n in range(3):
            await engine.submit("gate", {"name": "x"}, thread_id=f"t{n}")
        async with serving({"gate": gate.graph}, concurrency=2):
            await eventually(lambda: gate.inside == 2)
            await asyncio.sleep(0.3)  # time enough to take a third
            assert gate.most == 2
            gate.open.set()
            for n in range(3):
                assert (await engine.wait(f"t{n}", timeout=20)).status == "completed"
    assert gate.most == 2


async def test_a_worker_goes_on_when_all_its_connections_are_killed(database: str, serving: Serving) -> None:
    gate = Gate()
    known = {**KNOWN, "gate": gate.graph}
    async with AsyncEngine.open(database, workflows=known) as engine:
        await engine.submit("gate", {"name": "x"}, thread_id="before")
        async with serving(known, concurrency=2):
            await gate.reached.wait()
            execute(database, KILL_OTHERS)
            await engine.submit("marks", {"name": "x"}, thread_id="after")
            assert (await engine.wait("after", timeout=30)).status == "completed"
            gate.open.set()
            assert (await engine.wait("before", timeout=30)).state["trail"] == ["wait", "after"]
    agree(database)


async def test_a_drained_worker_hands_its_runs_back_before_their_next_step(database: str) -> None:
    gate = Gate()
    async with AsyncEngine.open(
        database, workflows={"gate": gate.graph}, settings=Settings(lease_seconds=2.0)
    ) as engine:
        await engine.submit("gate", {"name": "x"}, thread_id="t")
        worker = Worker(engine)
        running = asyncio.create_task(worker.run())
        await gate.reached.wait()
        worker.drain()
        gate.open.set()
        assert await running is True
        run = await engine.get("t")
        assert (run.status, run.state["trail"], len(execute(database, JOBS))) == ("queued", ["wait"], 1)
    async with AsyncEngine.open(database, workflows={"gate": gate.graph}) as engine:
        other = Worker(engine)
        running = asyncio.create_task(other.run())
        assert (await engine.wait("t", timeout=20)).state["trail"] == ["wait", "after"]
        other.drain()
        await running
    agree(database)


async def test_a_run_that_is_cancelled_while_its_worker_drains_stays_cancelled(database: str) -> None:
    gate = Gate()
    async with AsyncEngine.open(database, workflows={"gate": gate.graph}) as engine:
        await engine.submit("gate", {"name": "x"}, thread_id="t")
        worker = Worker(engine)
        running = asyncio.create_task(worker.run())
        await gate.reached.wait()
        worker.drain()
        async with AsyncEngine.open(database) as elsewhere:  # so that the worker does not hear of it yet
            await elsewhere.cancel("t", reason="not wanted")
        gate.open.set()
        assert await running is True
        assert ((await engine.get("t")).status, execute(database, JOBS)) == ("cancelled", [])
    agree(database)


async def test_a_worker_gives_a_run_and_its_children_the_memory_of_their_tenant(
    database: str, serving: Serving
) -> None:
    async def remember(state: workflows.Trail) -> workflows.Trail:
        store = get_store()
        known = await store.asearch(("seen",))
        await store.aput(("seen",), state["name"], {"by": state["name"]})
        return {"trail": sorted(item.key for item in known)}

    async def leave(state: workflows.Trail) -> workflows.Trail:
        done = await child("remember", "remembering", {"name": f"child of {state['name']}"})
        return {"trail": done["trail"]}

    known = {"remembering": chain(("remember", remember)), "leaving": chain(("leave", leave))}
    people = [Principal("ann"), Principal("bob", tenant="other")]
    async with serving(known):
        for who in people:
            async with AsyncEngine.open(database, workflows=known, principal=who) as engine:
                seen = []
                for workflow in ("remembering", "remembering", "leaving", "remembering"):
                    run = await engine.submit(workflow, {"name": f"{len(seen)} of {who.id}"})
                    seen.append((await engine.wait(run.thread_id, timeout=20)).state["trail"])
            mine = [f"0 of {who.id}", f"1 of {who.id}"]
            assert seen == [[], mine[:1], mine, [*mine, f"child of 2 of {who.id}"]]
    async with AsyncEngine.open(database, workflows=known, principal=people[1]) as engine:
        run = await engine.start("remembering", {"name": "last"})
    assert len(run.state["trail"]) == 4
