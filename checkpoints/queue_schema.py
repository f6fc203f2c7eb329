"""Procrastinate's tables and functions, in our schema.

Procrastinate brings its schema as one file and, for databases that have an older one, as small files in the order of
their names. Which of these a database holds is written down in `adjourn.queue_files`, as LangGraph does for its own.
Procrastinate's names stand without a schema, so its functions get a search_path of their own: whoever calls them may have
any, and a pooler may hand every transaction another session.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString

from procrastinate.schema import SchemaManager
from psycopg import AsyncConnection

from .queries import load_queries

__all__ = ["missing_files", "set_up_queue"]

_QUERIES: Final = load_queries(__package__ or "", "queue_schema.sql")


def missing_files(applied: Iterable[str]) -> list[str]:
    """Return the names of Procrastinate's files that a database lacks, in order.

    Args:
        applied: Those that it has. It may have more: a newer Procrastinate was there before, whose changes older ones
            can work with.
    """
    return sorted(_files().difference(applied))


async def set_up_queue(connection: AsyncConnection[Any]) -> None:
    """Make Procrastinate's tables and functions, or bring them up to date, each file in a transaction of its own.

    A kill at any moment leaves a file applied and recorded, or nothing of it.

    Args:
        connection: In autocommit mode, with the lock of all migrations. Its role needs no more than the right to make
            tables in the schema `adjourn`.

    Raises:
        psycopg.Error: PostgreSQL refused a file; nothing of that one was applied.
    """
    await connection.execute(_QUERIES["create_table"])
    rows = await (await connection.execute(_QUERIES["applied"])).fetchall()
    applied = [row["name"] for row in rows]
    missing = missing_files(applied)
    if missing and not applied:
        await _apply(connection, SchemaManager.get_schema(), missing)
        return
    for name in missing:
        await _apply(connection, _text(name), [name])


async def _apply(connection: AsyncConnection[Any], text: LiteralString, names: list[str]) -> None:
    async with connection.transaction():
        await connection.execute(_QUERIES["go_to_schema"])
        await connection.execute(text, prepare=False)
        await connection.execute(_QUERIES["fix_search_path"])
        await connection.execute(_QUERIES["record"], {"names": names})


@cache
def _files() -> frozenset[str]:
    folder = files("procrastinate.sql.migrations")
    return frozenset(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))


def _text(name: str) -> LiteralString:
    # it comes with Procrastinate's package, never from a user: what psycopg means by a literal string
    text: Any = files("procrastinate.sql.migrations").joinpath(name).read_text(encoding="utf-8")
    literal: LiteralString = text
    return literal
