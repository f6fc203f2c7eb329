"""The saver keeps connections for a moment, and gives them back."""

import asyncio

from adjourn.checkpoints import Saver, Storage, open_storage
from adjourn.settings import load_settings
from support.eventually import eventually
from support.postgres import execute
from support.saving import config, count_of, four_steps, put

KILL_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


def at_home(storage: Storage) -> bool:
    stats = storage.pool.get_stats()
    return stats["pool_available"] == stats["pool_size"]


async def test_a_connection_is_used_again_without_asking_the_pool(storage: Storage) -> None:
    await put(storage.saver, "t", text="x")
    before = storage.pool.get_stats()["requests_num"]
    for _ in range(5):
        await storage.saver.aget_tuple(config("t"))
    assert storage.pool.get_stats()["requests_num"] - before <= 1


async def test_what_is_kept_goes_back_when_nobody_needs_it(storage: Storage) -> None:
    await asyncio.gather(*(put(storage.saver, f"t{n}", text="x") for n in range(20)))
    await eventually(lambda: at_home(storage))


async def test_kept_connections_that_were_killed_meanwhile_cost_nothing(storage: Storage) -> None:
    url = storage.url.get_secret_value()
    for n in range(5):
        await asyncio.gather(*(put(storage.saver, f"{n}-{m}", text="x") for m in range(10)))
        execute(url, KILL_OTHERS)
    assert count_of(url, [f"{n}-{m}" for n in range(5) for m in range(10)]) == 50


async def test_a_saver_that_was_closed_goes_on_without_keeping_anything(storage: Storage) -> None:
    await put(storage.saver, "t", text="x")
    await storage.saver.aclose()
    await eventually(lambda: at_home(storage))
    assert (await four_steps(storage.saver).ainvoke({"log": [], "text": ""}, config("u")))["text"] == "d"
    assert at_home(storage)


async def test_a_saver_on_a_pool_of_ones_own_keeps_nothing(storage: Storage) -> None:
    saver = Saver(storage.pool)
    await put(saver, "t", text="x")
    assert not saver._lender._kept


async def test_a_small_pool_is_left_to_others(database: str) -> None:
    async with open_storage(load_settings(pool_size=4), database) as storage:
        await put(storage.saver, "t", text="x")
        assert not storage.saver._lender._kept
