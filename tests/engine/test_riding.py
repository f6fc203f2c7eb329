"""What rides on a commit of the saver, and what is not read twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine, InvalidInput, ReviewClosed, StorageUnavailable, approve, reject
from adjourn.checkpoints import Added, Saver, statement
from adjourn.checkpoints.rows import Put, Write
from adjourn.engine.events import Completed
from adjourn.engine.runs import RunStore
from adjourn.engine.witness import rides
from support.eventually import eventually
from support.postgres import execute
from support.workflows import Trail, asking, chain, mark


def named(name: str, graph: Any) -> Any:
    """Give a graph the name by which it is started."""
    return graph.compile(name=name)


ENDED = "select r.status, l.expires_at = '-infinity' from adjourn.runs r join adjourn.leases l using (thread_id)"


async def settled_elsewhere(*_: Any) -> Any:
    raise AssertionError("the end has a statement of its own")


async def test_the_end_of_a_run_is_recorded_by_the_commit_of_its_last_checkpoint(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunStore, "settle_run", settled_elsewhere)
    store, at_the_end = Saver.aput, []

    async def looking(self: Saver, *args: Any) -> Any:
        stored = await store(self, *args)
        at_the_end.append(execute(database, ENDED))
        return stored

    monkeypatch.setattr(Saver, "aput", looking)
    many = {f"n{n}": mark(f"n{n}") for n in range(2)}
    run = await engine.start(named("marked", chain(*many.items())), {"name": "x"})
    assert run.status == "completed"
    assert at_the_end[-2:] == [[("running", False)], [("completed", True)]]


async def test_what_an_answer_stores_is_sent_in_statements_that_psycopg_remembers(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer ones, and those with more parameters, it reads anew each time."""
    run, execute_, sent = await engine.start("asking", {"name": "x"}), statement._execute, list[tuple[int, int]]()

    async def noting(connection: Any, query: str, parameters: Sequence[Any]) -> Any:
        sent.append((len(query.encode()), len(parameters)))
        return await execute_(connection, query, parameters)

    monkeypatch.setattr(statement, "_execute", noting)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert sent
    assert max(length for length, _ in sent) <= 4096
    assert max(count for _, count in sent) <= 50


async def test_the_last_checkpoint_waits_for_nobody_who_has_the_run_locked(engine: AsyncEngine, database: str) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(state: Trail) -> Trail:
        reached.set()
        await go_on.wait()
        return {"trail": ["waited"]}

    starting = asyncio.create_task(engine.start(named("waiting", chain(("wait", wait))), {"name": "x"}, thread_id="t"))
    await reached.wait()
    with psycopg.connect(database) as other:
        other.execute("select from adjourn.runs where thread_id = 't' for no key update")
        go_on.set()
        last = "select 1 from checkpoints where thread_id = 't' and checkpoint -> 'channel_values' ->> 'trail' is null"
        await eventually(lambda: execute(database, f"{last} and (metadata ->> 'step')::int = 1"))
        assert execute(database, ENDED) == [("running", False)]
        other.rollback()
    run = await starting
    assert (run.status, run.state["trail"]) == ("completed", ["waited"])
    assert execute(database, ENDED) == [("completed", True)]


@pytest.mark.parametrize(
    ("ends", "checkpoints", "ride"),
    [(0, 1, False), (1, 1, True), (1, 2, True), (1, 3, False), (5, 10, True), (5, 11, False), (16, 16, True)],
)
def test_nobody_waits_for_the_ends_of_a_few_others(ends: int, checkpoints: int, ride: bool) -> None:
    assert rides(ends, checkpoints) is ride


async def test_runs_that_go_on_in_step_end_with_their_last_commits(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, after = RunStore.settle_run, []

    async def noting(self: RunStore, thread_id: str, *rest: Any) -> Any:
        after.append(thread_id)
        return await settle(self, thread_id, *rest)

    monkeypatch.setattr(RunStore, "settle_run", noting)
    arrived, all_here = [], asyncio.Event()

    async def meet(state: Trail) -> Trail:
        arrived.append(1)
        if len(arrived) == 12:
            all_here.set()
        await all_here.wait()
        return {"trail": ["met"]}

    graph = named("meeting", chain(("meet", meet)))
    runs = await asyncio.gather(*(engine.start(graph, {"name": "x"}) for _ in range(12)))
    assert [(run.status, run.state["trail"]) for run in runs] == [("completed", ["met"])] * 12
    assert after == []


@pytest.mark.parametrize("ride", [True, False], ids=["the end rides on the commit", "the end is recorded after it"])
async def test_what_fails_behind_the_end_of_a_run_does_not_fail_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, ride: bool
) -> None:
    monkeypatch.setattr("adjourn.engine.witness.rides", lambda ends, _: ride and ends > 0)
    run_graph = engine._driver._run
    seen: list[Any] = []

    async def failing_behind(*args: Any) -> None:
        await run_graph(*args)
        raise ValueError("somebody who was told of the end")

    monkeypatch.setattr(engine._driver, "_run", failing_behind)
    run = await engine.start(named("marked", chain(("a", mark("a")))), {"name": "x"}, on_event=seen.append)
    assert (run.status, run.error, run.state["trail"]) == ("completed", None, ["a"])
    assert isinstance(seen[-1], Completed)


async def test_a_last_checkpoint_that_was_refused_is_no_end(engine: AsyncEngine) -> None:
    def refuse(puts: Sequence[Put], writes: Sequence[Write]) -> list[Added]:
        if any(put.metadata.get("step") == 1 for put in puts):
            raise InvalidInput("refused")
        return []

    engine._storage.saver.add_hook(refuse)
    run = await engine.start(named("marked", chain(("a", mark("a")))), {"name": "x"})
    assert (run.status, run.error and run.error["message"]) == ("failed", "refused")


async def test_a_run_that_is_cancelled_at_its_last_checkpoint_stays_cancelled(
    engine: AsyncEngine, database: str
) -> None:
    async def cancelled(state: Trail) -> Trail:
        execute(database, "update adjourn.runs set status = 'cancelled'")
        return {"trail": ["a"]}

    run = await engine.start(named("marked", chain(("a", cancelled))), {"name": "x"})
    assert run.status == "cancelled"
    assert execute(database, ENDED) == [("cancelled", True)]


async def test_a_checkpoint_that_was_read_under_the_lease_is_not_read_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = Saver._read, []

    async def counting(self: Saver, doing: str, *rest: Any) -> Any:
        reads.append(doing)
        return await read(self, doing, *rest)

    monkeypatch.setattr(Saver, "_read", counting)
    run = await engine.start("asking", {"name": "x"})
    assert reads == ["cannot read a checkpoint"], "the state of the pause; nobody can know the new thread"
    reads.clear()
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert reads == [], "what the run was shown by is what it goes on with"
    run = await engine.start("asking", {"name": "x"})
    engine._reviews.looks.forget(run.thread_id)
    reads.clear()
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert reads == ["cannot read a checkpoint"], "by the drive; LangGraph gets what it read"


async def test_a_checkpoint_that_was_kept_with_its_question_is_read_again_if_the_thread_was_changed(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody without the engine: nothing of the run, of its lease or of its questions says so."""
    run = await engine.start("asking", {"name": "x"})
    without = asking.compile(checkpointer=engine._storage.saver)
    await without.aupdate_state({"configurable": {"thread_id": run.thread_id}}, {"trail": ["changed"]}, "before")
    after = await engine.resume(run.thread_id, approve())
    assert (after.status, after.state["trail"]) == ("paused", ["before", "changed"])
    assert after.reviews[0].id != run.reviews[0].id, "it asks anew: the answer was to another question"


async def test_what_was_read_while_an_answer_was_recorded_is_read_again_if_the_thread_was_changed(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody without the engine, whom no lease of ours keeps out before the answer is recorded."""
    run = await engine.start("asking", {"name": "x"})
    engine._reviews.looks.forget(run.thread_id)
    read, answer, been_read, reads = Saver._read, engine._reviews.answer, asyncio.Event(), []

    async def noted(self: Saver, doing: str, *rest: Any) -> Any:
        saved = await read(self, doing, *rest)
        reads.append(doing)
        been_read.set()
        return saved

    async def changed_meanwhile(*args: Any) -> Any:
        await been_read.wait()
        monkeypatch.setattr(Saver, "_read", read)
        without = asking.compile(checkpointer=engine._storage.saver)
        await without.aupdate_state({"configurable": {"thread_id": run.thread_id}}, {"trail": ["changed"]}, "before")
        return await answer(*args)

    monkeypatch.setattr(Saver, "_read", noted)
    monkeypatch.setattr(engine._reviews, "answer", changed_meanwhile)
    after = await engine.resume(run.thread_id, approve())
    assert reads == ["cannot read a checkpoint"]
    assert (after.status, after.state["trail"]) == ("paused", ["before", "changed"])
    assert after.reviews[0].id != run.reviews[0].id, "it asks anew: the answer was to another question"


async def test_a_read_that_fails_while_an_answer_is_recorded_is_tried_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await engine.start("asking", {"name": "x"})
    engine._reviews.looks.forget(run.thread_id)
    read, failures = Saver._read, [StorageUnavailable("gone")]

    async def failing(self: Saver, *args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await read(self, *args)

    monkeypatch.setattr(Saver, "_read", failing)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert not failures


async def test_the_state_of_a_pause_is_read_again_on_another_connection_when_one_has_died(
    engine: AsyncEngine, database: str
) -> None:
    run = await engine.start("asking", {"name": "x"})
    before = await engine._reader.latest_row(run.thread_id)
    execute(
        database,
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()",
    )
    assert await engine._reader.latest_row(run.thread_id) == before


async def test_a_thread_id_of_the_callers_is_read_for_what_others_stored_there(
    engine: AsyncEngine, database: str
) -> None:
    graph = chain(("a", mark("a")))
    await graph.compile(checkpointer=engine._storage.saver).ainvoke(
        {"name": "x"}, {"configurable": {"thread_id": "t"}}, durability="sync"
    )
    run = await engine.start(named("marked", graph), {"name": "x"}, thread_id="t")
    assert run.state["trail"] == ["a", "a"]


async def test_an_answer_is_judged_again_when_another_came_between(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    look = engine._answering.look

    async def looked_before_somebody_answered(*args: Any) -> Any:
        found = await look(*args)
        engine._answering.look = look  # type: ignore[method-assign]
        await engine.resume(run.thread_id, reject("no"))
        return found

    engine._answering.look = looked_before_somebody_answered  # type: ignore[method-assign]
    with pytest.raises(ReviewClosed, match="reject"):
        await engine.resume(run.thread_id, approve(), review_id=run.reviews[0].id)


async def test_an_answer_that_took_long_to_get_there_is_judged_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await engine.start("asking", {"name": "x"})
    look = engine._answering.look

    async def looked_long_ago(*args: Any) -> Any:
        found = await look(*args)
        assert found is not None
        return replace(found, run={**found.run, "now": found.run["now"] - timedelta(seconds=2)})

    monkeypatch.setattr(engine._answering, "look", looked_long_ago)
    locked: list[str] = []
    under_lock = engine._answering._record_locked

    async def noted(*args: Any, **more: Any) -> Any:
        locked.append(args[0])
        return await under_lock(*args, **more)

    monkeypatch.setattr(engine._answering, "_record_locked", noted)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert locked == [run.thread_id]


async def test_an_answer_whose_connection_has_died_is_recorded_on_another(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"})
    look = engine._answering.look

    async def looked_and_lost(*args: Any) -> Any:
        found = await look(*args)
        execute(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        return found

    engine._answering.look = looked_and_lost  # type: ignore[method-assign]
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    assert execute(database, "select count(*) from adjourn.decisions") == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        "update adjourn.runs set updated_at = now()",
        "update adjourn.leases set expires_at = expires_at",
        "update adjourn.reviews set version = version",
        (
            'insert into adjourn.reviews select (jsonb_populate_record(reviews, \'{"review_id": "another"}\')).* '
            "from adjourn.reviews"
        ),
        (
            "insert into adjourn.decisions (thread_id, review_id, decided_by, source, channel, answer_type, answer, "
            "answer_digest, final) select thread_id, review_id, 'x', 'trusted', 'c', question_type, question, digest, "
            "false from adjourn.reviews"
        ),
    ],
)
async def test_whatever_an_answer_depends_on_is_noticed_when_it_changes(
    engine: AsyncEngine, database: str, change: str
) -> None:
    run = await engine.start("asking", {"name": "x"})
    seen = f"select adjourn.answerable('{run.thread_id}')"
    before = execute(database, seen)
    assert execute(database, seen) == before
    execute(database, change)
    assert execute(database, seen) != before
