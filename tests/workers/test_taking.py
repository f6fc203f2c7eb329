"""A worker's job and its run, taken in one exchange; and what is left to the ordinary way."""

import asyncio
from collections.abc import Collection
from typing import Any

import psycopg
import pytest
import structlog

from adjourn import AsyncEngine, Principal, UnknownWorkflow, approve
from adjourn.checkpoints.saver import Saver
from adjourn.engine.queue import RunQueue
from adjourn.engine.reader import thread_config
from adjourn.engine.recorder import Recorder
from adjourn.engine.reviews import ReviewStore
from adjourn.engine.taking import JobTaker
from adjourn.engine.worker import Worker
from adjourn.settings import Settings
from support import workflows
from support.auditing import agree
from support.eventually import eventually
from support.postgres import execute
from support.workflows import chain, mark
from support.working import Gate, Serving

KNOWN: dict[str, Any] = {"asking": workflows.asking, "marks": chain(("one", mark("one")), ("two", mark("two")))}
JOBS = "select status::text from adjourn.procrastinate_jobs"
LISTENING = (
    "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen \"adjourn_events%'"
)
LEASE = "select from adjourn.leases where thread_id = 't' for key share"


@pytest.fixture
async def engine(database: str) -> Any:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim")) as opened:
        yield opened


def taker(engine: AsyncEngine, at_hand: Collection[str] = ("asking", "marks")) -> JobTaker:
    return JobTaker(engine._storage.saver, owner=engine._keeper.owner, seconds=30.0, at_hand=lambda: at_hand)


async def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("nothing needs to be asked")


async def answered(engine: AsyncEngine) -> None:
    """Leave a run to the workers that was answered."""
    await engine.start("asking", {"name": "x"}, thread_id="t")
    await engine.resume("t", approve(), by="dana", wait=False)


async def test_a_job_its_run_the_answers_and_the_checkpoint_are_taken_at_once(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await answered(engine)
    mine = taker(engine)
    job = await mine.fetch(["marks", "asking"], None)
    assert (job["args"], job["status"]) == ({"thread_id": "t"}, "doing")
    assert execute(database, JOBS) == [], "it has done all that it is for"
    assert (mine.is_over(job["id"]), mine.is_over(job["id"])) == (True, False)
    taken = mine.run_of("t")
    assert taken is not None
    assert (taken.row["status"], taken.row["was"], mine.run_of("t")) == ("running", "queued", None)
    monkeypatch.setattr(Saver, "_read", never)
    monkeypatch.setattr(ReviewStore, "unconsumed", never)
    assert await engine._drive_queued("t", taken=taken)
    monkeypatch.undo()
    run = await engine.get("t")
    assert (run.status, run.state["trail"]) == ("completed", ["before", "ask", "after"])
    agree(database)


@pytest.mark.parametrize("before", [[], ["one", "two"]], ids=["nothing is stored yet", "its thread holds something"])
async def test_a_run_that_was_never_driven_is_taken_so_too(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch, before: list[str]
) -> None:
    if before:  # as Studio stores it, without a run
        alone = KNOWN["marks"].compile(checkpointer=engine._storage.saver)
        await alone.ainvoke({"name": "y"}, thread_config("t"), durability="sync")
    await engine.submit("marks", {"name": "x"}, thread_id="t")
    mine = taker(engine)
    await mine.fetch(["marks"], None)
    taken = mine.run_of("t")
    assert taken is not None
    assert (taken.row["was"], taken.blank) == ("new", not before)
    if not before:
        monkeypatch.setattr(Saver, "_read", never)
    assert await engine._drive_queued("t", taken=taken)
    monkeypatch.undo()
    assert (await engine.get("t")).state["trail"] == [*before, "one", "two"]
    agree(database)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("select", id="no run of its queue was driven here"),
        pytest.param("update adjourn.leases set expires_at = 'infinity'", id="somebody drives it"),
        pytest.param("update adjourn.runs set status = 'paused'", id="it is not queued"),
        pytest.param("update adjourn.runs set admission = 'later'", id="its time has not come"),
        pytest.param(
            "insert into adjourn.limits (workflow, at_once, changed_by) values ('*', 1, 'kim')", id="it needs a place"
        ),
        pytest.param("delete from adjourn.runs", id="it is gone"),
    ],
)
async def test_where_there_is_more_to_it_a_job_is_fetched_alone(
    engine: AsyncEngine, database: str, change: str
) -> None:
    await answered(engine)
    execute(database, change)
    before = execute(database, "select status, admission from adjourn.runs")
    mine = taker(engine, ("marks",) if change == "select" else ("asking",))
    job = await mine.fetch(["asking"], None)
    assert (job["args"], mine.run_of("t"), mine.is_over(job["id"])) == ({"thread_id": "t"}, None, False)
    assert execute(database, JOBS) == [("doing",)]
    assert execute(database, "select status, admission from adjourn.runs") == before


async def test_nobody_who_takes_a_job_waits_for_a_run(engine: AsyncEngine, database: str) -> None:
    await answered(engine)
    with psycopg.connect(database) as other:
        other.execute("select from adjourn.runs where thread_id = 't' for no key update")
        job = await asyncio.wait_for(taker(engine).fetch(["asking"], None), 10)
        assert (job["status"], execute(database, JOBS)) == ("doing", [("doing",)])


async def test_a_checkpoint_that_was_seen_before_the_lease_was_taken_counts_only_if_it_still_holds(
    engine: AsyncEngine, database: str
) -> None:
    await answered(engine)
    mine = taker(engine)
    with psycopg.connect(database) as former:  # a commit that is under way while the lease is taken
        former.execute(LEASE)
        taking = asyncio.create_task(mine.fetch(["asking"], None))
        blocked = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%take_job%'"
        await eventually(lambda: execute(database, blocked))
        former.execute("update checkpoints set metadata = metadata || '{\"more\": 1}' where thread_id = 't'")
    await taking
    taken = mine.run_of("t")
    assert taken is not None
    assert (taken.latest, len(taken.answers)) == (None, 1)
    assert await engine._drive_queued("t", taken=taken)
    assert (await engine.get("t")).status == "completed"


async def test_a_worker_that_has_just_heard_that_there_is_no_other_job_does_not_ask_again_at_once(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await engine.submit("marks", {"name": "x"}, thread_id=f"t{number}")
    mine = taker(engine)
    taken = [(await mine.fetch(["marks"], None))["args"]["thread_id"] for _ in range(3)]
    assert taken == ["t0", "t1", "t2"]
    with monkeypatch.context() as patched:
        patched.setattr(Saver, "lend", never)
        assert set((await mine.fetch(["marks"], None)).values()) == {None}
    await engine.submit("marks", {"name": "x"}, thread_id="t3")
    assert (await mine.fetch(["marks"], None))["args"] == {"thread_id": "t3"}, "once only"
    await engine.submit("marks", {"name": "x"}, thread_id="t4")
    mine.heard()
    assert (await mine.fetch(["marks"], None))["args"] == {"thread_id": "t4"}, "nor when it has heard of one"
    mine.heard()
    await engine.submit("marks", {"name": "x"}, thread_id="t5")
    fetching = asyncio.create_task(mine.fetch(["marks"], None))
    await asyncio.sleep(0)
    mine.heard()
    assert (await fetching)["args"] == {"thread_id": "t5"}
    await engine.submit("marks", {"name": "x"}, thread_id="t6")
    assert (await mine.fetch(["marks"], None))["args"] == {"thread_id": "t6"}, "while it asked either"


async def test_a_run_that_was_taken_while_the_worker_began_to_stop_is_handed_back(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        worker = Worker(engine)
        worker._at_hand.add("marks")
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        await worker._taker.fetch(["marks"], None)
        assert (await engine.get("t")).status == "running"
        worker.drain()
        await worker._drive("t", "marks")
        assert ((await engine.get("t")).status, execute(database, JOBS)) == ("queued", [("todo",)])
        await worker._taker.fetch(["marks"], None)
        await worker._taker.fetch(["marks"], None)
        assert (await engine.get("t")).status == "queued", "one that stops takes none"


async def test_a_run_whose_code_is_not_here_any_more_is_handed_back_for_later(
    engine: AsyncEngine, database: str
) -> None:
    await engine.submit("marks", {"name": "x"}, thread_id="t")
    async with AsyncEngine.open(database) as stranger:
        theirs = taker(stranger)
        await theirs.fetch(["marks"], None)
        with pytest.raises(UnknownWorkflow):
            await stranger._drive_queued("t", taken=theirs.run_of("t"))
    assert (await engine.get("t")).status == "queued"
    assert execute(database, "select scheduled_at > now() from adjourn.procrastinate_jobs") == [(True,)]


async def test_a_run_whose_worker_died_as_soon_as_it_had_taken_it_is_driven_by_another(
    database: str, serving: Serving
) -> None:
    quick = Settings(lease_seconds=0.6)
    async with AsyncEngine.open(database, workflows=KNOWN, settings=quick) as engine:
        await engine.submit("marks", {"name": "x"}, thread_id="t")
        dead = JobTaker(engine._storage.saver, owner="dead", seconds=0.6, at_hand=lambda: ["marks"])
        await dead.fetch(["marks"], None)
        assert (execute(database, JOBS), (await engine.get("t")).status) == ([], "running")
        async with serving(KNOWN, settings=quick):
            assert (await engine.wait("t", until="completed", timeout=20)).state["trail"] == ["one", "two"]
    agree(database)


async def test_a_worker_takes_the_runs_of_a_workflow_with_their_jobs_once_it_has_driven_one(
    engine: AsyncEngine, database: str, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr("adjourn.engine.jobs._log", log)
    async with serving(KNOWN):
        await engine.submit("marks", {"name": "x"}, thread_id="first")
        await engine.wait("first", until="completed", timeout=20)
        await eventually(lambda: execute(database, JOBS) == [])
        monkeypatch.setattr(RunQueue, "claim", never)
        for number in range(3):
            await engine.submit("marks", {"name": "x"}, thread_id=f"t{number}")
        for number in range(3):
            assert (await engine.wait(f"t{number}", until="completed", timeout=20)).status == "completed"
    assert (execute(database, JOBS), log.calls) == ([], []), "nothing was to be written down of jobs that are gone"


async def test_the_end_of_a_workers_run_wakes_who_waits_for_it_whatever_becomes_of_its_events(
    database: str, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.waiting.POLL_SECONDS", 1000.0)
    gate = Gate()

    async def nowhere(self: Recorder, batch: Any) -> None: ...

    monkeypatch.setattr(Recorder, "_insert", nowhere)
    async with AsyncEngine.open(database) as waiting, serving({"gate": gate.graph}):
        async with AsyncEngine.open(database, workflows={"gate": gate.graph}) as engine:
            await engine.submit("gate", {"name": "x"}, thread_id="t")
        await gate.reached.wait()
        waits = asyncio.create_task(waiting.wait("t", until="completed"))
        await eventually(lambda: execute(database, LISTENING))
        gate.open.set()
        assert (await asyncio.wait_for(waits, 20)).status == "completed"


async def test_an_answer_that_is_left_to_a_worker_shows_the_run_as_it_stands_without_reading_it_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    with monkeypatch.context() as patched:
        patched.setattr(AsyncEngine, "_show", never)
        run = await engine.resume("t", approve(), by="dana", wait=False)
    assert (run.status, run.reviews, run.state["trail"]) == ("queued", (), ["before"])
    assert run == await engine.get("t")
