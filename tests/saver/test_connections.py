"""Dead connections, restarts, fail-overs and poolers: calls wait, or say that the storage is unavailable."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr

from adjourn.checkpoints import Added, Saver, Storage, open_storage
from adjourn.checkpoints.fence import holding, take
from adjourn.checkpoints.migrate import migrate
from adjourn.checkpoints.pool import open_pool
from adjourn.errors import StorageUnavailable
from adjourn.settings import Settings, load_settings
from support.postgres import execute
from support.saving import config, count_of, four_steps, put
from support.servers import PGBOUNCER, Server, own_server, pgbouncer

KILL_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def made_server() -> Iterator[Server]:
    with own_server() as server:
        yield server


@pytest.fixture
def server_of_my_own(made_server: Server) -> Server:
    """A server that may be stopped."""
    made_server.start()
    return made_server


async def test_calls_wait_for_a_server_that_restarts(server_of_my_own: Server) -> None:
    server = server_of_my_own
    async with open_storage(load_settings(acquire_timeout=2), server.url) as storage:
        await put(storage.saver, "before", text="x")
        await asyncio.to_thread(server.stop)
        calls = [asyncio.create_task(put(storage.saver, f"t{n}", text="x")) for n in range(20)]
        reading = asyncio.create_task(storage.saver.aget_tuple(config("before")))
        deleting = asyncio.create_task(storage.saver.adelete_thread("none"))
        await asyncio.sleep(1)
        assert not any(call.done() for call in (*calls, reading, deleting))
        await asyncio.to_thread(server.start)
        await asyncio.gather(*calls, deleting)
        assert await reading is not None
        assert count_of(server.url, [f"t{n}" for n in range(20)]) == 20


async def test_a_server_that_does_not_come_back_is_reported_within_the_limit_to_everybody(
    server_of_my_own: Server,
) -> None:
    server = server_of_my_own
    settings = load_settings(acquire_timeout=1, storage_patience=0.5)
    async with open_storage(settings, server.url) as storage:
        await put(storage.saver, "before", text="x")
        await asyncio.to_thread(server.stop)
        begun = time.monotonic()
        outcomes = await asyncio.gather(
            *(put(storage.saver, f"t{n}", text="x") for n in range(20)),
            storage.saver.aget_tuple(config("before")),
            return_exceptions=True,
        )
        assert time.monotonic() - begun < 20
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}


async def test_a_primary_that_becomes_read_only_for_a_moment_is_waited_for(storage: Storage) -> None:
    url = storage.url.get_secret_value()
    await put(storage.saver, "before", text="x")
    name = execute(url, "select current_database()")[0][0]
    execute(url, f"alter database {name} set default_transaction_read_only = on", KILL_OTHERS)
    waiting = asyncio.create_task(put(storage.saver, "t", text="x"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    execute_writable(url, f"alter database {name} reset default_transaction_read_only")
    await waiting
    assert count_of(url, ["t"]) == 1


def execute_writable(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        connection.execute(statement)  # type: ignore[call-overload]


async def test_connections_that_are_killed_all_the_time_cost_nobody_a_checkpoint(storage: Storage) -> None:
    url, ended = storage.url.get_secret_value(), asyncio.Event()

    async def kill() -> None:
        while not ended.is_set():
            await asyncio.to_thread(execute, url, KILL_OTHERS)
            await asyncio.sleep(0.25)

    killer = asyncio.create_task(kill())
    graph = four_steps(storage.saver)
    begun = time.monotonic()
    runs = 0
    while time.monotonic() - begun < 2:
        batch = [graph.ainvoke({"log": [], "text": ""}, config(f"t{runs + n}"), durability="sync") for n in range(8)]
        assert [each["log"] for each in await asyncio.gather(*batch)] == [["a", "b", "c", "d"]] * 8
        runs += 8
    ended.set()
    await killer
    assert count_of(url, [f"t{n}" for n in range(runs)]) == runs * _rows_of_a_run()


def _rows_of_a_run() -> int:
    # six checkpoints, six versions of the log, fourteen writes
    return 6 + 6 + 14


async def test_no_more_connections_are_used_than_configured(database: str) -> None:
    seen = 0
    async with open_storage(load_settings(pool_size=3), database) as storage:
        graph = four_steps(storage.saver)
        runs = [
            asyncio.create_task(graph.ainvoke({"log": [], "text": ""}, config(f"t{n}"), durability="sync"))
            for n in range(64)
        ]
        while not all(run.done() for run in runs):
            rows = await asyncio.to_thread(
                execute,
                database,
                "select 1 from pg_stat_activity "
                "where datname = current_database() and application_name = 'adjourn' and state <> ''",
            )
            seen = max(seen, len(rows))
        await asyncio.gather(*runs)
    assert 1 <= seen <= 3


async def test_a_pool_of_one_connection_is_enough(database: str) -> None:
    async with open_storage(load_settings(pool_size=1), database) as storage:
        graph = four_steps(storage.saver)
        runs = [graph.ainvoke({"log": [], "text": ""}, config(f"t{n}"), durability="sync") for n in range(16)]
        assert len(await asyncio.gather(*runs)) == 16


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
async def test_it_works_behind_pgbouncer_in_transaction_mode(database: str) -> None:
    settings = Settings(prepare_threshold=None)
    await migrate(SecretStr(database), settings)
    with pgbouncer(database) as behind:
        async with open_pool(SecretStr(behind), settings) as pool:
            saver = Saver(pool)
            saver.add_hook(lambda puts, writes: [Added("one", "select 1", (), list)] if len(puts) % 2 else [])
            graph = four_steps(saver)
            runs = [graph.ainvoke({"log": [], "text": ""}, config(f"t{n}"), durability="sync") for n in range(32)]
            assert len(await asyncio.gather(*runs)) == 32
            async with pool.connection() as connection:
                token = await take(connection, "leased", "one", 60)
            assert token
            with holding("leased", token):
                await put(saver, "leased", text="x")
            await saver.aprune(["t1"])
            await saver.adelete_thread("t2")
    assert count_of(database, ["t2"]) == 0
    assert count_of(database, ["t3"]) == _rows_of_a_run()
