"""What cases mean, as vectors of an embedding model, in pgvector. Nothing here is needed where no model is set.

Vectors of one model only are compared with each other; all of a tenant's are, so that none is overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg import errors
from psycopg.rows import DictRow

from ..checkpoints.faults import first_line, mapped_faults
from ..checkpoints.patience import patiently
from ..checkpoints.pool import Connection, Pool
from ..checkpoints.queries import load_queries
from ..errors import ConfigurationError

__all__ = ["CaseVectors", "Vector"]

_SQL: Final = load_queries(__package__, "case_vectors.sql")
_LOCK_KEY: Final = int.from_bytes(b"adj-vect", "big", signed=True)


@dataclass(frozen=True, slots=True)
class Vector:
    """What a text means to a model.

    Args:
        model: The model, with the length of its vectors.
        values: Its numbers.
    """

    model: str
    values: list[float]


class CaseVectors:
    """The table `adjourn.case_vectors`, which is made when it is first wanted.

    Args:
        pool: The connections.
        patience: Seconds to wait for a database that is away.
    """

    def __init__(self, pool: Pool, patience: float) -> None:
        self._pool = pool
        self._patience = patience
        self._made = False

    async def ensure(self) -> None:
        """Make the table, once in a database; any number of processes may do so at once.

        Raises:
            ConfigurationError: The extension pgvector is not installed in the database, and we may not install it.
            StorageUnavailable: The role may not make tables in the schema `adjourn`, or the database cannot be reached.
        """
        if self._made:
            return

        async def attempt() -> None:
            async with self._pool.connection() as connection:
                if not await _is_there(connection):
                    await _make(connection)

        with mapped_faults("cannot make the table of vectors"):
            await patiently(attempt, self._patience)
        self._made = True

    async def add(self, connection: Connection, tenant: str, id: str, vector: Vector) -> None:  # noqa: A002
        """Keep the vector of a case, in the transaction that remembers the case."""
        values = {"tenant": tenant, "id": id, "model": vector.model, "vector": vector.values}
        await connection.execute(_SQL["add_vector"], values)

    async def find(self, vector: Vector, **scope: Any) -> list[tuple[str, float]]:
        """Return ids and likeness of the nearest cases, nearest first."""
        values = {"model": vector.model, "vector": vector.values, **scope}

        async def attempt() -> list[DictRow]:
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL["find_by_meaning"], values)).fetchall()

        with mapped_faults("cannot search the cases by meaning"):
            rows = await patiently(attempt, self._patience)
        return [(row["id"], min(1.0, float(row["score"]))) for row in rows]


async def _make(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(_SQL["one_at_a_time"], {"key": _LOCK_KEY})
        if await _is_there(connection):
            return
        schema = await _schema(connection)
        if schema is None:
            await _install(connection)
            schema = await _schema(connection)
        await connection.execute(_SQL["look_there"], {"schema": schema})
        await connection.execute(_SQL["make_table"])
        await connection.execute(_SQL["make_function"])


async def _is_there(connection: Connection) -> bool:
    row = await (await connection.execute(_SQL["is_there"])).fetchone()
    return row is not None and bool(row["made"])


async def _schema(connection: Connection) -> str | None:
    row = await (await connection.execute(_SQL["schema_of_pgvector"])).fetchone()
    return None if row is None else str(row["schema"])


async def _install(connection: Connection) -> None:
    try:
        async with connection.transaction():
            await connection.execute(_SQL["install_pgvector"])
    except (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.UndefinedFile) as error:
        database = connection.info.dbname
        major = connection.info.server_version // 10_000
        raise ConfigurationError(
            f"An embedding model is set, and the database {database!r} lacks the extension pgvector ({first_line(error)}). "
            "Have a superuser run `CREATE EXTENSION vector;` in it; where the server does not know it, install it there "
            f"first (the package postgresql-{major}-pgvector, for example). Or unset ADJOURN_EMBEDDING_MODEL: cases are "
            "found by their words then."
        ) from error
