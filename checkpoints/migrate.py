"""Bring a database up to date: adjourn's numbered SQL files, and the set-up of LangGraph and of Procrastinate.

    up to date? one query, no lock
    else: poll for the lock → look again → LangGraph's set-up → Procrastinate's → each missing file in a transaction of its
    own → unlock

Waiting is polling with no transaction open: whoever waits *inside* a statement holds a snapshot that
`create index concurrently` of the one at work waits for, and the two deadlock. The lock belongs to the connection that
works, so that it is free exactly when that work has ended, however the process ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, LiteralString

import structlog
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from ..errors import ConfigurationError, StorageUnavailable
from ..settings import Settings
from .faults import mapped_faults
from .pool import Connection, connect
from .queries import load_queries
from .queue_schema import missing_files, set_up_queue

__all__ = ["Migration", "migrate", "migrations", "missing_migrations", "refusal", "set_up_langgraph"]

LOCK_KEY: Final = int.from_bytes(b"adjourn\0", "big", signed=True)
LANGGRAPH_VERSION: Final = len(AsyncPostgresSaver.MIGRATIONS) - 1
_POLL_SECONDS: Final = (0.05, 0.15)
# Building LangGraph's indexes on a large, old database may take this long.
_LOCK_SECONDS: Final = 1800.0
_FILE_NAME: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_QUERIES: Final = load_queries(__package__ or "", "migrations.sql")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file.

    Args:
        number: Its number; they are applied in this order.
        name: The rest of its name.
        text: Its SQL; it runs in one transaction.
    """

    number: int
    name: str
    text: LiteralString

    @property
    def sha256(self) -> str:
        """What tells an applied file from a changed one."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(package: str = f"{__package__}.migrations") -> list[Migration]:
    """Read the numbered files of a package, in order.

    Args:
        package: The import name of the package.

    Raises:
        ConfigurationError: Two files have one number.
    """
    found: dict[int, Migration] = {}
    for entry in files(package).iterdir():
        if match := _FILE_NAME.match(entry.name):
            number = int(match[1])
            if number in found:
                raise ConfigurationError(f"Two migrations have the number {number}; give {entry.name} the next one.")
            # read_text turns line ends into \n, so that a checkout on another system has the same digest.
            found[number] = Migration(number, match[2], entry.read_text(encoding="utf-8"))
    return [found[number] for number in sorted(found)]


async def migrate(url: SecretStr, settings: Settings) -> None:
    """Bring the database up to date. Any number of processes may do so at once; all succeed, one does the work.

    A kill at any moment leaves either a file applied and recorded or nothing of it; the next call goes on.

    Args:
        url: The database. Its role needs no more than the right to create the schema `adjourn`, and tables in the
            first schema of its search_path (LangGraph's).
        settings: How to connect.

    Raises:
        StorageUnavailable: The database cannot be reached, the role lacks a right (the message names it), or the lock
            was not free for half an hour.
        ConfigurationError: The database was made by a newer adjourn, or an applied file was changed since.
    """
    known = migrations()
    connection = await connect(url, settings)
    async with connection:
        with mapped_faults("cannot bring the tables up to date"):
            if await _up_to_date(connection, known):
                return
            await _lock(connection)
            try:
                if not await _up_to_date(connection, known):
                    await _apply_all(connection, known)
            finally:
                await _unlock(connection)


async def set_up_langgraph(connection: AsyncConnection[Any]) -> None:
    """Make LangGraph's own tables and nothing else, for a saver on a pool that somebody else made.

    Any number of processes may do so at once; they share the lock of `migrate`.

    Args:
        connection: In autocommit mode, as LangGraph demands.

    Raises:
        StorageUnavailable: The lock was not free for half an hour.
        psycopg.Error: PostgreSQL refused.
    """
    rows, connection.row_factory = connection.row_factory, dict_row
    try:
        await _lock(connection)
        try:
            await AsyncPostgresSaver(connection).setup()
        finally:
            await _unlock(connection)
    finally:
        connection.row_factory = rows


async def _up_to_date(connection: Connection, known: list[Migration]) -> bool:
    try:
        state = await (await connection.execute(_QUERIES["state"])).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return False
    if state is None:
        return False
    missing = missing_migrations({int(number): digest for number, digest in state["applied"].items()}, known)
    theirs = state["langgraph"] >= LANGGRAPH_VERSION and not missing_files(state["queue"])
    return not missing and theirs and not state["broken_indexes"]


def missing_migrations(applied: dict[int, str], known: list[Migration]) -> list[Migration]:
    """Return the migrations that a database lacks, in order.

    Args:
        applied: Digest by number, of those that it has applied.
        known: All of this adjourn.

    Raises:
        ConfigurationError: The database was made by a newer adjourn, or an applied file was changed since.
    """
    newest = known[-1].number if known else 0
    if applied and max(applied) > newest:
        raise ConfigurationError(
            f"The database was migrated to number {max(applied)} by a newer adjourn; this one knows {newest}. "
            "Upgrade adjourn here (pip install --upgrade adjourn), or use another database."
        )
    for migration in known:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise ConfigurationError(
                f"The migration {migration.number:04}_{migration.name}.sql was changed after the database had applied "
                "it. Restore the file (reinstall adjourn) and put the change into a new one."
            )
    return [migration for migration in known if migration.number not in applied]


async def _lock(connection: AsyncConnection[Any]) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        row = await (await connection.execute(_QUERIES["try_lock"], {"key": LOCK_KEY})).fetchone()
        if row is not None and row["taken"]:
            return
        if time.monotonic() > deadline:
            raise StorageUnavailable(
                f"Another process has been migrating the database for more than {_LOCK_SECONDS / 60:.0f} minutes. "
                "See pg_stat_activity for application_name 'adjourn'; end it if it hangs, then try again."
            )
        await asyncio.sleep(random.uniform(*_POLL_SECONDS))  # noqa: S311 - spreads the waiters, guards nothing


async def _unlock(connection: AsyncConnection[Any]) -> None:
    if connection.closed or connection.broken:
        return
    row = await (await connection.execute(_QUERIES["unlock"], {"key": LOCK_KEY})).fetchone()
    if row is not None and not row["given_back"]:
        _log.warning("migration lock was taken in another session; migrate over a direct connection, not a pooler")


async def _apply_all(connection: Connection, known: list[Migration]) -> None:
    around = await (await connection.execute(_QUERIES["surroundings"])).fetchone() or {}
    if refused := refusal(around):
        raise StorageUnavailable(refused)
    # First our schema: making it may change what the search_path of a role called adjourn means to LangGraph.
    if not around["has_schema"]:
        await connection.execute(_QUERIES["create_schema"])
    if not around["has_table"]:
        await connection.execute(_QUERIES["create_table"])
    await _set_up_langgraph(connection, around["langgraph_schema"])
    await set_up_queue(connection)
    state = await (await connection.execute(_QUERIES["state"])).fetchone() or {}
    for migration in missing_migrations({int(number): digest for number, digest in state["applied"].items()}, known):
        async with connection.transaction():
            await connection.execute(migration.text, prepare=False)
            await connection.execute(
                _QUERIES["record"],
                {"number": migration.number, "name": migration.name, "sha256": migration.sha256},
            )


async def _set_up_langgraph(connection: Connection, schema: str | None) -> None:
    # A killed `create index concurrently` leaves an index that exists, is maintained, and is never used; LangGraph's
    # `if not exists` would take it for done.
    for index in await (await connection.execute(_QUERIES["broken_indexes"])).fetchall():
        repair = "drop index concurrently if exists {}" if index["is_leftover"] else "reindex index concurrently {}"
        await connection.execute(sql.SQL(repair).format(sql.SQL(index["name"])))
    if schema is None:
        await AsyncPostgresSaver(connection).setup()
        return
    # LangGraph looks for its tables in the first schema of the search_path only, and would make them a second time
    # there if they stand in a later one.
    await connection.execute(_QUERIES["go_to_schema"], {"schema": schema})
    await AsyncPostgresSaver(connection).setup()
    await connection.execute(_QUERIES["go_back"])


def refusal(around: Mapping[str, Any]) -> str | None:
    """Return why what is missing cannot be made, and what to do, or None if it can.

    Args:
        around: The row of the query `surroundings`.
    """
    role, database = _quoted(around["role"]), _quoted(around["database"])
    visible, anywhere = around["langgraph_schema"], around["langgraph_anywhere"]
    if around["has_table"] and visible is None and anywhere is not None:
        return (
            f"LangGraph's tables are in the schema {anywhere}, which is not on the search_path of the role {role} "
            f"({around['search_path']}). Run `ALTER ROLE {role} IN DATABASE {database} SET search_path = {anywhere}`, "
            "or connect as the role that made them."
        )
    if visible is None and around["schema"] is None:
        return (
            f"The search_path of the role {role} ({around['search_path']}) names no schema that exists, so LangGraph's "
            f"tables have no place. Make one, such as `CREATE SCHEMA {role} AUTHORIZATION {role}`, then try again."
        )
    grants = []
    if visible is None and not around["may_make_langgraph"]:
        grants.append(f"GRANT CREATE ON SCHEMA {_quoted(around['schema'])} TO {role}")
    if not around["has_schema"] and not around["may_make_schema"]:
        grants.append(f"GRANT CREATE ON DATABASE {database} TO {role}")
    if around["has_schema"] and not around["may_make_tables"]:
        grants.append(f"GRANT USAGE, CREATE ON SCHEMA adjourn TO {role}")
    if not grants:
        return None
    return (
        f"The role {role} may not make adjourn's tables in the database {database}. "
        f"As the owner of the database run `{'; '.join(grants)};`, then try again."
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
