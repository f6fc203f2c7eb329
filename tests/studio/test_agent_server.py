"""LangGraph's own server reads and resumes the very threads that Python made, and Python those that it made."""

from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine, NotPaused, Run, UnknownThread, approve
from adjourn.engine.studio_sync import put_in_step
from support.eventually import eventually
from support.telling import rows

from .conftest import Studio

DOUBTFUL = {"input_text": "The supplier is liable without any limit. We may sue, or not."}
APPROVED = {"resume": {"decisions": [{"type": "approve"}]}}


async def paused(engine: AsyncEngine) -> Run:
    run = await engine.start("review", DOUBTFUL)
    assert run.status == "paused", run
    return run


async def known(client: LangGraphClient, run: Run) -> None:
    """Register a thread there as the command does, without waiting for its next turn."""
    await client.threads.create(thread_id=run.thread_id, graph_id=run.workflow, if_exists="do_nothing")


def properties(schema: Any) -> set[str]:
    """The keys of a JSON Schema, which may stand behind a reference."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return set((schema["$defs"][name] if name else schema)["properties"])


async def listed(client: LangGraphClient, thread_id: str, **metadata: str) -> dict[str, Any]:
    """Wait until a search for the metadata finds the thread; return what it found."""

    async def find() -> dict[str, Any] | None:
        found = await client.threads.search(metadata=metadata, limit=100)
        return next((dict(thread) for thread in found if thread["thread_id"] == thread_id), None)

    return await eventually(find)


async def test_the_workflow_can_be_looked_at(client: LangGraphClient) -> None:
    (assistant,) = await client.assistants.search(graph_id="review")
    graph = await client.assistants.get_graph(assistant["assistant_id"])
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    assert {"analyze", "validate", "human_review", "execute", "finalize"} <= {
        str(node["id"]) for node in graph["nodes"]
    }
    assert "input_text" in properties(schemas["input_schema"])
    assert "final_decision" in properties(schemas["state_schema"])


async def test_a_thread_paused_by_python_is_found_read_and_finished_there(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    thread = await listed(client, run.thread_id, adjourn_status="paused", adjourn_workflow="review")
    assert thread["metadata"]["graph_id"] == "review"

    state = await client.threads.get_state(run.thread_id)
    assert state["next"] == ["human_review"]
    assert state["values"]["input_text"] == DOUBTFUL["input_text"]
    assert [each["id"] for each in state["tasks"][0]["interrupts"]] == [run.reviews[0].id]
    steps = await client.threads.get_history(run.thread_id)
    assert len(steps) == len(await engine.history(run.thread_id))

    values: Any = await client.runs.wait(run.thread_id, "review", command=APPROVED)

    found = await engine.get(run.thread_id)
    assert (found.status, found.error, found.reviews) == ("completed", None, ())
    assert found.state["final_decision"] == values["final_decision"]
    assert run.thread_id in {each.thread_id for each in await engine.runs(status="completed")}
    await listed(client, run.thread_id, adjourn_status="completed")


async def test_a_run_started_there_is_a_run_of_the_engine(engine: AsyncEngine, client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "review", input=DOUBTFUL)

    assert thread_id in {run.thread_id for run in await engine.runs(status="paused", workflow="review")}
    run = await engine.get(thread_id)
    assert run.reviews[0].action == "accept_analysis"
    assert "langgraph.json" in run.source
    await listed(client, thread_id, adjourn_status="paused", adjourn_workflow="review")

    assert (await engine.resume(thread_id, approve(), by="dana")).status == "completed"
    state = await client.threads.get_state(thread_id)
    assert (state["next"], state["values"]["final_decision"]) == (
        [],
        (await engine.get(thread_id)).state["final_decision"],
    )


async def test_people_are_told_of_a_question_that_is_asked_there(studio: Studio, client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "review", input=DOUBTFUL)
    sent = f"select kind, attempts from adjourn.notices where thread_id = '{thread_id}' and next_at is null"
    assert await eventually(lambda: rows(studio.database, sent)) == [("asked", 1)]


async def test_a_run_that_asks_nobody_completes_there(engine: AsyncEngine, client: LangGraphClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    sure = "The garden party was a great success, and everybody enjoyed the good food and the lovely music."
    await client.runs.wait(thread_id, "review", input={"input_text": sure})
    run = await engine.get(thread_id)
    state = await client.threads.get_state(thread_id)
    assert run.status == ("paused" if state["next"] else "completed")


async def test_what_was_answered_there_cannot_be_answered_by_the_engine(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await known(client, run)
    await client.runs.wait(run.thread_id, "review", command=APPROVED)
    steps = await engine.history(run.thread_id)
    with pytest.raises(NotPaused, match="has completed"):
        await engine.resume(run.thread_id, approve())
    assert await engine.history(run.thread_id) == steps


async def test_what_was_answered_by_the_engine_cannot_be_answered_there(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await known(client, run)
    await engine.resume(run.thread_id, approve())
    steps = await engine.history(run.thread_id)
    with pytest.raises(Exception, match="NotPaused"):
        await client.runs.wait(run.thread_id, "review", command=APPROVED)
    assert await engine.history(run.thread_id) == steps
    assert (await engine.get(run.thread_id)).status == "completed"


async def test_an_answer_there_to_a_question_that_is_not_open_is_refused(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await known(client, run)
    stale = {"resume": {uuid4().hex: APPROVED["resume"]}}
    with pytest.raises(Exception, match="UnknownReview"):
        await client.runs.wait(run.thread_id, "review", command=stale)
    assert (await engine.get(run.thread_id)).reviews == run.reviews


async def test_an_answer_to_a_thread_that_never_ran_is_refused_and_starts_nothing(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    thread = await client.threads.create(graph_id="review")
    with pytest.raises(Exception, match="UnknownThread"):
        await client.runs.wait(thread["thread_id"], "review", command=APPROVED)
    with pytest.raises(UnknownThread):
        await engine.get(thread["thread_id"])
    await client.runs.wait(thread["thread_id"], "review", input=DOUBTFUL)
    assert (await engine.get(thread["thread_id"])).status == "paused"


async def test_a_cancelled_run_cannot_be_gone_on_with_there(engine: AsyncEngine, client: LangGraphClient) -> None:
    run = await paused(engine)
    await known(client, run)
    await engine.cancel(run.thread_id, reason="no longer needed")
    for given in ({"command": APPROVED}, {"input": DOUBTFUL}):
        with pytest.raises(Exception, match="NotPaused"):
            await client.runs.wait(run.thread_id, "review", **given)


async def test_an_answer_there_that_does_not_fit_is_refused_and_the_question_stays_open(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await known(client, run)
    steps = await engine.history(run.thread_id)
    with pytest.raises(Exception, match="InvalidDecision"):
        await client.runs.wait(run.thread_id, "review", command={"resume": "perhaps"})
    found = await engine.get(run.thread_id)
    assert (found.status, found.reviews) == ("paused", run.reviews)
    assert await engine.history(run.thread_id) == steps


async def test_another_input_there_withdraws_the_questions_of_the_first(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await known(client, run)
    await client.runs.wait(run.thread_id, "review", input=DOUBTFUL)
    (asked,) = (await engine.get(run.thread_id)).reviews
    assert asked.id != run.reviews[0].id
    assert (await engine.resume(run.thread_id, approve())).status == "completed"


async def test_a_run_of_another_tenant_is_neither_shown_nor_driven_there(
    studio: Studio, client: LangGraphClient, engine: AsyncEngine
) -> None:
    from adjourn import Principal

    async with AsyncEngine.open(studio.database, principal=Principal("eve", tenant="other")) as theirs:
        run = await paused(theirs)
        await listed(client, (await paused(engine)).thread_id, adjourn_status="paused")  # a turn has passed
        assert run.thread_id not in {each["thread_id"] for each in await client.threads.search(limit=500)}
        await client.threads.create(thread_id=run.thread_id, graph_id="review")
        with pytest.raises(Exception, match="UnknownThread"):
            await client.runs.wait(run.thread_id, "review", command=APPROVED)
        assert (await theirs.get(run.thread_id)).status == "paused"


async def test_a_thread_deleted_there_is_no_run_any_more(engine: AsyncEngine, client: LangGraphClient) -> None:
    run = await paused(engine)
    await known(client, run)
    await client.threads.delete(run.thread_id)
    with pytest.raises(UnknownThread):
        await engine.get(run.thread_id)


async def test_a_finished_thread_that_is_edited_there_is_open_again(
    engine: AsyncEngine, client: LangGraphClient
) -> None:
    run = await paused(engine)
    await engine.resume(run.thread_id, approve())
    await known(client, run)
    await client.threads.update_state(run.thread_id, {"input_text": "Something else."}, as_node="__start__")
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_a_thread_whose_id_is_no_uuid_is_not_shown(engine: AsyncEngine, client: LangGraphClient) -> None:
    await engine.start("review", DOUBTFUL, thread_id="offer-7")
    shown = await put_in_step(engine, client)
    assert (shown.hidden, shown.threads) == (1, len(await engine.runs(limit=1000)) - 1)
    assert "offer-7" not in {thread["thread_id"] for thread in await client.threads.search(limit=500)}


async def test_a_second_turn_changes_nothing(
    engine: AsyncEngine, client: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paused(engine)
    first = await put_in_step(engine, client)

    async def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a thread was written again")

    monkeypatch.setattr(client.threads, "create", refuse)
    monkeypatch.setattr(client.threads, "update", refuse)
    assert await put_in_step(engine, client) == first


async def test_a_thread_of_another_database_is_marked_as_unknown(engine: AsyncEngine, client: LangGraphClient) -> None:
    foreign = str(uuid4())
    await client.threads.create(thread_id=foreign, graph_id="review", metadata={"adjourn_status": "paused"})
    await listed(client, foreign, adjourn_status="unknown")


async def test_nothing_has_left_the_machine(studio: Studio, client: LangGraphClient) -> None:
    assert (await client.assistants.search(graph_id="review"))[0]["graph_id"] == "review"
    assert studio.foreign_hosts == []
