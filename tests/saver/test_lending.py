"""The saver keeps connections for a moment, and gives them back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import psycopg
import pytest
from psycopg.errors import ReadOnlySqlTransaction

from adjourn.checkpoints import Saver, Storage, open_storage
from adjourn.checkpoints.lending import Lender
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
    for again in "ab":
        await asyncio.gather(*(put(storage.saver, f"{again}{n}", text="x") for n in range(20)))
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


@pytest.fixture
async def lender(storage: Storage) -> AsyncIterator[Lender]:
    """Keeps two of the pool's connections."""
    lending = Lender(storage.pool, keep=2)
    yield lending
    await lending.close()


async def test_a_kept_connection_that_its_server_has_ended_is_not_lent(storage: Storage, lender: Lender) -> None:
    async with lender.lend() as kept:
        await kept.execute("select 1")
    execute(storage.url.get_secret_value(), KILL_OTHERS.replace("(pid)", "(pid, 5000)"))
    async with lender.lend() as other:
        assert (await (await other.execute("select 1 as one")).fetchone())["one"] == 1
        assert other is not kept


async def test_what_was_used_last_is_lent_first_and_no_more_is_kept_than_may_be(lender: Lender) -> None:
    async with AsyncExitStack() as stack:
        three = [await stack.enter_async_context(lender.lend()) for _ in range(3)]
    # given back in reverse: the third, the second, and for the first there is no room
    assert [connection for connection, _ in lender._kept] == [three[2], three[1]]
    async with lender.lend() as again:
        assert again is three[1]


async def test_after_an_error_of_the_borrowers_the_connection_goes_home(storage: Storage, lender: Lender) -> None:
    for _ in range(storage.pool.max_size + 1):  # otherwise none would be left
        with pytest.raises(ValueError, match="mine"):
            async with lender.lend():
                raise ValueError("mine")
    assert lender._kept == []


async def test_what_leads_to_a_server_that_only_reads_is_closed(lender: Lender) -> None:
    with pytest.raises(ReadOnlySqlTransaction):
        async with lender.lend() as connection:
            raise ReadOnlySqlTransaction("a standby")
    assert connection.closed


async def test_when_one_connection_is_lost_none_is_kept_on_trust(lender: Lender) -> None:
    async with lender.lend(), lender.lend():
        pass
    assert len(lender._kept) == 2
    with pytest.raises(psycopg.OperationalError):
        async with lender.lend():
            raise psycopg.OperationalError("gone")
    assert lender._kept == []


async def test_a_connection_that_died_in_its_block_is_not_kept(storage: Storage, lender: Lender) -> None:
    async with lender.lend() as connection:
        execute(storage.url.get_secret_value(), KILL_OTHERS)
        with suppress(psycopg.Error):
            await connection.execute("select 1")
    assert lender._kept == []


async def test_a_single_connection_has_one_borrower_at_a_time(storage: Storage) -> None:
    at_once = []

    async def borrow(lending: Lender) -> None:
        async with lending.lend():
            at_once.append(1)
            await asyncio.sleep(0)
            assert len(at_once) == 1
            at_once.pop()

    async with storage.pool.connection() as connection:
        lending = Lender(connection, keep=2)
        assert lending.single
        await asyncio.gather(*(borrow(lending) for _ in range(3)))


async def test_what_is_unused_for_a_moment_only_is_kept(lender: Lender) -> None:
    async with lender.lend():
        pass
    await lender._give_back(60.0)
    assert len(lender._kept) == 1
