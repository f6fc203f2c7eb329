"""wait(): woken by the database, and by nothing but time where notifications are lost."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import SecretStr

from adjourn import AsyncEngine, InvalidInput, UnknownThread
from adjourn.engine.listener import Listener
from adjourn.settings import Settings
from support.eventually import eventually
from support.postgres import execute
from support.workflows import asking
from support.working import Gate

LISTENING = "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def engines(database: str, gate: Gate) -> Any:
    """One that drives, and one that waits."""
    known = {"gate": gate.graph, "asking": asking}
    async with AsyncEngine.open(database, workflows=known) as driving, AsyncEngine.open(database) as waiting:
        yield driving, waiting


async def test_a_wait_is_woken_when_the_run_ends(
    engines: tuple[AsyncEngine, AsyncEngine], gate: Gate, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.waiting.POLL_SECONDS", 1000.0)
    driving, waiting = engines
    run = asyncio.create_task(driving.start("gate", {"name": "x"}, thread_id="t"))
    await gate.reached.wait()
    waits = asyncio.create_task(waiting.wait("t"))
    await eventually(lambda: execute(database, LISTENING))
    gate.open.set()
    assert (await asyncio.wait_for(waits, 20)).state["trail"] == ["wait", "after"]
    await run


async def test_a_wait_reads_again_after_its_connection_was_lost(
    engines: tuple[AsyncEngine, AsyncEngine], gate: Gate, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.waiting.POLL_SECONDS", 1000.0)
    driving, waiting = engines
    run = asyncio.create_task(driving.start("gate", {"name": "x"}, thread_id="t"))
    await gate.reached.wait()
    waits = asyncio.create_task(waiting.wait("t"))
    ((pid,),) = await eventually(lambda: execute(database, LISTENING))
    # the connection is lost, and its successor comes only after the run has ended and that was notified
    listening = asyncio.Event()
    connect = waiting._listener.__class__._listen.__globals__["connect"]

    async def later(*args: Any) -> Any:
        await listening.wait()
        return await connect(*args)

    monkeypatch.setattr("adjourn.engine.listener.connect", later)
    execute(database, f"select pg_terminate_backend({pid})")
    await eventually(lambda: not execute(database, LISTENING))
    gate.open.set()
    assert (await run).status == "completed"
    await asyncio.sleep(0.2)  # past the notification, which is sent in the background
    assert not waits.done()
    listening.set()
    assert (await asyncio.wait_for(waits, 20)).status == "completed"


async def test_who_waits_again_finds_the_connection_still_open_and_it_is_closed_after_a_while(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    listener = Listener(SecretStr(database), Settings())
    async with listener.woken("t"):
        opened = await eventually(lambda: execute(database, listening))
    async with listener.woken("t") as waker:
        await asyncio.sleep(0)
        assert execute(database, listening) == opened
        execute(database, "select pg_notify('adjourn_events', '[\"t\", 1]')")
        await asyncio.wait_for(waker.wait(), 5)
        monkeypatch.setattr("adjourn.engine.listener._STAYS_SECONDS", 0.0)
    await eventually(lambda: not execute(database, listening))
    async with listener.woken("t"):
        assert await eventually(lambda: execute(database, listening)) != opened
    await listener.close()
    await eventually(lambda: not execute(database, listening))


async def listened(listener: Listener, listening: asyncio.Event) -> None:
    async with listener.woken("t"):
        await listening.wait()
    await listener.close()


async def test_a_listener_is_closed_although_it_does_not_hear_that_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.stopping._SAID_AGAIN_SECONDS", 0.05)
    heard, listening = 0, asyncio.Event()

    async def deaf(*args: Any) -> AsyncGenerator[None, None]:
        nonlocal heard
        listening.set()
        while heard < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard += 1
        yield None

    monkeypatch.setattr("adjourn.engine.listener.notifications", deaf)
    waiting = asyncio.create_task(listened(Listener(SecretStr(""), Settings()), listening))
    done, _ = await asyncio.wait({waiting}, timeout=5)
    assert (done, heard) == ({waiting}, 2)


async def test_who_is_stopped_while_a_listener_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    listening, ending, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(*args: Any) -> AsyncGenerator[None, None]:
        try:
            listening.set()
            await asyncio.Event().wait()
            yield None
        finally:
            ending.set()
            await gone.wait()

    monkeypatch.setattr("adjourn.engine.listener.notifications", slow)
    waiting = asyncio.create_task(listened(Listener(SecretStr(""), Settings()), listening))
    await ending.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    gone.set()
    assert waiting.cancelled()


async def test_a_wait_needs_no_notification(database: str, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.waiting.POLL_SECONDS", 0.05)
    deaf = Settings(listen_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    async with AsyncEngine.open(database, workflows={"gate": gate.graph}, settings=deaf) as engine:
        run = asyncio.create_task(engine.start("gate", {"name": "x"}, thread_id="t"))
        await gate.reached.wait()
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
        assert (await asyncio.wait_for(engine.wait("t"), 20)).status == "completed"
        await run


async def test_a_wait_ends_at_its_time_and_with_a_run_that_has_ended(
    engines: tuple[AsyncEngine, AsyncEngine], gate: Gate
) -> None:
    driving, waiting = engines
    run = asyncio.create_task(driving.start("gate", {"name": "x"}, thread_id="t"))
    await gate.reached.wait()
    since = time.monotonic()
    assert (await waiting.wait("t", timeout=0.1)).status == "running"
    assert time.monotonic() - since < 3.0  # not a look later
    assert (await waiting.wait("t", until={"running"})).status == "running"
    gate.open.set()
    await run
    assert (await waiting.wait("t", until="paused")).status == "completed"
    await driving.start("asking", {"name": "x"}, thread_id="a")
    assert [each.action for each in (await waiting.wait("a")).reviews] == ["pay"]
    with pytest.raises(InvalidInput, match="never 'done'"):
        await waiting.wait("t", until="done")  # type: ignore[arg-type]
    with pytest.raises(UnknownThread):
        await waiting.wait("nothing")


async def test_a_run_that_stands_as_waited_for_is_returned_with_its_state(
    engines: tuple[AsyncEngine, AsyncEngine], database: str
) -> None:
    driving, waiting = engines
    await driving.start("asking", {"name": "x"}, thread_id="a")
    execute(database, "update adjourn.runs set status = 'running' where thread_id = 'a'")  # nobody drives it
    run = await waiting.wait("a", until="stalled")
    assert (run.status, run.state["trail"]) == ("stalled", ["before"])


async def test_a_wait_lasts_over_a_database_that_is_away(
    engines: tuple[AsyncEngine, AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    from adjourn import StorageUnavailable

    driving, waiting = engines
    await driving.start("asking", {"name": "x"}, thread_id="a")
    read, away = waiting._read, [StorageUnavailable("away"), StorageUnavailable("away")]

    async def sometimes(*args: Any, **options: Any) -> Any:
        if away:
            raise away.pop()
        return await read(*args, **options)

    monkeypatch.setattr(waiting, "_read", sometimes)
    assert (await waiting.wait("a")).status == "paused"
    monkeypatch.setattr(waiting, "settings", Settings(storage_patience=0))
    away.extend([StorageUnavailable("away")] * 5)
    with pytest.raises(StorageUnavailable):
        await waiting.wait("a")
