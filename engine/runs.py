"""The rows of `adjourn.runs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from .inputs import Stored
from .model import Run, RunStatus

__all__ = ["RunRow", "RunStore", "to_run"]

RunRow = DictRow
Connection = AsyncConnection[DictRow]

_SQL = load_queries(__package__, "runs.sql")


class RunStore:
    """Reads and changes run rows; each call is one statement and one transaction.

    Args:
        pool: Connections in autocommit mode that return rows as dictionaries.

    Every method raises StorageUnavailable when PostgreSQL cannot be reached.
    """

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool

    async def insert(
        self,
        *,
        thread_id: str,
        tenant: str,
        workflow: str,
        version: str,
        source: str,
        requested_by: str,
        given: Stored,
        context: Stored | None,
        status: RunStatus = "running",
        forked_from: str | None = None,
        connection: Connection | None = None,
    ) -> RunRow | None:
        """Accept a run, on a connection of the caller's if its transaction is to hold the row.

        Returns:
            Its row, or None when the thread id is taken.
        """
        return await self._one(
            "insert_run",
            connection,
            thread_id=thread_id,
            tenant=tenant,
            workflow=workflow,
            version=version,
            source=source,
            status=status,
            requested_by=requested_by,
            input_type=given.type,
            input=given.data,
            input_digest=given.digest,
            context_type=context.type if context else None,
            context=context.data if context else None,
            forked_from=forked_from,
        )

    async def get(self, thread_id: str, tenant: str) -> RunRow | None:
        """Return one run of a tenant, or None."""
        return await self._one("get_run", thread_id=thread_id, tenant=tenant)

    async def page(
        self, tenant: str, *, status: str | None, workflow: str | None, limit: int, after: str | None
    ) -> list[RunRow]:
        """Return a page of a tenant's runs, newest first."""
        return await self._all("list_runs", tenant=tenant, status=status, workflow=workflow, limit=limit, after=after)

    async def claim(self, thread_id: str, tenant: str, expected: Sequence[RunStatus]) -> RunRow | None:
        """Set a run to running if it is in one of the expected statuses: of several callers exactly one succeeds."""
        return await self._one(
            "claim_run", thread_id=thread_id, tenant=tenant, status="running", expected=list(expected)
        )

    async def settle(
        self, thread_id: str, status: RunStatus, *, error: dict[str, Any] | None, checkpointed: bool
    ) -> RunRow | None:
        """Record how a drive ended. Returns None when the run is not running any more (it was cancelled)."""
        return await self._one(
            "settle_run",
            thread_id=thread_id,
            status=status,
            error=Jsonb(error) if error else None,
            ended=status in ("completed", "failed", "cancelled"),
            checkpointed=checkpointed,
        )

    async def cancel(
        self, thread_id: str, tenant: str, expected: Sequence[RunStatus], error: dict[str, Any]
    ) -> RunRow | None:
        """End a run for good if it is in one of the expected statuses."""
        return await self._one(
            "cancel_run", thread_id=thread_id, tenant=tenant, expected=list(expected), error=Jsonb(error)
        )

    async def delete(self, thread_id: str, tenant: str) -> RunRow | None:
        """Forget a run whose thread was deleted."""
        return await self._one("delete_run", thread_id=thread_id, tenant=tenant)

    async def forget_failed_writes(self, thread_id: str) -> None:
        """Let the failed tasks of a thread run again as a whole; answers that they were given are kept."""
        with mapped_faults("cannot clear failed writes", thread_id=thread_id):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["forget_failed_writes"], {"thread_id": thread_id})

    async def _one(self, query: str, connection: Connection | None = None, **values: Any) -> RunRow | None:
        if connection is not None:
            return await (await connection.execute(_SQL[query], values)).fetchone()
        with mapped_faults(f"{query} failed", thread_id=values.get("thread_id")):
            async with self._pool.connection() as own:
                return await self._one(query, own, **values)

    async def _all(self, query: str, **values: Any) -> list[RunRow]:
        with mapped_faults(f"{query} failed"):
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL[query], values)).fetchall()


def to_run(row: RunRow, **extra: Any) -> Run:
    """Return the public view of a row.

    Args:
        row: The row.
        **extra: `state` and `reviews`, where they were read.
    """
    names = (
        "thread_id", "workflow", "version", "source", "status", "requested_by", "tenant",
        "created_at", "updated_at", "ended_at", "error", "forked_from",
    )  # fmt: skip
    return Run(**{name: row[name] for name in names}, **extra)
