"""What Studio's door relies on in LangGraph and LangChain: these tests notice the day one of them changes.

Graphs are driven here as the Agent Server drives them: the graph is polled from one task after another, with the server's
names in the configuration, and LangGraph saves in the background.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from adjourn import AdjournError, ThreadBusy
from adjourn.checkpoints.fence import token_of
from adjourn.engine import studio, studio_drives
from adjourn.engine.studio import StudioSaver
from adjourn.nodes.effects import once, once_sync
from support.workflows import Trail, chain, mark


@pytest.fixture
async def saver(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StudioSaver]:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    async with studio.open_saver() as opened:
        yield opened


@pytest.fixture
def events(saver: StudioSaver, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens to a saver, in order: the begin and end of drives, reads, and stores with the token that they carry."""
    seen: list[Any] = []
    begin, end, commit, read = saver.drives.begin, saver.drives.end, saver._commit, saver.aget_tuple

    async def beginning(call: Any) -> Any:
        drive = await begin(call)
        seen.append("begin")
        return drive

    async def ending(*arguments: Any) -> None:
        seen.append("end")
        await end(*arguments)

    async def committing(config: Any, make: Any) -> None:
        await commit(config, make)
        seen.append(("stored", saver._token(config)))

    async def reading(config: Any) -> Any:
        if "end" not in seen:
            seen.append("read")
        return await read(config)

    for name, function in (("begin", beginning), ("end", ending)):
        monkeypatch.setattr(saver.drives, name, function)
    monkeypatch.setattr(saver, "_commit", committing)
    monkeypatch.setattr(saver, "aget_tuple", reading)
    return seen


def names(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id, "graph_id": "g", "run_id": str(uuid4())}}


async def drive(graph: Any, given: Any, config: Mapping[str, Any]) -> None:
    stream = graph.astream(given, dict(config), stream_mode=["debug", "updates"], durability="async")

    async def advance() -> Any:
        return await anext(stream, None)

    while await asyncio.create_task(advance()) is not None:
        pass


def on(workflow: Any, saver: StudioSaver) -> Any:
    return workflow.compile(checkpointer=saver)


def asking() -> Any:
    inner = chain(("first", mark("first")), ("ask", lambda state: {"answer": interrupt("Well?")})).compile()
    return StateGraph(Trail).add_node("inner", inner).add_node("after", mark("after")) \
        .add_edge(START, "inner").add_edge("inner", "after")  # fmt: skip


async def test_a_drive_begins_before_langgraph_reads_and_ends_after_it_stored_everything(
    saver: StudioSaver, events: list[Any]
) -> None:
    await drive(on(asking(), saver), {}, names("order"))
    assert events[:2] == ["begin", "read"]
    assert events[-1] == "end"
    assert events.count("begin") == 1


async def test_every_store_names_its_drive_those_of_subgraphs_too_though_no_context_variable_can(
    saver: StudioSaver, events: list[Any]
) -> None:
    graph, seen = on(asking(), saver), []
    for given, token in (({}, 1), (Command(resume="fine"), 2)):
        await drive(graph, given, names("tokens"))
        seen += [each[1] for each in events if isinstance(each, tuple)]
        assert set(seen) == {token}
        seen.clear()
        events.clear()
    assert token_of("tokens") is None


async def test_a_drive_can_be_asked_to_stop_before_its_next_step(saver: StudioSaver) -> None:
    reached: list[str] = []

    async def stopped(state: Trail) -> Trail:
        (found,) = [each for (thread, _), each in studio_drives._drives.items() if thread == "stopped"]
        found.stop()
        return {}

    def second(state: Trail) -> Trail:
        reached.append("second")
        return {}

    with pytest.raises(Exception, match="stopped"):
        await drive(on(chain(("one", stopped), ("two", second)), saver), {}, names("stopped"))
    assert reached == []


async def test_an_effect_finds_its_drive_in_async_nodes_and_in_threads(saver: StudioSaver, database: str) -> None:
    async def pay(state: Trail) -> Trail:
        await once("pay", lambda: 1)
        return {}

    def pay_plainly(state: Trail) -> Trail:
        once_sync("pay plainly", lambda: 2)
        return {}

    await drive(on(chain(("one", mark("one")), ("pay", pay), ("plain", pay_plainly)), saver), {}, names("effects"))
    with psycopg.connect(database) as connection:
        found = connection.execute("select name, status from adjourn.effects order by 1").fetchall()
    assert found == [("pay", "done"), ("pay plainly", "done")]


async def test_a_plain_answer_is_given_by_question_id_and_never_kept_for_the_next(
    saver: StudioSaver, database: str
) -> None:
    def asks_twice(state: Trail) -> Trail:
        return {"answer": [interrupt("One?"), interrupt("Two?")]}

    graph, config = on(chain(("ask", asks_twice), ("after", mark("after"))), saver), names("plain")
    await drive(graph, {}, config)
    for answer in ("first", "second"):
        await drive(graph, Command(resume=answer), names("plain"))
    assert (await graph.aget_state(config)).values["answer"] == ["first", "second"]
    with psycopg.connect(database) as connection:
        query = "select count(*) from checkpoint_writes where channel = '__resume__' and task_id = %s"
        assert connection.execute(query, ("00000000-0000-0000-0000-000000000000",)).fetchone() == (0,)
        decided = connection.execute("select channel, consumed_at is null from adjourn.decisions").fetchall()
    assert decided == [("studio", False)] * 2


async def test_a_drive_that_is_refused_runs_and_stores_nothing(saver: StudioSaver, events: list[Any]) -> None:
    ran: list[str] = []

    def node(state: Trail) -> Trail:
        ran.append("node")
        return {}

    await saver.drives.begin(studio_drives.Call("busy", "other", "g", {}, None))
    events.clear()
    with pytest.raises(ThreadBusy) as caught:
        await drive(on(chain(("node", node)), saver), {}, names("busy"))
    assert (ran, events) == ([], [])
    assert isinstance(caught.value, AdjournError)


async def test_a_cancelled_drive_ends_after_what_it_still_stored(saver: StudioSaver, events: list[Any]) -> None:
    begun = asyncio.Event()

    async def wait(state: Trail) -> Trail:
        begun.set()
        await asyncio.Event().wait()
        return {}

    driving = asyncio.create_task(drive(on(chain(("one", mark("one")), ("wait", wait)), saver), {}, names("cancelled")))
    await begun.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert "end" in events
    row = await saver.drives._store.get("cancelled", "default")
    assert row is not None
    assert (row["status"], row["error"]["type"], row["expired"]) == ("failed", "Interrupted", True)
