"""Callers that are cancelled at random."""

import asyncio
import random

import psycopg
import pytest

from adjourn.checkpoints import Storage
from adjourn.checkpoints.backlog import Backlog
from support.eventually import eventually
from support.saving import id_of, put


async def random_cancellation(storage: Storage, puts: int) -> None:
    """No caller hangs, none that returned lacks its row, and the pool is whole at the end."""
    chance, finished = random.Random(6), dict[str, str]()
    storage.saver._committer._backlog = Backlog(limit=40_000, batch=10_000)

    async def one(n: int) -> None:
        saved = await put(storage.saver, f"t{n}", list=["x" * chance.randrange(600)])
        finished[f"t{n}"] = id_of(saved)

    waiting: set[asyncio.Task[None]] = set()
    for n in range(puts):
        waiting.add(asyncio.create_task(one(n)))
        if chance.random() < 0.3:
            chance.choice(sorted(waiting, key=id)).cancel()
        if len(waiting) > 200:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        elif chance.random() < 0.1:
            await asyncio.sleep(0)
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert {type(each) for each in outcomes} <= {type(None), asyncio.CancelledError}
    assert puts * 0.5 < len(finished) < puts
    with psycopg.connect(storage.url.get_secret_value()) as connection:
        stored = dict(connection.execute("select thread_id, checkpoint_id from checkpoints").fetchall())
    assert {thread_id: stored.get(thread_id) for thread_id in finished} == finished
    await eventually(lambda: not storage.saver._committer._tasks)
    assert not storage.saver._committer._backlog._lines
    await eventually(lambda: everything_is_back(storage.pool.get_stats()))


def everything_is_back(pool: dict[str, int]) -> bool:
    return pool["pool_available"] == pool["pool_size"] and not pool.get("requests_waiting")


async def test_a_thousand_puts_with_random_cancellation(storage: Storage) -> None:
    await random_cancellation(storage, 1_000)


@pytest.mark.soak
async def test_ten_thousand_puts_with_random_cancellation(storage: Storage) -> None:
    await random_cancellation(storage, 10_000)
