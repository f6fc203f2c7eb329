"""Looking at a database, or at the place of the embedded one, without changing anything there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import errors
from pydantic import SecretStr

from ..errors import ConfigurationError
from ..settings import Settings
from .accounts import first_closed_folder, server_account
from .embedded_files import installed_programs
from .faults import mapped_faults
from .migrate import LANGGRAPH_VERSION, STORE_VERSION, migrations, missing_migrations, refusal
from .pool import Connection, connect
from .queries import load_queries

__all__ = ["Found", "inspect_database", "inspect_home"]

_QUERIES: Final = load_queries(__package__ or "", "inspection.sql")
_MIGRATIONS: Final = load_queries(__package__ or "", "migrations.sql")


@dataclass(frozen=True, slots=True)
class Found:
    """What a database is like.

    Args:
        version: The server's version.
        role: The role that we are.
        database: The name of the database.
        read_only: Whether it takes no writes.
        missing: How many steps of set-up are not done yet; the next command does them.
        refused: Why they cannot be done, and what to do; None if they can.
        closed_tables: Tables that the role cannot read or change.
        vectors: Whether the extension pgvector is there, or the role may install it.
    """

    version: str
    role: str
    database: str
    read_only: bool
    missing: int
    refused: str | None
    closed_tables: tuple[str, ...]
    vectors: bool


async def inspect_database(url: SecretStr, settings: Settings) -> Found:
    """Look at a database. Nothing is written.

    Args:
        url: A PostgreSQL URL or connection string.
        settings: How to connect.

    Raises:
        StorageUnavailable: It cannot be reached or refuses us.
        ConfigurationError: The URL is malformed, the server is too old, or the database was made by a newer adjourn.
    """
    connection = await connect(url, settings)
    async with connection:
        with mapped_faults("cannot look at the database"):
            server = await _row(connection, _QUERIES["server"])
            closed = await (await connection.execute(_QUERIES["closed_tables"])).fetchall()
            # what cannot be read cannot be compared either
            missing = 0 if closed else await _missing(connection)
            around = await _row(connection, _MIGRATIONS["surroundings"]) if missing else {}
    return Found(
        version=server["version"],
        role=server["role"],
        database=server["database"],
        read_only=server["read_only"],
        missing=missing,
        refused=refusal(around) if missing else None,
        closed_tables=tuple(row["name"] for row in closed),
        vectors=server["vectors"],
    )


def inspect_home(home: Path) -> Path | None:
    """See whether the embedded PostgreSQL could be used. Nothing is made and nothing is started. Blocking.

    Args:
        home: The folder of its data.

    Returns:
        The folder of the data if there are any already, otherwise None.

    Raises:
        ConfigurationError: PostgreSQL is not installed with adjourn, or the folder cannot be used; the message says
            what to do.
        OSError: The folder cannot be looked at.
    """
    installed_programs()
    home = Path(os.path.abspath(home.expanduser()))  # noqa: PTH100 - as the embedded server names it
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not nearest.is_dir():
        raise ConfigurationError(f"{nearest} is no folder. Set ADJOURN_HOME to a folder that you may write to.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"The folder {nearest} may not be written to, and the embedded PostgreSQL keeps its data in {home}. "
            "Set ADJOURN_HOME to a folder that you may write to, or ADJOURN_DATABASE_URL to a PostgreSQL server."
        )
    if os.geteuid() == 0 and (closed := first_closed_folder(server_account(), nearest)):
        raise ConfigurationError(
            f"As root the embedded PostgreSQL runs as another user, who may not enter {closed}. "
            "Set ADJOURN_HOME to a folder that others may walk through, such as /var/lib/adjourn."
        )
    data = home / "postgres" / "data"
    return data if data.is_dir() else None


async def _missing(connection: Connection) -> int:
    known = migrations()
    try:
        state = await _row(connection, _MIGRATIONS["state"])
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return len(known) + LANGGRAPH_VERSION + 1 + STORE_VERSION + 1
    applied = {int(number): digest for number, digest in state["applied"].items()}
    of_langgraph: int = max(LANGGRAPH_VERSION - state["langgraph"], 0) + state["broken_indexes"]
    return len(missing_migrations(applied, known)) + of_langgraph + await _missing_of_store(connection)


async def _missing_of_store(connection: Connection) -> int:
    try:
        store = await _row(connection, _MIGRATIONS["store_state"])
    except errors.UndefinedTable:
        return STORE_VERSION + 1
    return max(STORE_VERSION - int(store["store"]), 0)


async def _row(connection: Connection, query: Any) -> dict[str, Any]:
    return await (await connection.execute(query)).fetchone() or {}
