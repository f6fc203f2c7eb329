"""One commit, sent to PostgreSQL: the rows of a batch, the fence, and what hooks add, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from .arrays import Packed, bigints, byteas, texts, utf8s
from .queries import load_queries
from .rows import BlobRow, Call, CheckpointRow, Put, Write, WriteRow, merge

__all__ = ["Added", "Hook", "store"]


class Added(NamedTuple):
    """What a hook adds to the statement of a commit: an item of its `WITH`, which runs in it, all or nothing.

    Args:
        name: What the item is called; of each name there is at most one in a commit.
        query: An `insert`, `update` or `delete`, or a `select` whose rows are wanted (`stored`; no other is run). It sees
            neither the rows of the commit nor what other items change, but what they return, under their names. The one row
            of `admitted`, `(n)`, is there as soon as it is clear that no call of the commit is refused: whatever changes
            leases must read it first.
        parameters: Its parameters, by position.
        stored: Called with the rows that a `select` returned, once they are committed. It must be quick and raise nothing.
            One item of a commit at most has this.
    """

    name: str
    query: str
    parameters: Sequence[Any]
    stored: Callable[[list[DictRow]], None] | None = None


Hook: TypeAlias = Callable[[Sequence[Put], Sequence[Write]], Sequence[Added]]
"""What others add to the commits of this process: `(puts, writes) -> [Added]`.

Called once for each batch, before it is sent, with the checkpoints and writes of all its calls; what it returns runs in
the same statement. It must be quick, do no I/O, and work on sets (arrays as parameters), since a batch holds many threads.
It is called again with a part of the batch when the database refused the whole, and its items may be executed twice when a
connection dies at the wrong moment, so they must be repeatable (`on conflict do nothing`). When it raises, the calls that it
raises for fail, and nothing of them is stored.
"""

_SQL: Final = load_queries(__package__, "commit.sql")
# as `adjourn.refuse` raises it
_REFUSED: Final = "AJ001"


async def store(
    connection: AsyncConnection[Any], calls: Sequence[Call], *, fenced: bool, hooks: Sequence[Hook]
) -> dict[int, str]:
    """Store the rows of calls in one transaction, and commit it.

    Args:
        connection: Not in a transaction.
        calls: In the order of their arrival.
        fenced: Whether adjourn's tables exist, so that leases are looked at.
        hooks: What others add.

    Returns:
        The positions of the calls that were refused, and why: `lost`, `busy` or `deleted`. Nothing of them is stored.

    Raises:
        psycopg.Error: Nothing is stored; when the connection died, perhaps everything.
    """
    puts = list(chain.from_iterable(call.puts for call in calls))
    given = list(chain.from_iterable(call.given for call in calls))
    added = [item for hook in hooks for item in hook(puts, given)]
    if not added:
        return await _store(connection, calls, fenced)
    refused = await _store_all(connection, calls, added, fenced)
    if not refused:
        return {}
    # Everything went back, with what hooks added for the refused calls; the others are stored without them.
    admitted = [position for position in range(len(calls)) if position not in refused]
    if admitted:
        rest = [calls[position] for position in admitted]
        late = await store(connection, rest, fenced=fenced, hooks=hooks)
        refused |= {admitted[position]: reason for position, reason in late.items()}
    return refused


async def _store(connection: AsyncConnection[Any], calls: Sequence[Call], fenced: bool) -> dict[int, str]:
    """Store the rows of the calls that may; return which may not, and why."""
    query, parameters = _rows(calls, fenced)
    found = await _execute(connection, query + _SQL["refused"], parameters)
    return {row["n"]: row["refused"] for row in found}


async def _store_all(
    connection: AsyncConnection[Any], calls: Sequence[Call], added: Sequence[Added], fenced: bool
) -> dict[int, str]:
    """Store the rows of all calls and what was added; if a call may not, nothing, and return which, and why."""
    items = "".join(f",\n{each.name} as (\n{each.query.rstrip().removesuffix(';')}\n)" for each in added)
    wanted = next((each for each in added if each.stored is not None), None)
    query, parameters = _rows(calls, fenced)
    query += _SQL["admitted" if fenced else "all_admitted"] + items
    query += f"\nselect * from {wanted.name if wanted else 'admitted'}"
    try:
        rows = await _execute(connection, query, [*parameters, *chain.from_iterable(each.parameters for each in added)])
    except psycopg.Error as error:
        if error.sqlstate != _REFUSED:
            raise
        return {int(position): reason for position, reason in json.loads(str(error.diag.message_detail)).items()}
    if wanted is not None and wanted.stored is not None:
        wanted.stored(rows)
    return {}


async def _execute(connection: AsyncConnection[Any], query: str, parameters: Sequence[Any]) -> list[DictRow]:
    """Execute a statement as a transaction of its own."""
    transaction = nullcontext() if connection.autocommit else connection.transaction()
    async with transaction, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


def _rows(calls: Sequence[Call], fenced: bool) -> tuple[str, list[Packed]]:
    """Return the part of the statement that stores the rows of calls, and its parameters."""
    batch = merge(calls)
    threads = [call.thread_id for call in calls]
    query = _SQL["fenced" if fenced else "unfenced"] + _SQL["store"]
    parameters = [
        texts(threads),
        bigints([call.token for call in calls]),
        texts([call.base for call in calls]),
        texts(dict.fromkeys(threads)),
        *_blobs(batch.blobs),
        *_writes(batch.kept),
        *_checkpoints(batch.checkpoints),
    ]
    if not batch.replaced:
        return query, parameters
    return query + _SQL["replaced"], [*parameters, *_writes(batch.replaced)]


def _checkpoints(rows: Sequence[tuple[int, CheckpointRow]]) -> list[Packed]:
    return [
        bigints([position for position, _ in rows]),
        texts([row.checkpoint_ns for _, row in rows]),
        texts([row.checkpoint_id for _, row in rows]),
        texts([row.parent_checkpoint_id for _, row in rows]),
        utf8s([row.checkpoint for _, row in rows]),
        utf8s([row.metadata for _, row in rows]),
    ]


def _blobs(rows: Sequence[tuple[int, BlobRow]]) -> list[Packed]:
    return [
        bigints([position for position, _ in rows]),
        texts([row.checkpoint_ns for _, row in rows]),
        texts([row.channel for _, row in rows]),
        texts([row.version for _, row in rows]),
        texts([row.type for _, row in rows]),
        byteas([row.blob for _, row in rows]),
    ]


def _writes(rows: Sequence[tuple[int, WriteRow]]) -> list[Packed]:
    return [
        bigints([position for position, _ in rows]),
        texts([row.checkpoint_ns for _, row in rows]),
        texts([row.checkpoint_id for _, row in rows]),
        texts([row.task_id for _, row in rows]),
        texts([row.task_path for _, row in rows]),
        bigints([row.idx for _, row in rows]),
        texts([row.channel for _, row in rows]),
        texts([row.type for _, row in rows]),
        byteas([row.blob for _, row in rows]),
    ]
