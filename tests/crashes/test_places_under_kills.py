"""Workers are killed while families of runs wait for places: the database itself counts how many run at every commit."""

import asyncio
import random
from pathlib import Path

import pytest

from adjourn import AsyncEngine, NotPaused, Principal, ReviewClosed, approve
from support.auditing import agree
from support.families import parent_of
from support.fleet import Fleet, fleet
from support.places import most_running, watch
from support.postgres import execute
from support.workflows import chain, mark

FLOWS = """
import os
from pathlib import Path
from support.families import parent_of
from support.guarding import guarded

load = guarded(Path(os.environ["LEDGER"]), float(os.environ["PAUSE"]))
parent = parent_of("load")
top = parent_of("parent")
"""
PROJECT = """{"dependencies": ["."],
"graphs": {"load": "./flows.py:load", "parent": "./flows.py:parent", "top": "./flows.py:top"}}"""
KNOWN = {"top": parent_of("parent"), "parent": parent_of("load"), "load": chain(("x", mark("x")))}
QUEUES = "load,parent,top"
LEFT = "select count(*) from adjourn.runs where status <> 'completed'"


async def answer_all(engine: AsyncEngine, database: str) -> None:
    while execute(database, LEFT) != [(0,)]:
        for review in await engine.reviews(limit=1000):
            try:
                await engine.resume(review.thread_id, approve(), by="dana", wait=False)
            except (NotPaused, ReviewClosed):
                continue
        failed = await engine.runs(status="failed")
        assert not failed, failed[0].error
        await asyncio.sleep(0.1)


async def hold(database: str, folder: Path, workers: Fleet, *, families: int, kills: int, every: float) -> None:
    (folder / "flows.py").write_text(FLOWS)
    (folder / "langgraph.json").write_text(PROJECT)
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim")) as engine:
        watch(database)
        await engine.set_limit(at_once=3)
        await engine.set_limit("load", at_once=2)
        for number in range(families):
            await engine.submit("top", {"name": f"default/{number}"}, thread_id=f"top {number}")
        for _ in range(2):
            workers.start()
        answering, chance = asyncio.create_task(answer_all(engine, database)), random.Random(11)
        for _ in range(kills):
            await asyncio.wait({answering}, timeout=every)
            await asyncio.to_thread(workers.kill, chance.choice(workers.alive))
            await asyncio.to_thread(workers.start)
        await answering
    assert 2 <= most_running(database) <= 3
    assert most_running(database, "load") <= 2
    assert execute(database, "select count(*) from adjourn.runs") == [(3 * families,)]
    agree(database)


async def test_limits_hold_at_every_commit_while_a_worker_of_families_is_killed(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=0.05, lease=1.0, queues=QUEUES) as workers:
        await hold(database, tmp_path, workers, families=4, kills=1, every=0.7)


@pytest.mark.soak
async def test_limits_hold_at_every_commit_while_workers_of_families_are_killed(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=0.3, lease=3.0, queues=QUEUES) as workers:
        await hold(database, tmp_path, workers, families=60, kills=30, every=1.5)
