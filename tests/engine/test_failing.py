"""Failed and cancelled runs: what is recorded, and how they go on."""

import asyncio
import base64
from typing import Any

import pytest
from pydantic import SecretStr

from adjourn import AsyncEngine, NotPaused, RunFailed, ThreadBusy, approve
from adjourn.engine.events import Failed, NodeFinished
from adjourn.settings import Settings
from support import workflows
from support.eventually import eventually
from support.postgres import execute
from support.workflows import Flaky, Trail, ask, chain, mark


async def test_a_failing_node_fails_the_run_and_says_where(engine: AsyncEngine) -> None:
    run = await engine.start("flaky", {"name": "x"})
    assert run.status == "failed"
    assert run.error == {"type": "ValueError", "message": "the service is down", "node": "flaky"}
    with pytest.raises(RunFailed, match="failed in flaky: ValueError: the service is down") as caught:
        run.raise_for_failure()
    assert (caught.value.node, caught.value.thread_id) == ("flaky", run.thread_id)


async def test_a_failed_run_continues_from_where_it_was(engine: AsyncEngine, flaky: Flaky) -> None:
    run = await engine.start("flaky", {"name": "x"})
    assert (await engine.retry(run.thread_id)).status == "failed"
    flaky.broken = False
    run = await engine.retry(run.thread_id)
    assert (run.status, run.state["trail"]) == ("completed", ["before", "flaky", "after"])
    assert flaky.attempts == 3
    assert run.error is None


async def test_a_failing_routing_function_never_skips_what_comes_after(database: str) -> None:
    broken = [True]

    def route(state: Trail) -> str:
        if broken:
            broken.pop()
            raise ConnectionError("no route")
        return "after"

    from langgraph.graph import END, START, StateGraph

    workflow = StateGraph(Trail)
    workflow.add_node("before", mark("before"))
    workflow.add_node("after", mark("after"))
    workflow.add_edge(START, "before")
    workflow.add_conditional_edges("before", route, ["after"])
    workflow.add_edge("after", END)
    async with AsyncEngine.open(database, workflows={"routed": workflow}) as engine:
        run = await engine.start("routed", {"name": "x"})
        assert (run.status, run.error and run.error["message"]) == ("failed", "no route")
        run = await engine.retry(run.thread_id)
    assert (run.status, run.state["trail"]) == ("completed", ["before", "after"])


async def test_a_node_that_fails_after_its_answer_gets_the_answer_again(database: str) -> None:
    broken = [True]

    def ask_then_fail(state: Trail) -> Trail:
        update = ask(state)
        if broken:
            broken.pop()
            raise OSError("disk full")
        return update

    async with AsyncEngine.open(database, workflows={"late": chain(("ask", ask_then_fail))}) as engine:
        run = await engine.start("late", {"name": "x"})
        run = await engine.resume(run.thread_id, approve(), by="dana")
        assert run.status == "failed"
        run = await engine.retry(run.thread_id)
    assert (run.status, run.state["answer"]["adjourn"]["by"]) == ("completed", "dana")


async def test_only_a_failed_run_can_be_retried(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    with pytest.raises(NotPaused, match="waits for an answer: use resume"):
        await engine.retry(run.thread_id)
    await engine.resume(run.thread_id, approve())
    with pytest.raises(NotPaused, match="it is completed"):
        await engine.retry(run.thread_id)


async def test_a_cancelled_run_takes_no_answer(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    run = await engine.cancel(run.thread_id, reason="wrong customer", by="dana")
    assert (run.status, run.reviews) == ("cancelled", ())
    assert run.error == {"type": "Cancelled", "message": "wrong customer", "by": "dana"}
    with pytest.raises(NotPaused, match="it was cancelled"):
        await engine.resume(run.thread_id, approve())
    assert (await engine.cancel(run.thread_id, reason="again")).error == run.error


async def test_a_completed_run_cannot_be_cancelled(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve())
    with pytest.raises(NotPaused, match="nothing to cancel"):
        await engine.cancel(run.thread_id, reason="too late")


class Slow:
    """A workflow whose node waits until it is let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()
        self.graph = chain(("slow", self.slow), ("after", mark("after")))

    async def slow(self, state: Trail) -> Trail:
        self.reached.set()
        await self.let_go.wait()
        return {"trail": ["slow"]}


QUICK = Settings(lease_seconds=0.6, cancel_grace_seconds=0.05)


async def test_a_running_run_is_cancelled_from_another_process(database: str) -> None:
    slow = Slow()
    async with (
        AsyncEngine.open(database, workflows={"slow": slow.graph}, settings=QUICK) as engine,
        AsyncEngine.open(database, workflows={"slow": slow.graph}) as other,
    ):
        starting = asyncio.create_task(engine.start("slow", {"name": "x"}, thread_id="t"))
        await slow.reached.wait()
        with pytest.raises(NotPaused, match="being driven"):
            await other.resume("t", approve())
        with pytest.raises(ThreadBusy):
            await other.retry("t")
        assert (await other.cancel("t", reason="from afar")).status == "cancelled"
        run = await starting
        assert (run.status, run.error and run.error["message"]) == ("cancelled", "from afar")
        assert "slow" not in run.state.get("trail", [])


async def test_a_cancelled_run_finishes_its_step_and_begins_no_other(database: str) -> None:
    slow = Slow()
    async with AsyncEngine.open(database, workflows={"slow": slow.graph}) as engine:
        starting = asyncio.create_task(engine.start("slow", {"name": "x"}, thread_id="t"))
        await slow.reached.wait()
        await engine.cancel("t", reason="stop")
        slow.let_go.set()
        run = await starting
    assert (run.status, run.state["trail"]) == ("cancelled", ["slow"])


async def test_an_engine_that_is_closed_stops_what_it_drives(database: str) -> None:
    slow = Slow()
    async with AsyncEngine.open(database, workflows={"slow": slow.graph}) as engine:
        starting = asyncio.create_task(engine.start("slow", {"name": "x"}, thread_id="t"))
        await slow.reached.wait()
    await asyncio.gather(starting, return_exceptions=True)
    async with AsyncEngine.open(database, workflows={"slow": slow.graph}) as engine:
        assert (await engine.get("t")).status == "failed"


async def test_an_interrupted_caller_leaves_a_run_that_can_be_retried(database: str) -> None:
    slow = Slow()
    async with AsyncEngine.open(database, workflows={"slow": slow.graph}) as engine:
        starting = asyncio.create_task(engine.start("slow", {"name": "x"}, thread_id="t"))
        await slow.reached.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        run = await engine.get("t")
        assert (run.status, run.error and run.error["type"]) == ("failed", "Interrupted")
        slow.let_go.set()
        assert (await engine.retry("t")).status == "completed"


async def test_the_events_of_a_failure_name_the_node(engine: AsyncEngine) -> None:
    events: list[Any] = []
    await engine.start("flaky", {"name": "x"}, on_event=events.append)
    finished = [event for event in events if isinstance(event, NodeFinished)]
    assert [(event.node, event.outcome) for event in finished] == [("before", "done"), ("flaky", "failed")]
    assert isinstance(events[-1], Failed)
    assert events[-1].error["node"] == "flaky"


async def test_a_listener_that_fails_does_not_harm_the_run(engine: AsyncEngine) -> None:
    def broken(event: Any) -> None:
        raise ValueError("my screen is gone")

    run = await engine.start("asking", {"name": "x"}, on_event=broken)
    assert run.status == "paused"


async def test_a_run_whose_workflow_is_not_here_does_not_keep_others_from_being_recovered(database: str) -> None:
    both = {"here": workflows.asking, "elsewhere": workflows.asking}
    async with AsyncEngine.open(database, workflows=both) as engine:
        for name in both:
            await engine.start(name, {"name": "x"}, thread_id=name)
    execute(
        database,
        "update adjourn.runs set status = 'running'",
        "update adjourn.leases set expires_at = now() - interval '1 hour'",
    )
    async with AsyncEngine.open(database, workflows={"here": workflows.asking}) as engine:
        assert [(run.thread_id, run.status) for run in await engine.recover()] == [("here", "paused")]
        assert (await engine.get("elsewhere")).status == "stalled"


@pytest.mark.parametrize("key", [None, base64.b64encode(bytes(32)).decode()], ids=["clear", "encrypted"])
async def test_an_error_whose_words_postgresql_cannot_hold_is_recorded_and_told(database: str, key: str | None) -> None:
    async def fail(state: Trail) -> Trail:
        raise ValueError("zero \0 and half a \ud83d character")

    graphs = {"failing": chain(("fail", fail)), "asking": workflows.asking}
    settings = Settings(encryption_key=SecretStr(key) if key else None)
    async with AsyncEngine.open(database, workflows=graphs, settings=settings) as engine:
        run = await engine.start("failing", {"name": "x"})
        assert (run.status, run.error and run.error["message"]) == (
            "failed", "zero \\x00 and half a \\ud83d character",
        )  # fmt: skip
        told = [event async for event in engine.follow(run.thread_id)]
        assert isinstance(told[-1], Failed)
        assert any(isinstance(event, NodeFinished) and event.outcome == "failed" for event in told)
        await engine.start("asking", {"name": "x"}, thread_id="next")
        await eventually(lambda: execute(database, "select 1 from adjourn.events where thread_id = 'next'"))


async def test_what_a_driver_asks_before_it_notices_the_cancel_is_withdrawn(database: str) -> None:
    cancelled = asyncio.Event()

    async def before(state: Trail) -> Trail:
        async with AsyncEngine.open(database) as other:
            await other.cancel("t", reason="enough")
        cancelled.set()
        return {"trail": ["before"]}

    workflows = {"late": chain(("before", before), ("ask", ask))}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        run = await engine.start("late", {"name": "x"}, thread_id="t")
        assert (run.status, run.reviews, cancelled.is_set()) == ("cancelled", (), True)
        assert len(await engine.reviews()) == 0
