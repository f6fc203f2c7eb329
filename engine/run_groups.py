"""Accepting runs and recording their ends, many at once: every run needs both, and a commit each would cost the most."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ..checkpoints.arrays import Packed, bigints, booleans, byteas, register_arrays, texts
from ..checkpoints.patience import patiently
from ..checkpoints.queries import load_queries
from ..checkpoints.saver import Saver
from .grouping import Grouping
from .inputs import Stored

__all__ = ["End", "NewRun", "RunGroups", "accept_on", "columns", "columns_of"]

_SQL: Final = load_queries(__package__, "run_groups.sql")
_NOTHING: Final = Stored(None, None, "")
_Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be accepted.

    Args:
        thread_id: Its thread.
        tenant: Whose it is.
        workflow: The workflow's name.
        version: Its version.
        source: Where it was registered.
        requested_by: Who asks for it.
        given: Its input, serialised.
        context: Its context, serialised.
        forked_from: The thread that it was forked from.
        policies: JSON text of the policies of its questions.
        priority: Of the queued runs of a tenant larger comes first.
        start_at: A queued run does not begin before this time (aware).
    """

    thread_id: str
    tenant: str
    workflow: str
    version: str
    source: str
    requested_by: str
    given: Stored
    context: Stored | None = None
    forked_from: str | None = None
    policies: str | None = None
    priority: int = 0
    start_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """Return what a drive of it can be set up with before it is accepted: a part of its row, and `was`."""
        context = self.context or _NOTHING
        return {
            "thread_id": self.thread_id,
            "tenant": self.tenant,
            "workflow": self.workflow,
            "context_type": context.type,
            "context": context.data,
            "policies": None if self.policies is None else json.loads(self.policies),
            "was": "new",
        }


@dataclass(frozen=True, slots=True)
class End:
    """A drive that is over for good, or failed: whatever answers came meanwhile, nobody goes on with them.

    Args:
        thread_id: Its thread.
        token: Its lease.
        status: completed or failed.
        error: JSON text of a failure.
        checkpointed: Whether a checkpoint holds the input.
    """

    thread_id: str
    token: int
    status: str
    error: str | None
    checkpointed: bool


class RunGroups:
    """Accepts and ends runs of one engine in groups.

    Args:
        saver: Lends connections. Ends may be recorded twice, and wait for a database that is away.
        owner: Who takes the leases of accepted runs.
        seconds: How long a lease lasts.
        actor: Through which door and how known they are who ask for runs, for the audit: `source` and `channel`.
    """

    def __init__(self, saver: Saver, owner: str, seconds: float, actor: Mapping[str, str]) -> None:
        self._saver = saver
        self._owner = owner
        self._seconds = seconds
        self._actor = actor
        self._accepting: Grouping[NewRun, DictRow] = Grouping(self._accept)
        self._ending: Grouping[End, DictRow] = Grouping(self._end)

    async def accept(self, run: NewRun) -> DictRow | None:
        """Accept a run and take its lease; None when its thread id is taken. Raises psycopg.Error."""
        return await self._accepting.do(run)

    async def end(self, end: End) -> DictRow | None:
        """Record an end and give the lease back; return what has changed in the run's row. Raises psycopg.Error.

        None when the lease had been lost. What is returned has no `thread_id` when the lease was given back
        but the run had been cancelled.
        """
        return await self._ending.do(end)

    async def _accept(self, runs: Sequence[NewRun]) -> dict[str, DictRow]:
        async with self._saver.lend() as connection:
            return await accept_on(connection, runs, owner=self._owner, seconds=self._seconds, actor=self._actor)

    async def _end(self, ends: Sequence[End]) -> dict[str, DictRow]:
        async def attempt() -> dict[str, DictRow]:
            async with self._saver.lend() as connection:
                return await _by_thread(connection, _SQL["end_runs"], columns(ends), "of_thread")

        return await patiently(attempt, self._saver.patience)


async def accept_on(
    connection: _Connection, runs: Sequence[NewRun], *, owner: str, seconds: float, actor: Mapping[str, str]
) -> dict[str, DictRow]:
    """Accept runs with different thread ids on a connection; in its transaction, if it has one.

    Args:
        connection: The connection.
        runs: The runs.
        owner: Who takes their leases.
        seconds: How long a lease lasts.
        actor: Through which door and how known they are who ask, for the audit: `source` and `channel`.

    Returns:
        The rows with the lease's `token`, by thread id; those whose thread id is taken are missing.
    """
    values = {"owner": owner, "seconds": seconds, "actor": Jsonb(dict(actor)), **columns_of(runs)}
    return await _by_thread(connection, _SQL["accept_runs"], values, "thread_id")


def columns_of(runs: Sequence[NewRun]) -> dict[str, Any]:
    """Return the columns of runs to be accepted, as arrays by parameter name."""
    contexts = [run.context or _NOTHING for run in runs]
    return {
        "thread_ids": texts(run.thread_id for run in runs),
        "tenants": texts(run.tenant for run in runs),
        "workflows": texts(run.workflow for run in runs),
        "versions": texts(run.version for run in runs),
        "sources": texts(run.source for run in runs),
        "requested_by": texts(run.requested_by for run in runs),
        "input_types": texts(run.given.type for run in runs),
        "inputs": _bytes(run.given for run in runs),
        "input_digests": texts(run.given.digest for run in runs),
        "context_types": texts(context.type for context in contexts),
        "contexts": _bytes(contexts),
        "forked_from": texts(run.forked_from for run in runs),
        "policies": texts(run.policies for run in runs),
        "priorities": bigints(run.priority for run in runs),
        "start_at": texts(None if run.start_at is None else run.start_at.isoformat() for run in runs),
    }


async def _by_thread(
    connection: _Connection, query: LiteralString, values: dict[str, Any], key: str
) -> dict[str, DictRow]:
    register_arrays(connection)
    cursor = await connection.execute(query, values)
    return {row[key]: row for row in await cursor.fetchall()}


def columns(ends: Sequence[End]) -> dict[str, Any]:
    """Return the parameters that say which drives are over."""
    return {
        "thread_ids": texts(end.thread_id for end in ends),
        "tokens": bigints(end.token for end in ends),
        "statuses": texts(end.status for end in ends),
        "errors": texts(end.error for end in ends),
        "checkpointed": booleans(end.checkpointed for end in ends),
    }


def _bytes(stored: Iterable[Stored]) -> Packed:
    return byteas(each.data for each in stored)
