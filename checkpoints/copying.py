"""Copying the past of a thread to a new one, for forks."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from .queries import load_queries

__all__ = ["copy_until"]

_SQL = load_queries(__package__, "copying.sql")


async def copy_until(connection: AsyncConnection[Any], source: str, target: str, checkpoint_id: str) -> None:
    """Copy a thread as it was at one of its root checkpoints.

    The caller's transaction decides whether all of it becomes visible or nothing. The source is only read. Tasks that
    were to run after the checkpoint will run again in the copy, their effects included.

    Args:
        connection: A connection in a transaction.
        source: The thread to copy from.
        target: The new thread id; nothing may be stored under it.
        checkpoint_id: The root checkpoint that becomes the latest of the copy.
    """
    values = {"source": source, "target": target, "until": checkpoint_id}
    for query in ("copy_checkpoints", "copy_blobs", "copy_writes"):
        await connection.execute(_SQL[query], values)
