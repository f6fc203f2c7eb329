"""Connections to PostgreSQL: single ones, and the pool that a process works with."""

from __future__ import annotations

import math
import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from time import monotonic
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, Capabilities
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from ..errors import AdjournError, ConfigurationError, StorageUnavailable
from ..settings import Settings
from .faults import first_line

__all__ = ["Connection", "Pool", "connect", "is_told", "open_pool", "together"]

Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

OLDEST: Final = 14
# What a URL may override: a dead network is noticed within about a minute instead of hours.
_DEFAULTS: Final = {
    "application_name": "adjourn",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_PIPELINE: Final = Capabilities().has_pipeline()
# Of a network that has died silently nothing is heard in a round trip either.
_FRESH_SECONDS: Final = 1.0
_MAX_IDLE_SECONDS: Final = 300.0
_MAX_LIFETIME_SECONDS: Final = 1800.0
_EXAMPLE: Final = "postgresql://user:password@host:5432/database"


async def connect(url: SecretStr, settings: Settings) -> Connection:
    """Open one connection (autocommit, rows as dictionaries) and see whether the server will do.

    Args:
        url: A PostgreSQL URL or connection string.
        settings: The time-out and `prepare_threshold` are used.

    Returns:
        The connection; the caller closes it.

    Raises:
        StorageUnavailable: Nobody answers, or the server refuses the user, the password or the database.
        ConfigurationError: The URL is malformed, or the server is older than PostgreSQL 14.
    """
    parameters = _parameters(url, settings)
    try:
        connection: Connection = await AsyncConnection.connect(**parameters)
    except psycopg.Error as error:
        raise _refused(error, parameters) from error
    if connection.info.server_version < OLDEST * 10_000:
        found = connection.info.server_version // 10_000
        await connection.close()
        raise ConfigurationError(
            f"{_where(parameters)} is PostgreSQL {found}; adjourn needs {OLDEST} or newer. "
            "Upgrade it, or unset ADJOURN_DATABASE_URL to use the embedded PostgreSQL."
        )
    return connection


@asynccontextmanager
async def open_pool(url: SecretStr, settings: Settings) -> AsyncIterator[Pool]:
    """Open a pool of connections like those of `connect`, and close it at the end of the block.

    A connection is checked when it is handed out; a dead one is replaced, and with it all others that are dead, so
    that a restart of the server costs the next caller a moment and nobody an error. One that was used just now, and whose
    server has not said goodbye, needs no round trip for that. Callers wait at most `acquire_timeout` for a connection.

    Args:
        url: A PostgreSQL URL or connection string that `connect` accepts.
        settings: `pool_size`, `acquire_timeout` and `prepare_threshold` are used.

    Yields:
        The open pool.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()

    async def returned(connection: Connection) -> None:
        used[connection] = monotonic()

    async def check(connection: Connection) -> None:
        if monotonic() - used.get(connection, -math.inf) < _FRESH_SECONDS and not is_told(connection):
            return
        try:
            await pool.check_connection(connection)
        except psycopg.Error:
            # The pool waits longer after each dead connection that it meets; ten of them would outlast any caller.
            await pool.check()
            raise

    pool: Pool = AsyncConnectionPool(
        kwargs=_parameters(url, settings),
        min_size=1,
        max_size=settings.pool_size,
        timeout=settings.acquire_timeout,
        max_idle=_MAX_IDLE_SECONDS,
        max_lifetime=_MAX_LIFETIME_SECONDS,
        check=check,
        reset=returned,
        name="adjourn",
        open=False,
    )
    async with pool:
        yield pool


def is_told(connection: AsyncConnection[Any]) -> bool:
    """Whether the server has sent something that nobody has read: when it ends a connection, it says so."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def together(connection: AsyncConnection[Any]) -> AbstractAsyncContextManager[Any]:
    """Send the statements of a block without waiting for the answer to each, where libpq can."""
    return connection.pipeline() if _PIPELINE else nullcontext()


def _parameters(url: SecretStr, settings: Settings) -> dict[str, Any]:
    try:
        given = conninfo_to_dict(url.get_secret_value())
    except psycopg.ProgrammingError:
        # The parser's message quotes the part that it did not understand, which may be the password.
        raise ConfigurationError(
            f"The database URL (ADJOURN_DATABASE_URL) is not understood. It should look like {_EXAMPLE}, "
            "with special characters in the password written as %XX."
        ) from None
    return {
        "connect_timeout": max(2, round(settings.acquire_timeout)),
        **_DEFAULTS,
        **given,
        "autocommit": True,
        "row_factory": dict_row,
        "prepare_threshold": settings.prepare_threshold,
    }


def _refused(error: psycopg.Error, parameters: dict[str, Any]) -> AdjournError:
    said = " ".join(str(error).split()).rstrip(".")
    if "password" in said or "authentication" in said or "pg_hba.conf" in said:
        advice = "Check the user and the password in ADJOURN_DATABASE_URL."
    elif "database" in said and "does not exist" in said:
        advice = f"Create it (createdb {parameters.get('dbname', '')}), or correct its name in ADJOURN_DATABASE_URL."
    else:
        advice = (
            "Check that the server runs and that host and port in ADJOURN_DATABASE_URL are right; "
            "unset it to use the embedded PostgreSQL."
        )
    return StorageUnavailable(f"Cannot connect to {_where(parameters)}: {said or first_line(error)}. {advice}")


def _where(parameters: dict[str, Any]) -> str:
    host = parameters.get("host", "the default host")
    return f"database {parameters.get('dbname', '(default)')} on {host}"
