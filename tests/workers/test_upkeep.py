"""What workers look after: runs and jobs whose process died, deadlines, their own sign of life."""

import asyncio
from typing import Any

import pytest

from adjourn import AsyncEngine, LeaseLost, Principal, ReviewPolicy, approve
from adjourn.engine.upkeep import Upkeep
from adjourn.engine.worker import Worker
from adjourn.settings import Settings
from support import workflows
from support.auditing import agree
from support.eventually import eventually
from support.postgres import execute
from support.remembering import filled, remembering
from support.workflows import chain, mark
from support.working import Gate, Serving

KNOWN: dict[str, Any] = {"asking": workflows.asking, "marks": chain(("one", mark("one")), ("two", mark("two")))}
JOBS = "select count(*) from adjourn.procrastinate_jobs"
QUICK = Settings(lease_seconds=0.6)


async def died(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, thread_id: str = "t") -> None:
    """Leave behind what a worker leaves that is killed before the first checkpoint."""

    async def die(*args: Any, **options: Any) -> Any:
        raise LeaseLost("killed")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "_driven", die)
        await engine.submit("marks", {"name": "x"}, thread_id=thread_id)
        await engine._drive_queued(thread_id)
    execute(engine._storage.url.get_secret_value(), "delete from adjourn.procrastinate_jobs")


async def test_a_run_whose_driver_died_is_queued_again_and_driven_by_any_worker(
    database: str, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=QUICK) as engine:
        await died(engine, monkeypatch)
        async with serving(KNOWN, settings=QUICK):
            assert (await engine.wait("t", timeout=20)).state["trail"] == ["one", "two"]
    agree(database)


async def test_a_run_that_kills_whoever_drives_it_is_failed_after_five_attempts(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    async def die(*args: Any, **options: Any) -> Any:
        raise LeaseLost("killed")

    async with AsyncEngine.open(database, workflows=KNOWN, settings=Settings(lease_seconds=0.1)) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        monkeypatch.setattr(engine, "_driven", die)
        for _ in range(6):
            await engine._drive_queued("t")
            await eventually(lambda: is_over_or_stalled(engine))
            assert not await engine._drive_queued(
                "t", at_hand=True
            )  # a second job of the same run is no second attempt
            await eventually(lambda: engine._queue_stalled(["marks"]))
        run = await engine.get("t")
        assert (run.status, run.error["type"] if run.error else None) == ("failed", "Crashed")
        assert (run.error or {})["attempts"] == [engine._keeper.owner] * 5
    agree(database)


async def test_what_died_is_left_alone_where_no_worker_has_its_code(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=Settings(lease_seconds=0.1)) as engine:
        await died(engine, monkeypatch)
        await eventually(lambda: is_stalled(engine))
        assert await engine._queue_stalled(["asking"]) == 0
        (run,) = await engine.recover()
    assert run.state["trail"] == ["one", "two"]


async def is_over_or_stalled(engine: AsyncEngine) -> bool:
    return (await engine.get("t")).status in ("failed", "stalled")


async def is_stalled(engine: AsyncEngine) -> bool:
    return (await engine.get("t")).status == "stalled"


async def test_a_driver_that_was_given_up_stores_nothing_after_its_run_was_queued(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=Settings(lease_seconds=0.1)) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        zombie = await engine._queue.claim("t")
        assert zombie is not None
        await eventually(lambda: engine._queue_stalled(["marks"]))
        assert await engine._keeper._renew(["t"]) == {}
        async with engine._graph_of(zombie) as graph:
            with pytest.raises(LeaseLost):
                await engine._drive(zombie, graph)
        assert (await engine.get("t")).status == "queued"
        await engine._drive_queued("t")
        assert (await engine.get("t")).status == "completed"


async def test_a_job_whose_worker_died_before_it_took_the_run_is_done_by_another(
    database: str, serving: Serving
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, settings=QUICK) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        fetched = """
            with dead as (
                insert into adjourn.procrastinate_workers (last_heartbeat) values (now() - interval '1 hour') returning id
            )
            update adjourn.procrastinate_jobs set status = 'doing', worker_id = dead.id from dead"""
        execute(database, fetched)
        async with serving(KNOWN, settings=QUICK):
            assert (await engine.wait("t", timeout=20)).status == "completed"
            await eventually(lambda: execute(database, JOBS) == [(0,)])


async def test_a_default_decision_at_the_deadline_is_driven_on_by_a_worker(database: str, serving: Serving) -> None:
    policy = ReviewPolicy(deadline=0.1, on_deadline=approve())
    async with AsyncEngine.open(database, workflows=KNOWN, settings=QUICK) as engine:
        await engine.submit("asking", {"name": "x"}, thread_id="t", policies=policy)
        async with serving(KNOWN, settings=QUICK):
            run = await engine.wait("t", until="completed", timeout=20)
        assert run.state["trail"] == ["before", "ask", "after"]
        entries = [(entry.kind, entry.by) for entry in await engine.audit("t")]
        assert ("queued", "system:deadline") in entries
    agree(database)


async def test_a_deadline_of_a_workflow_without_a_worker_is_left_to_recovery(database: str) -> None:
    policy = ReviewPolicy(deadline=0.1, on_deadline=approve())
    async with AsyncEngine.open(database, workflows=KNOWN, settings=QUICK) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t", policies=policy)
        await eventually(lambda: engine._sweep(None, None, 10, []))
        assert (await engine.get("t")).status == "stalled"
        assert [run.status for run in await engine.recover()] == ["completed"]


async def overdue(engine: AsyncEngine) -> bool:
    return (await engine.status()).overdue == 1


async def test_status_shows_queues_workers_and_what_is_late_of_one_tenant(database: str, serving: Serving) -> None:
    gate = Gate()
    known = {**KNOWN, "gate": gate.graph}
    other = Principal("eve", tenant="other")
    async with (
        AsyncEngine.open(database, workflows=known) as engine,
        AsyncEngine.open(database, workflows=known, principal=other) as elsewhere,
    ):
        empty = await engine.status()
        assert (empty.queues, empty.workers, empty.waiting, empty.lag) == ((), (), 0, 0.0)
        await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(deadline=0.01))
        await eventually(lambda: overdue(engine))
        await engine.submit("asking", {"name": "x"})
        await engine.submit("gate", {"name": "x"}, thread_id="ours")
        await elsewhere.submit("gate", {"name": "x"}, thread_id="theirs")
        async with serving(known, workflows=["gate"]):
            await eventually(lambda: gate.inside == 2)
            found = await engine.status()
            (queue,), (worker,) = found.queues, found.workers
            assert (queue.workflow, queue.waiting, queue.workers) == ("asking", 1, 0)
            assert found.lag == queue.lag > 0
            assert ([run.thread_id for run in worker.busy], worker.others) == (["ours"], 1)
            assert (worker.status, worker.workflows, worker.concurrency) == ("serving", ("gate",), 8)
            assert (found.waiting, found.leases, found.stalled) == (1, 1, 0)
            execute(database, "update adjourn.workers set seen_at = now() - interval '1 minute'")
            gate.open.set()
        assert (await engine.status()).workers == ()
        execute(database, "insert into adjourn.workers values ('w', 'host', 1, '1', 8, '{asking}')")
        assert (await engine.status()).queues[0].workers == 1
        execute(database, "update adjourn.workers set seen_at = now() - interval '1 minute'")
        late = await engine.status()
        assert (late.workers[0].status, late.queues[0].workers) == ("silent", 0)


async def test_workers_that_vanished_are_forgotten_after_a_while(database: str, serving: Serving) -> None:
    gone = "insert into adjourn.workers values ('w', 'host', 1, '1', 8, '{asking}', false, now(), now() - interval '1 hour')"
    execute(database, gone)
    async with serving(KNOWN, settings=QUICK):
        await eventually(lambda: execute(database, "select count(*) from adjourn.workers where owner = 'w'") == [(0,)])


async def test_a_worker_ends_although_its_upkeep_takes_the_end_for_a_failure(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.stopping._SAID_AGAIN_SECONDS", 0.05)
    heard = 0

    async def keep(self: Upkeep) -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard += 1

    monkeypatch.setattr(Upkeep, "keep", keep)
    async with AsyncEngine.open(database, workflows={"asking": workflows.asking}) as engine:
        worker = Worker(engine)
        running = asyncio.create_task(worker.run())
        await eventually(lambda: worker._jobs is not None)
        worker.drain()
        assert await asyncio.wait_for(running, 10)
    assert heard == 2


async def test_cases_that_are_too_old_are_removed(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows={"remembering": remembering()}) as engine:
        await filled(engine)
        old = "update adjourn.cases set remembered_at = now() - interval '11 days'"
        execute(database, f"{old} where content ->> 'text' not like 'Checkout%'")
        ids = {case.id for case in await engine.cases()}
        kept = {case.id for case in await engine.cases() if case.text.startswith("Checkout")}
        assert kept < ids
        async with serving({}, settings=Settings(lease_seconds=0.6, case_days=10)):

            async def removed() -> bool:
                return {case.id for case in await engine.cases()} == kept

            await eventually(removed)


async def test_a_worker_remembers_for_the_tenant_whose_run_it_drives(database: str, serving: Serving) -> None:
    known = {"remembering": remembering()}
    async with AsyncEngine.open(database, workflows=known, principal=Principal("kim", tenant="a")) as engine:
        async with serving(known):
            for number in range(2):
                run = await engine.submit("remembering", {"alert": "disk full", "cure": number})
                run = await engine.wait(run.thread_id, timeout=20)
        assert [case["outcome"] for case in run.state["similar"]] == [0]
        assert [case.outcome for case in await engine.cases()] == [1, 0]
    async with AsyncEngine.open(database) as engine:
        assert list(await engine.cases()) == []
