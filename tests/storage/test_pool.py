"""Connections: refused ones say why at once, dead ones are replaced before anybody notices."""

import asyncio
import time
import traceback

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from adjourn.checkpoints import mapped_faults, open_storage, pool
from adjourn.checkpoints.pool import connect, open_pool
from adjourn.errors import ConfigurationError, StorageUnavailable
from adjourn.settings import load_settings
from support.postgres import execute

# and wait until they have heard it: one that dies while it is used is its user's error
TERMINATE = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name='adjourn'"
SETTINGS = load_settings(pool_size=5)
SECRET = "hunter2hunter2"


async def refused(url: str, kind: type[Exception] = StorageUnavailable) -> str:
    """Open the storage, expect it to be refused quickly, and return the message; the password must show nowhere."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        async with open_storage(SETTINGS, url):
            pytest.fail("it was opened")
    assert time.monotonic() - began < 5
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_wrong_password_is_refused_at_once_and_not_shown(database: str) -> None:
    said = await refused(make_conninfo(database, password=SECRET))
    assert "password authentication failed" in said
    assert "ADJOURN_DATABASE_URL" in said


async def test_an_unknown_database_is_refused_at_once(database: str) -> None:
    assert "createdb nosuch" in await refused(make_conninfo(database, dbname="nosuch"))


async def test_an_unreachable_server_is_reported_at_once() -> None:
    said = await refused(f"postgresql://kim:{SECRET}@127.0.0.1:1/app")
    assert "database app on 127.0.0.1" in said
    assert "Check that the server runs" in said


async def test_a_socket_folder_that_is_not_there_is_reported_at_once() -> None:
    assert "/no/such/folder" in await refused(f"postgresql://kim:{SECRET}@/app?host=/no/such/folder")


@pytest.mark.parametrize(
    "url",
    [
        f"{SECRET} {SECRET}",
        f"mysql://kim:{SECRET}@host/app",
        f"postgresql://kim:%zz{SECRET}@host/app",
        f"postgresql://kim:x@host/app?{SECRET}=1",
    ],
)
async def test_a_url_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    assert "should look like postgresql://" in await refused(url, ConfigurationError)


async def test_a_server_that_is_too_old_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "OLDEST", 99)
    assert "is PostgreSQL 18; adjourn needs 99 or newer" in await refused(database, ConfigurationError)


async def test_connections_carry_our_name_and_notice_a_dead_network(any_database: str) -> None:
    connection = await connect(SecretStr(any_database), SETTINGS)
    async with connection:
        row = await (await connection.execute("show application_name")).fetchone()
        assert row == {"application_name": "adjourn"}
        assert connection.info.get_parameters()["keepalives_idle"] == "30"
        assert connection.autocommit


async def test_what_the_url_says_wins_over_our_defaults(database: str) -> None:
    url = SecretStr(make_conninfo(database, application_name="theirs", keepalives_idle="7"))
    async with await connect(url, SETTINGS) as connection:
        assert connection.info.get_parameters()["application_name"] == "theirs"
        assert connection.info.get_parameters()["keepalives_idle"] == "7"


@pytest.mark.parametrize("threshold", [0, None])
async def test_the_prepare_threshold_is_the_one_of_the_settings(database: str, threshold: int | None) -> None:
    settings = SETTINGS.model_copy(update={"prepare_threshold": threshold})
    async with await connect(SecretStr(database), settings) as connection:
        await connection.execute("select %s::int", (1,))
        cursor = await connection.execute("select statement from pg_prepared_statements")
        prepared = [row["statement"] for row in await cursor.fetchall()]
        assert ("select $1::int" in prepared) is (threshold == 0)


async def test_dead_connections_are_replaced_before_a_caller_gets_one(any_database: str) -> None:
    async with open_pool(SecretStr(any_database), SETTINGS) as connections:
        await fill(connections)
        execute(any_database, TERMINATE)
        began = time.monotonic()
        async with connections.connection() as connection:
            assert await (await connection.execute("select 1 as one")).fetchone() == {"one": 1}
        assert time.monotonic() - began < 3


async def test_a_connection_that_was_used_just_now_needs_no_round_trip(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []

    async def look(connection: object) -> None:
        looked.append(connection)

    async with open_pool(SecretStr(database), load_settings(pool_size=1)) as connections:
        monkeypatch.setattr(connections, "check_connection", look)
        for _ in range(3):
            async with connections.connection() as connection:
                await connection.execute("select 1")
        assert looked == [connection]
        monkeypatch.setattr("adjourn.checkpoints.pool._FRESH_SECONDS", 0.0)
        async with connections.connection():
            assert looked == [connection] * 2


async def test_many_callers_at_once_get_over_the_death_of_every_connection(database: str) -> None:
    async with open_pool(SecretStr(database), SETTINGS) as connections:
        await fill(connections)
        execute(database, TERMINATE)

        async def ask() -> object:
            async with connections.connection() as connection:
                return await (await connection.execute("select 1 as one")).fetchone()

        assert await asyncio.gather(*(ask() for _ in range(20))) == [{"one": 1}] * 20


async def test_waiting_for_a_connection_ends_with_advice(database: str) -> None:
    settings = SETTINGS.model_copy(update={"pool_size": 1, "acquire_timeout": 0.2})
    async with open_pool(SecretStr(database), settings) as connections, connections.connection():
        with pytest.raises(StorageUnavailable, match="ADJOURN_POOL_SIZE"), mapped_faults("cannot list the runs"):
            async with connections.connection():
                pytest.fail("there was a second one")


async def fill(connections: pool.Pool) -> None:
    """Make the pool hold as many connections as it may."""
    held = [await connections.getconn() for _ in range(connections.max_size)]
    assert len({id(connection) for connection in held}) == SETTINGS.pool_size
    for connection in held:
        await connections.putconn(connection)


def test_a_plain_psycopg_connection_would_have_died(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        execute(database, f"select pg_terminate_backend({connection.info.backend_pid})")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
