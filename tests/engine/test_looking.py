"""get, runs, history, timeline, fork, stream: what the engine shows, and that looking imports no workflow."""

from datetime import timedelta
from typing import Any

import pytest

from adjourn import AsyncEngine, InvalidInput, UnknownThread, approve
from adjourn.engine.events import Completed, Event, NodeFinished, NodeStarted, Paused, Started


async def test_a_run_can_be_shown_where_its_workflow_is_unknown(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"})
    async with AsyncEngine.open(database) as elsewhere:
        assert await elsewhere.get(run.thread_id) == run


async def test_listings_are_newest_first_and_paged(engine: AsyncEngine) -> None:
    ids = [(await engine.start("asking", {"name": str(number)})).thread_id for number in range(5)]
    first = await engine.runs(limit=2)
    second = await engine.runs(limit=2, after=first.after)
    third = await engine.runs(limit=2, after=second.after)
    assert [run.thread_id for page in (first, second, third) for run in page] == ids[::-1]
    assert third.after is None


async def test_listings_are_filtered_by_status_and_workflow(engine: AsyncEngine) -> None:
    paused = await engine.start("asking", {"name": "x"})
    done = await engine.start("asking", {"name": "y"})
    await engine.resume(done.thread_id, approve())
    failed = await engine.start("flaky", {"name": "z"})
    assert [run.thread_id for run in await engine.runs(status="paused")] == [paused.thread_id]
    assert [run.thread_id for run in await engine.runs(workflow="flaky")] == [failed.thread_id]
    assert len(await engine.runs(status="completed", workflow="flaky")) == 0


async def test_a_page_has_a_sensible_size(engine: AsyncEngine) -> None:
    with pytest.raises(InvalidInput, match="between 1 and 1000"):
        await engine.runs(limit=0)


async def test_the_history_names_nodes_and_changed_keys(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve())
    steps = await engine.history(run.thread_id)
    assert [(step.number, step.nodes, step.changed, step.waited) for step in steps] == [
        (-1, (), (), False),
        (0, (), ("name",), False),
        (1, ("before",), ("trail",), False),
        (2, ("ask",), ("answer", "trail"), True),
        (3, ("after",), ("trail",), False),
    ]


async def test_the_timeline_tells_waiting_from_working(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve())
    timeline = await engine.timeline(run.thread_id)
    assert timeline.total == sum((step.took for step in timeline.steps), timedelta())
    assert timeline.waiting == timeline.steps[3].took > timedelta()
    assert timeline.working + timeline.waiting == timeline.total


@pytest.mark.parametrize("at", [1, "checkpoint"])
async def test_a_fork_is_a_new_thread_that_goes_on_from_an_old_step(engine: AsyncEngine, at: Any) -> None:
    run = await engine.start("asking", {"name": "x"})
    run = await engine.resume(run.thread_id, approve())
    before = await engine.history(run.thread_id)
    fork = await engine.fork(run.thread_id, at=before[2].checkpoint_id if at == "checkpoint" else at)
    assert (fork.status, fork.forked_from, fork.state["trail"]) == ("paused", run.thread_id, ["before"])
    fork = await engine.resume(fork.thread_id, approve())
    assert (fork.status, fork.state["trail"]) == ("completed", ["before", "ask", "after"])
    assert await engine.history(run.thread_id) == before
    assert await engine.get(run.thread_id) == run


async def test_a_fork_may_change_the_state_first(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    fork = await engine.fork(run.thread_id, at=1, update={"name": "y"})
    assert (fork.status, fork.state["name"]) == ("paused", "y")
    assert (await engine.get(run.thread_id)).state["name"] == "x"


async def test_a_fork_from_no_step_names_those_there_are_and_stores_nothing(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    with pytest.raises(InvalidInput, match="no step 99; it has -1 to 1"):
        await engine.fork(run.thread_id, at=99)
    assert len(await engine.runs()) == 1


async def test_a_stream_tells_the_run_as_typed_events(engine: AsyncEngine) -> None:
    events = [event async for event in engine.stream("asking", {"name": "x"})]
    assert [type(event) for event in events] == [Started, NodeStarted, NodeFinished, NodeStarted, NodeFinished, Paused]
    finished = [event for event in events if isinstance(event, NodeFinished)]
    assert [(event.node, event.changed, event.outcome) for event in finished] == [
        ("before", ("trail",), "done"),
        ("ask", (), "asked"),
    ]
    assert all(event.seconds >= 0 for event in finished)
    assert isinstance(events[-1], Paused)
    run = await engine.get(events[0].thread_id)
    assert events[-1].reviews == run.reviews


async def test_the_events_of_a_resumed_run_end_with_its_completion(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    events: list[Event] = []
    await engine.resume(run.thread_id, approve(), on_event=events.append)
    assert events[-1] == Completed(run.thread_id)


async def test_errors_come_out_of_a_stream(engine: AsyncEngine) -> None:
    with pytest.raises(InvalidInput):
        async for _ in engine.stream("review", {}):
            pass


async def test_a_stream_that_is_left_early_leaves_a_run_that_can_be_retried(engine: AsyncEngine) -> None:
    events = engine.stream("asking", {"name": "x"}, thread_id="t")
    async for event in events:
        if isinstance(event, NodeStarted):
            break
    await events.aclose()
    assert (await engine.get("t")).status == "failed"
    assert (await engine.retry("t")).status == "paused"


async def test_model_tokens_are_streamed(database: str) -> None:
    from adjourn.engine.events import ModelToken
    from adjourn.testing import ScriptedChatModel
    from support.workflows import Trail, chain

    model = ScriptedChatModel(["good morning to you"])

    async def speak(state: Trail) -> Trail:
        return {"answer": (await model.ainvoke("hello")).text}

    async with AsyncEngine.open(database, workflows={"speaking": chain(("speak", speak))}) as engine:
        events = [event async for event in engine.stream("speaking", {"name": "x"})]
    tokens = [event for event in events if isinstance(event, ModelToken)]
    assert len(tokens) > 1
    assert "".join(token.text for token in tokens) == "good morning to you"
    assert {token.node for token in tokens} == {"speak"}


async def test_looking_for_a_thread_that_is_not_there(engine: AsyncEngine) -> None:
    for verb in (engine.get, engine.history, engine.timeline):
        with pytest.raises(UnknownThread, match="no run 'nowhere'"):
            await verb("nowhere")
