"""start: what is accepted, what is refused, and that a refusal stores nothing."""

import uuid
from typing import Any

import pytest

from adjourn import (
    AsyncEngine,
    ConfigurationError,
    InvalidInput,
    NotAuthorized,
    Principal,
    ThreadExists,
    UnknownWorkflow,
)
from adjourn.settings import Settings
from support.workflows import asking, chain, mark


async def nothing_stored(engine: AsyncEngine) -> bool:
    saved = [each async for each in engine._storage.saver.alist(None)]
    return len(await engine.runs()) == 0 and saved == []


async def test_a_run_is_driven_until_it_needs_a_person(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    assert (run.status, run.state["trail"], run.requested_by) == ("paused", ["before"], "kim")
    assert [(review.action, review.args) for review in run.reviews] == [("pay", {"amount": 10})]


async def test_a_thread_id_is_a_uuid_that_grows_with_time(engine: AsyncEngine) -> None:
    ids = [(await engine.start("asking", {"name": str(i)})).thread_id for i in range(3)]
    assert [uuid.UUID(each).version for each in ids] == [7, 7, 7]
    assert ids == sorted(ids)


async def test_a_run_remembers_where_its_workflow_was_registered(engine: AsyncEngine) -> None:
    run = await engine.start("review", {"input_text": "Fine."})
    assert (run.workflow, run.source) == ("review", "adjourn itself")
    assert run.version


async def test_the_same_thread_id_and_input_return_the_run_and_drive_nothing(engine: AsyncEngine) -> None:
    first = await engine.start("asking", {"name": "x"}, thread_id="order 7")
    events: list[Any] = []
    again = await engine.start("asking", {"name": "x"}, thread_id="order 7", on_event=events.append)
    assert again == first
    assert events == []


@pytest.mark.parametrize(("workflow", "given"), [("asking", {"name": "y"}), ("plain", {"name": "x"})])
async def test_the_same_thread_id_with_something_else_is_refused(
    engine: AsyncEngine, workflow: str, given: dict[str, str]
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="order 7")
    with pytest.raises(ThreadExists, match="order 7"):
        await engine.start(workflow, given, thread_id="order 7")


async def test_a_graph_that_has_a_name_can_be_handed_over(engine: AsyncEngine) -> None:
    run = await engine.start(asking.compile(name="handed over"), {"name": "x"})
    assert (run.workflow, run.status) == ("handed over", "paused")


async def test_a_graph_without_a_name_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(ConfigurationError, match="no name of its own"):
        await engine.start(asking, {"name": "x"})


async def test_a_graph_with_a_saver_of_its_own_is_refused(engine: AsyncEngine) -> None:
    own = asking.compile(name="own", checkpointer=engine._storage.saver)
    with pytest.raises(ConfigurationError, match="Export the graph without it"):
        await engine.start(own, {"name": "x"})


async def test_an_unknown_workflow_names_the_known_ones_and_the_nearest(engine: AsyncEngine) -> None:
    known = "adaptive, asking, council, delegation, flaky, parallel, plain, review"
    with pytest.raises(UnknownWorkflow, match=rf"known: {known}\. Did you mean 'review'"):
        await engine.start("reviw", {})
    assert await nothing_stored(engine)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"lacks the key 'input_text' \(str\)"),
        ({"input_text": 7}, r"'input_text' must be str, not a int"),
        ({"input_txt": "a"}, "Did you mean 'input_text'"),
        ({"input_text": "a", "when": object()}, "input.when is a object"),
        ({"input_text": "a\x00b"}, r"U\+0000"),
        ({"input_text": "\ud800"}, "not valid Unicode"),
        ([1], "must be a dictionary with input_text"),
    ],
)
async def test_input_that_does_not_fit_is_refused_and_stores_nothing(
    engine: AsyncEngine, given: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        await engine.start("review", given)
    assert await nothing_stored(engine)


async def test_input_over_the_limit_is_refused_and_stores_nothing(database: str) -> None:
    async with AsyncEngine.open(database, settings=Settings(max_input_bytes=1000)) as engine:
        with pytest.raises(InvalidInput, match="more than the 1,000"):
            await engine.start("review", {"input_text": "x" * 1000})
        assert await nothing_stored(engine)


@pytest.mark.parametrize("thread_id", ["", "x" * 201, "a\nb"])
async def test_a_thread_id_that_cannot_be_shown_is_refused(engine: AsyncEngine, thread_id: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 200 printable"):
        await engine.start("asking", {"name": "x"}, thread_id=thread_id)


async def test_the_context_is_given_again_to_every_drive(database: str) -> None:
    from langgraph.runtime import get_runtime
    from langgraph.types import interrupt

    def who(state: Any) -> Any:
        return {"trail": [get_runtime().context["region"]]}

    def stop(state: Any) -> Any:
        return {"answer": interrupt("?")}

    graph = chain(("one", who), ("stop", stop), ("two", who))
    async with AsyncEngine.open(database, workflows={"regional": graph}) as engine:
        run = await engine.start("regional", {"name": "x"}, context={"region": "north"})
    async with AsyncEngine.open(database, workflows={"regional": graph}) as engine:
        run = await engine.resume(run.thread_id, "go")
    assert run.state["trail"] == ["north", "north"]


async def test_a_trusted_principal_may_name_somebody_else(engine: AsyncEngine) -> None:
    assert (await engine.start("asking", {"name": "x"}, by="dana")).requested_by == "dana"


async def test_an_authenticated_principal_may_not(database: str) -> None:
    principal = Principal("kim", source="authenticated")
    async with AsyncEngine.open(database, workflows={"asking": asking}, principal=principal) as engine:
        with pytest.raises(NotAuthorized, match="cannot act as 'dana'"):
            await engine.start("asking", {"name": "x"}, by="dana")
        assert await nothing_stored(engine)


async def test_a_run_of_another_tenant_is_unknown(engine: AsyncEngine, database: str, known: dict[str, Any]) -> None:
    from adjourn import UnknownThread, approve

    run = await engine.start("asking", {"name": "x"})
    other = Principal("eve", tenant="elsewhere")
    async with AsyncEngine.open(database, workflows=known, principal=other) as theirs:
        assert len(await theirs.runs()) == 0
        for verb in (
            theirs.get(run.thread_id),
            theirs.resume(run.thread_id, approve()),
            theirs.retry(run.thread_id),
            theirs.history(run.thread_id),
            theirs.timeline(run.thread_id),
            theirs.fork(run.thread_id, at=0),
            theirs.cancel(run.thread_id, reason="mine now"),
        ):
            with pytest.raises(UnknownThread):
                await verb
        with pytest.raises(ThreadExists):
            await theirs.start("asking", {"name": "x"}, thread_id=run.thread_id)
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_a_registered_name_may_be_text_that_points_at_a_graph(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": "support.workflows:asking"}) as engine:
        assert (await engine.start("asking", {"name": "x"})).status == "paused"


async def test_a_workflow_that_cannot_be_loaded_says_from_where(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"gone": "support.workflows:gone"}) as engine:
        with pytest.raises(ConfigurationError, match=r"support\.workflows:gone"):
            await engine.start("gone", {"name": "x"})
        assert await nothing_stored(engine)


async def test_a_graph_without_questions_completes(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"short": chain(("one", mark("one")))}) as engine:
        run = await engine.start("short", {"name": "x"})
    assert (run.status, run.state) == ("completed", {"name": "x", "trail": ["one"]})
    assert run.ended_at is not None
