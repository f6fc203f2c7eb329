"""The database restarts, or kills every connection, while runs pause and are answered: all of them end right."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adjourn import AsyncEngine, LeaseLost, StorageUnavailable
from adjourn.nodes.effects import once
from adjourn.settings import Settings
from support.eventually import eventually
from support.load import assert_all_ended_right, load_workflow, work_off
from support.postgres import execute
from support.recovering import attempt_and_die
from support.servers import Server
from support.workflows import Trail, chain, mark
from support.working import Gate

KILL_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()"""
LOAD = Settings(lease_seconds=3.0, acquire_timeout=5.0)


async def troubled(
    database: str, trouble: Callable[[], Any], ledger: Path, *, runs: int, times: int | None, every: float, pause: float
) -> Counter[str]:
    """Work runs off while trouble comes every so often, until they have ended or it came so often.

    Returns:
        How many runs ended how.
    """
    chance, names, came = random.Random(11), [f"r{n}" for n in range(runs)], 0
    workflows = {"load": load_workflow(ledger, pause)}
    async with AsyncEngine.open(database, workflows=workflows, settings=LOAD) as engine:
        working = asyncio.create_task(work_off(engine, names, "client", at_once=48))
        while not working.done() and (times is None or came < times):
            await asyncio.wait({working}, timeout=chance.uniform(0.5 * every, 1.5 * every))
            await asyncio.to_thread(trouble)
            came += 1
        told = await working
    print(f"{runs} runs, {came} times trouble; the callers were told {dict(told)}")
    return assert_all_ended_right(database, ledger, names)


async def restarted(restarting: tuple[Server, str], ledger: Path, **options: Any) -> Counter[str]:
    server, database = restarting

    def restart() -> None:
        server.stop()
        server.start()

    return await troubled(database, restart, ledger, **options)


async def test_runs_end_right_when_the_server_crashes_and_comes_back(
    restarting: tuple[Server, str], tmp_path: Path
) -> None:
    ended = await restarted(restarting, tmp_path / "ledger", runs=48, times=1, every=0.4, pause=0.4)
    assert ended == {"completed": 48}


async def test_runs_end_right_when_every_connection_is_killed(database: str, tmp_path: Path) -> None:
    ended = await troubled(
        database, lambda: execute(database, KILL_OTHERS), tmp_path / "ledger", runs=48, times=1, every=0.4, pause=0.4
    )
    assert ended == {"completed": 48}


@pytest.mark.soak
async def test_runs_end_right_when_the_server_crashes_every_few_seconds(
    restarting: tuple[Server, str], tmp_path: Path
) -> None:
    ended = await restarted(restarting, tmp_path / "ledger", runs=1000, times=None, every=3.0, pause=1.5)
    assert ended == {"completed": 1000}


@pytest.mark.soak
async def test_runs_end_right_when_every_connection_is_killed_again_and_again(database: str, tmp_path: Path) -> None:
    ended = await troubled(
        database,
        lambda: execute(database, KILL_OTHERS),
        tmp_path / "ledger",
        runs=1000,
        times=None,
        every=1.0,
        pause=1.5,
    )
    assert ended == {"completed": 1000}


async def test_an_effect_that_was_done_while_the_database_went_away_is_not_in_doubt(
    restarting: tuple[Server, str],
) -> None:
    server, database = restarting
    done: list[str] = []

    async def charge() -> str:
        done.append("charged")
        await asyncio.to_thread(server.stop)
        asyncio.get_running_loop().call_later(1.0, lambda: starting.append(asyncio.create_task(start())))
        return "receipt"

    async def start() -> None:
        await asyncio.to_thread(server.start)

    async def pay(state: Trail) -> Trail:
        return {"answer": await once("charge", charge)}

    starting: list[asyncio.Task[None]] = []
    settings = Settings(acquire_timeout=0.5)
    async with AsyncEngine.open(database, workflows={"pay": chain(("pay", pay))}, settings=settings) as engine:
        run = await engine.start("pay", {"name": "x"})
    assert (run.status, run.state["answer"], done) == ("completed", "receipt", ["charged"])


async def test_an_attempt_that_the_database_ended_does_not_count(
    restarting: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, database = restarting
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)
    gate = Gate()
    settings = Settings(lease_seconds=0.6, acquire_timeout=0.5, storage_patience=0.2)
    async with AsyncEngine.open(database, workflows={"gate": gate.graph}, settings=settings) as engine:
        await killed_at_once(engine, monkeypatch)
        for _ in range(4):
            await eventually(lambda: attempt_and_die(engine, "t"))
        fifth = asyncio.create_task(engine.recover())
        await eventually(gate.reached.is_set)
        assert attempts(database) == 5
        await asyncio.to_thread(server.stop)
        gate.open.set()
        assert await fifth == []
        await asyncio.to_thread(server.start)
        await eventually(lambda: attempts(database) == 4)
        (run,) = await eventually(lambda: engine.recover())
    assert (run.status, run.state["trail"]) == ("completed", ["wait", "after"])


async def test_a_run_that_the_database_ended_is_not_held_by_the_heartbeat_of_others(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    workflows = {"gate": gate.graph, "quick": chain(("mark", mark("mark")))}
    async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.6)) as engine:
        other = asyncio.create_task(engine.start("gate", {"name": "x"}, thread_id="other"))
        await gate.reached.wait()
        with monkeypatch.context() as patched:
            patched.setattr(engine._driver._feeder, "feed", unavailable)
            with pytest.raises(StorageUnavailable):
                await engine.start("quick", {"name": "x"}, thread_id="t")
        (run,) = await eventually(lambda: engine.recover())
        assert (run.thread_id, run.status, run.state["trail"]) == ("t", "completed", ["mark"])
        gate.open.set()
        assert (await other).status == "completed"


def attempts(database: str) -> Any:
    ((found,),) = execute(database, "select jsonb_array_length(attempts) from adjourn.runs")
    return found


async def unavailable(*args: Any, **options: Any) -> Any:
    raise StorageUnavailable("away for a moment")


async def killed_at_once(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave behind what a driver leaves that is killed before the first checkpoint."""

    async def die(*args: Any, **options: Any) -> Any:
        raise LeaseLost("killed")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "_carry_out", die)
        with pytest.raises(LeaseLost):
            await engine.start("gate", {"name": "x"}, thread_id="t")
