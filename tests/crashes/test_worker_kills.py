"""Worker processes die, are told to stop, and lose the database, while they drive submitted runs: all of them end right."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from support.fleet import Fleet, fleet, submit_and_answer
from support.load import assert_all_ended_right
from support.postgres import execute
from support.servers import Server


async def kill_again_and_again(
    server: Server,
    database: str,
    workers: Fleet,
    names: list[str],
    *,
    kills: int | None,
    every: float,
    restart_every: int,
) -> None:
    """Kill a random worker every so often, and start another; after every so many kills the database restarts."""
    chance, done = random.Random(5), 0
    submitted = asyncio.Event()
    working = asyncio.create_task(submit_and_answer(database, names, submitted))
    await submitted.wait()
    while not working.done() and (kills is None or done < kills):
        await asyncio.wait({working}, timeout=every)
        await asyncio.to_thread(workers.kill, chance.choice(workers.alive))
        await asyncio.to_thread(workers.start)
        done += 1
        if done % restart_every == 0:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
    await working
    for worker in list(workers.alive):
        await asyncio.to_thread(workers.stop, worker)
    assert_all_ended_right(database, workers.ledger, names, workers.killed)
    # no job, no worker and no lease is left behind by those that ended by themselves
    assert execute(database, "select count(*) from adjourn.procrastinate_jobs where status = 'todo'") == [(0,)]
    assert "Traceback" not in workers.log, workers.log
    print(f"{len(names)} runs, {done} kills, {done // restart_every} restarts")


async def test_of_runs_whose_workers_are_killed_none_is_lost_and_nothing_is_done_twice(
    restarting: tuple[Server, str], tmp_path: Path
) -> None:
    names = [f"r{n}" for n in range(30)]
    with fleet(restarting[1], tmp_path, pause=0.2, lease=1.0) as workers:
        workers.start()
        workers.start()
        await kill_again_and_again(*restarting, workers, names, kills=3, every=0.5, restart_every=2)


@pytest.mark.soak
async def test_of_five_hundred_runs_whose_workers_are_killed_none_is_lost_and_nothing_is_done_twice(
    restarting: tuple[Server, str], tmp_path: Path
) -> None:
    names = [f"r{n}" for n in range(500)]
    # A run whose worker is killed five times in a row without any progress is failed, so nodes must not be too long here.
    with fleet(restarting[1], tmp_path, pause=0.5, lease=3.0, concurrency=4) as workers:
        for _ in range(4):
            workers.start()
        await kill_again_and_again(*restarting, workers, names, kills=None, every=1.0, restart_every=10)


@pytest.mark.soak
async def test_workers_that_are_told_to_stop_at_any_moment_while_the_database_restarts_end_by_themselves(
    restarting: tuple[Server, str], tmp_path: Path
) -> None:
    server, database = restarting
    names, chance, submitted = [f"r{n}" for n in range(150)], random.Random(9), asyncio.Event()
    with fleet(database, tmp_path, pause=0.4, lease=3.0, concurrency=4, drain=20) as workers:
        for _ in range(3):
            workers.start()
        working = asyncio.create_task(submit_and_answer(database, names, submitted))
        await submitted.wait()
        stopping = []
        for number in range(40):
            await asyncio.wait({working}, timeout=chance.uniform(0, 1.2))
            worker = chance.choice(workers.alive)
            workers.alive.remove(worker)
            worker.tell(signal.SIGTERM)
            stopping.append(worker)
            await asyncio.to_thread(workers.start)
            if number % 8 == 3:
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(chance.uniform(0, 2))
                await asyncio.to_thread(server.start)
        for worker in stopping:
            code = await asyncio.to_thread(worker.ended)
            # by itself and within its time; some were told before they had begun, or before Python had
            assert code in (0, 128 + signal.SIGTERM, -signal.SIGTERM), worker.output
            assert "Traceback" not in worker.output, worker.output
        await working
        assert_all_ended_right(database, workers.ledger, names)
