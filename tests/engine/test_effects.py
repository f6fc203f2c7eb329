"""once: what was done is not done again, and what nobody knows is not guessed."""

import asyncio
from typing import Any

import psycopg
import pytest
import structlog
from langgraph.types import interrupt

from adjourn import AsyncEngine, LeaseLost, StorageUnavailable, approve, reject
from adjourn.checkpoints import open_storage
from adjourn.engine.effects import EffectLedger
from adjourn.engine.leases import Drive
from adjourn.nodes.effects import Effect, Place, effects_in, once, once_for, once_sync
from adjourn.settings import load_settings
from support.postgres import execute
from support.workflows import Trail, chain, mark


class Callee:
    """The world outside: it counts what was done to it, and fails when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.failures: list[BaseException] = []

    async def pay(self, amount: int) -> dict[str, int]:
        self.calls.append(amount)
        if self.failures:
            raise self.failures.pop()
        return {"receipt": len(self.calls)}

    def pay_plainly(self, amount: int) -> dict[str, int]:
        self.calls.append(amount)
        return {"receipt": len(self.calls)}


@pytest.fixture
def callee() -> Callee:
    return Callee()


async def run_twice(database: str, node: Any) -> Any:
    """Drive a node that asks after its effect, so that it runs again from its top."""
    async with AsyncEngine.open(
        database, workflows={"paying": chain(("pay", node), ("after", mark("after")))}
    ) as engine:
        run = await engine.start("paying", {"name": "x"})
        assert run.status == "paused", run.error
    async with AsyncEngine.open(
        database, workflows={"paying": chain(("pay", node), ("after", mark("after")))}
    ) as engine:
        return await engine.resume(run.thread_id, "yes")


async def test_an_effect_is_not_repeated_when_its_node_runs_again(database: str, callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        receipt = await once("pay", callee.pay, 10)
        interrupt("go on?")
        return {"answer": receipt}

    run = await run_twice(database, node)
    assert (run.status, run.state["answer"], callee.calls) == ("completed", {"receipt": 1}, [10])


async def test_a_plain_function_in_an_async_node(database: str, callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        receipt = await once("pay", callee.pay_plainly, amount=10)
        interrupt("go on?")
        return {"answer": receipt}

    assert (await run_twice(database, node)).state["answer"] == {"receipt": 1}
    assert callee.calls == [10]


async def test_a_plain_node(database: str, callee: Callee) -> None:
    def node(state: Trail) -> Trail:
        receipt = once_sync("pay", callee.pay_plainly, 10)
        interrupt("go on?")
        return {"answer": receipt}

    assert (await run_twice(database, node)).state["answer"] == {"receipt": 1}
    assert callee.calls == [10]


async def test_a_plain_effect_in_an_async_node_is_refused_and_does_not_wait_for_itself(
    database: str, callee: Callee
) -> None:
    async def node(state: Trail) -> Trail:
        return {"answer": once_sync("pay", callee.pay_plainly, 10)}

    async with AsyncEngine.open(database, workflows={"w": chain(("node", node))}) as engine:
        run = await engine.start("w", {})
    assert run.error == {
        "type": "RuntimeError",
        "message": "once_sync() was called in the event loop's own thread; use `await once(…)` there",
        "node": "node",
    }
    assert callee.calls == []


async def test_as_a_decorator(database: str, callee: Callee) -> None:
    @once("pay")
    async def pay(amount: int) -> Any:
        return await callee.pay(amount)

    async def node(state: Trail) -> Trail:
        receipt = await pay(10)
        interrupt("go on?")
        return {"answer": receipt}

    assert (await run_twice(database, node)).state["answer"] == {"receipt": 1}
    assert callee.calls == [10]


async def test_other_arguments_under_the_same_name_are_refused(database: str, callee: Callee) -> None:
    amounts = iter([10, 11])

    async def node(state: Trail) -> Trail:
        await once("pay", callee.pay, next(amounts))
        interrupt("go on?")
        return {}

    run = await run_twice(database, node)
    assert (run.status, run.error["type"], callee.calls) == ("failed", "EffectMismatch", [10])


async def test_two_uses_of_a_name_in_one_task_need_a_key(database: str, callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        await once("pay", callee.pay, 10)
        await once("pay", callee.pay, 10)
        return {}

    async with AsyncEngine.open(database, workflows={"paying": chain(("pay", node))}) as engine:
        run = await engine.start("paying", {"name": "x"})
    assert (run.status, run.error and run.error["type"]) == ("failed", "EffectMismatch")
    assert callee.calls == [10]


async def test_with_keys_each_is_done_once(database: str, callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        both = [await once("pay", callee.pay, 10, key=order) for order in ("a", "b")]
        interrupt("go on?")
        return {"answer": both}

    run = await run_twice(database, node)
    assert run.state["answer"] == [{"receipt": 1}, {"receipt": 2}]
    assert callee.calls == [10, 10]


async def test_siblings_and_repeated_steps_have_effects_of_their_own(database: str, callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        await once("pay", callee.pay, 10)
        return {"trail": ["pay"]}

    looping = chain(("first", node), ("second", node))
    async with AsyncEngine.open(database, workflows={"paying": looping}) as engine:
        await engine.start("paying", {"name": "x"})
        await engine.start("paying", {"name": "x"})
    assert callee.calls == [10] * 4


async def test_a_failed_effect_is_done_again_with_its_node(database: str, callee: Callee) -> None:
    callee.failures = [ConnectionError("busy")]

    async def node(state: Trail) -> Trail:
        return {"answer": await once("pay", callee.pay, 10)}

    async with AsyncEngine.open(database, workflows={"paying": chain(("pay", node))}) as engine:
        run = await engine.start("paying", {"name": "x"})
        assert (run.status, run.error and run.error["message"]) == ("failed", "busy")
        run = await engine.retry(run.thread_id)
    assert (run.status, run.state["answer"]) == ("completed", {"receipt": 2})


async def test_a_failing_effect_is_started_at_most_so_often(database: str, callee: Callee) -> None:
    callee.failures = [ConnectionError("busy")] * 9

    async def node(state: Trail) -> Trail:
        return {"answer": await once("pay", callee.pay, 10, max_attempts=2)}

    async with AsyncEngine.open(database, workflows={"paying": chain(("pay", node))}) as engine:
        run = await engine.start("paying", {"name": "x"})
        run = await engine.retry(run.thread_id)
        run = await engine.retry(run.thread_id)
    assert "failed 2 times, as often as it may: ConnectionError: busy" in run.error["message"]
    assert len(callee.calls) == 2


class Hanging:
    """A callee whose first call never returns; what a killed process leaves behind."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.keys: list[str] = []

    async def pay(self, amount: int, idempotency_key: str) -> str:
        self.keys.append(idempotency_key)
        if len(self.keys) == 1:
            self.reached.set()
            await asyncio.Event().wait()
        return "paid"


async def uncertain(database: str, hanging: Hanging, policy: Any) -> tuple[AsyncEngine, Any, str]:
    async def node(state: Trail) -> Trail:
        return {"answer": await once("pay", hanging.pay, 10, on_uncertain=policy)}

    workflow = chain(("pay", node))
    async with AsyncEngine.open(database, workflows={"paying": workflow}) as engine:
        starting = asyncio.create_task(engine.start("paying", {"name": "x"}, thread_id="t"))
        await hanging.reached.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    return workflow, hanging, "t"


async def test_an_uncertain_effect_fails_the_run_by_default(database: str) -> None:
    workflow, hanging, thread_id = await uncertain(database, Hanging(), "fail")
    async with AsyncEngine.open(database, workflows={"paying": workflow}) as engine:
        run = await engine.retry(thread_id)
    assert (run.status, run.error and run.error["type"], len(hanging.keys)) == ("failed", "EffectUncertain", 1)


async def test_an_uncertain_effect_is_tried_again_with_the_same_idempotency_key(database: str) -> None:
    workflow, hanging, thread_id = await uncertain(database, Hanging(), "retry")
    async with AsyncEngine.open(database, workflows={"paying": workflow}) as engine:
        run = await engine.retry(thread_id)
    assert (run.status, run.state["answer"]) == ("completed", "paid")
    assert len(hanging.keys) == 2
    assert len(set(hanging.keys)) == 1


@pytest.mark.parametrize(("decision", "calls", "answer"), [(approve(), 1, None), (reject("no"), 2, "paid")])
async def test_a_person_decides_about_an_uncertain_effect(
    database: str, decision: Any, calls: int, answer: Any
) -> None:
    workflow, hanging, thread_id = await uncertain(database, Hanging(), "ask")
    async with AsyncEngine.open(database, workflows={"paying": workflow}) as engine:
        run = await engine.retry(thread_id)
        assert (run.status, run.reviews[0].action) == ("paused", "confirm_effect")
        run = await engine.resume(thread_id, decision)
    assert (run.status, run.state["answer"], len(hanging.keys)) == ("completed", answer, calls)


async def test_a_result_that_cannot_be_stored_is_told_and_the_effect_is_not_repeated(database: str) -> None:
    calls = []

    async def node(state: Trail) -> Trail:
        def act() -> object:
            calls.append(1)
            return object()

        return {"answer": await once("act", act)}

    async with AsyncEngine.open(database, workflows={"acting": chain(("act", node))}) as engine:
        run = await engine.start("acting", {"name": "x"})
        assert "was done, but its result cannot be stored" in str(run.error)
        run = await engine.retry(run.thread_id)
    assert (run.status, len(calls)) == ("failed", 1)


class Away:
    """A pool whose database is away for some connections."""

    def __init__(self, pool: Any, times: int) -> None:
        self._pool = pool
        self._times = times

    def connection(self) -> Any:
        self._times -= 1
        if self._times >= 0:
            raise psycopg.OperationalError("the server is down")
        return self._pool.connection()


@pytest.mark.parametrize(("patience", "ended"), [(30.0, "done"), (0.0, "started")])
async def test_the_record_of_what_was_done_waits_for_a_database_that_is_away(
    database: str, patience: float, ended: str
) -> None:
    async with open_storage(load_settings(), database) as storage:
        ledger = EffectLedger(storage.pool, storage.saver.serde, None, patience)

        async def charge() -> str:
            ledger._pool = Away(storage.pool, times=3)  # type: ignore[assignment]
            return "receipt"

        with effects_in(ledger):
            if ended == "done":
                assert await once_for("s", "charge", charge) == "receipt"
            else:
                with pytest.raises(StorageUnavailable):
                    await once_for("s", "charge", charge)
    assert execute(database, "select status from adjourn.effects") == [(ended,)]


async def test_without_an_engine_the_function_is_called_and_a_warning_logged(callee: Callee) -> None:
    async def node(state: Trail) -> Trail:
        return {"answer": await once("pay", callee.pay, 10)}

    with structlog.testing.capture_logs() as lines:
        state = await chain(("pay", node)).compile().ainvoke({"name": "x"})
    assert (state["answer"], [line["effect"] for line in lines]) == ({"receipt": 1}, ["pay"])


async def test_an_effect_without_a_recorded_start_writes_once_and_is_fenced_and_audited_all_the_same(
    database: str,
) -> None:
    seen: list[list[tuple[Any, ...]]] = []

    def rows() -> list[tuple[Any, ...]]:
        with psycopg.connect(database) as connection:
            return connection.execute("select status, attempts, ended_at >= started_at from adjourn.effects").fetchall()

    async def act() -> str:
        seen.append(rows())
        if len(seen) == 1:
            raise OSError("not yet")
        return "done"

    async def node(state: Trail) -> Trail:
        for attempt in (1, 2):
            try:
                found = await once("act", act, key=str(attempt), on_uncertain="retry", record_start=False)
            except OSError:
                continue
        interrupt("go on?")
        return {"answer": found}

    run = await run_twice(database, node)
    assert run.status == "completed"
    assert seen[:2] == [[], [("failed", 1, True)]], "nothing is written before the end"
    # what failed is done again with the node, what was done is not
    assert sorted(rows()) == [("done", 1, True), ("done", 2, True)]
    assert len(seen) == 3
    with psycopg.connect(database) as connection:
        noted = connection.execute(
            "select count(*) from adjourn.audit where entry::text like '%\"effect\"%'"
        ).fetchone()
    assert noted is not None
    assert noted[0] >= 3
    async with open_storage(load_settings(), database) as storage:
        ledger = EffectLedger(storage.pool, storage.saver.serde, Drive("t", 10**9), 1.0)
        late = Effect(Place(run.thread_id), "act", "3", ([], {}), "retry", record_start=False)
        with pytest.raises(LeaseLost):
            await ledger.begin(late)
    with pytest.raises(ValueError, match="only on_uncertain='retry'"):
        once("act", act, record_start=False)
