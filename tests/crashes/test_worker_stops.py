"""Worker processes that are told to stop, or are killed: what becomes of the runs that they drive."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adjourn import AsyncEngine
from support.eventually import eventually
from support.fleet import Fleet, fleet, submit_and_answer
from support.load import STEPS, assert_all_ended_right
from support.postgres import execute
from support.processes import Child

BEGUN = "select count(*) from adjourn.runs where status = 'running'"
QUEUED_BY_RECOVERY = "select jsonb_array_length(attempts) from adjourn.runs"


async def submitted(database: str, workers: Fleet, names: list[str]) -> None:
    async with AsyncEngine.open(database, workflows={"load": workers.workflow()}) as engine:
        await asyncio.gather(*(engine.submit("load", {"name": name}, thread_id=name) for name in names))


async def in_a_node(workers: Fleet) -> None:
    await eventually(lambda: " first " in workers.ledger.read_text())


def one_row(database: str, query: str) -> Callable[[], Any]:
    return lambda: execute(database, query)[0][0]


async def test_workers_that_are_told_to_stop_under_load_hand_their_runs_to_others(
    database: str, tmp_path: Path
) -> None:
    names, ready = [f"r{n}" for n in range(24)], asyncio.Event()
    with fleet(database, tmp_path, pause=0.2, lease=30.0) as workers:
        stopping = [workers.start(), workers.start()]
        working = asyncio.create_task(submit_and_answer(database, names, ready))
        for worker in stopping:
            await eventually(lambda: one_row(database, BEGUN)() >= 8)
            workers.start()
            await asyncio.to_thread(workers.stop, worker)
        await working
        assert_all_ended_right(database, workers.ledger, names)
        lines = [line.split() for line in workers.ledger.read_text().splitlines()]
        times = Counter((line[3], line[2]) for line in lines if line[2] in STEPS)
        assert set(times.values()) == {1}, "a finished node was repeated"
        assert len({line[1] for line in lines}) >= 3, "the others did nothing"
        assert execute(database, "select count(*) from adjourn.workers") == [(2,)]


async def hanging(database: str, workers: Fleet) -> Child:
    """A worker in a node that takes hours."""
    worker = workers.start()
    await submitted(database, workers, ["r"])
    await in_a_node(workers)
    return worker


async def finished_elsewhere(database: str, folder: Path) -> None:
    folder.mkdir()
    with fleet(database, folder, pause=0, lease=1.0) as others:
        others.start()
        await submit_and_answer(database, ["r"], asyncio.Event())


async def test_a_second_signal_ends_a_worker_at_once_and_another_goes_on(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=1e5, lease=1.0) as workers:
        worker = await hanging(database, workers)
        os.kill(worker.pid, signal.SIGTERM)
        await eventually(one_row(database, "select bool_or(draining) from adjourn.workers"))
        os.kill(worker.pid, signal.SIGTERM)
        assert await asyncio.to_thread(worker.ended) == 128 + signal.SIGTERM
    await finished_elsewhere(database, tmp_path / "others")


async def test_a_worker_does_not_wait_for_a_long_node_beyond_its_time(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=1e5, lease=1.0, drain=0.1) as workers:
        worker = await hanging(database, workers)
        os.kill(worker.pid, signal.SIGTERM)
        assert await asyncio.to_thread(worker.ended, 20) == 1
        assert "did not come to their next step" in worker.output
    await finished_elsewhere(database, tmp_path / "others")


BLOCKING = """
import time
from support.workflows import chain

async def block(state):
    print("@blocked", flush=True)
    time.sleep(1e5)

load = chain(("block", block))
"""


async def blocked_and_told(database: str, folder: Path, times: int) -> int:
    with fleet(database, folder, pause=0, lease=1.0, drain=0.1) as workers:
        (folder / "flows.py").write_text(BLOCKING)
        await submitted(database, workers, ["r"])
        worker = workers.start()
        await asyncio.to_thread(worker.wait_for, "blocked")
        for _ in range(times):
            os.kill(worker.pid, signal.SIGTERM)
            await asyncio.sleep(0.1)  # two at the same moment are one
        return await asyncio.to_thread(worker.ended, 30)


async def test_a_node_that_blocks_the_event_loop_does_not_keep_a_worker_from_a_second_signal(
    database: str, tmp_path: Path
) -> None:
    assert await blocked_and_told(database, tmp_path, 2) == 128 + signal.SIGTERM


@pytest.mark.soak
async def test_a_node_that_blocks_the_event_loop_does_not_keep_a_worker_from_its_end(
    database: str, tmp_path: Path
) -> None:
    assert await blocked_and_told(database, tmp_path, 1) == 1


async def test_recovery_of_a_killed_workers_run_begins_within_two_lease_times(database: str, tmp_path: Path) -> None:
    lease = 3.0
    with fleet(database, tmp_path, pause=1e5, lease=lease) as workers:
        worker = await hanging(database, workers)
        workers.start()
        await eventually(lambda: execute(database, "select count(*) from adjourn.workers") == [(2,)])
        await asyncio.to_thread(workers.kill, worker)
        killed_at = time.time()
        await eventually(lambda: workers.ledger.read_text().count(" first ") == 2, timeout=20)
        begun = float(workers.ledger.read_text().splitlines()[-1].split()[0])
        assert begun - killed_at < 2 * lease
        assert one_row(database, QUEUED_BY_RECOVERY)() == 1
