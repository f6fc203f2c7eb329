"""Leases: which process may drive a thread, and how a commit says that it may.

A driver takes the lease of a thread and gets a token that is higher than any before it. Everything that is stored while
`holding(thread_id, token)` is in force carries the token, and the commit is refused with LeaseLost once the database
holds another. The token travels with the context of the drive, not with the thread id: a driver that lost its lease and
woke up late still carries its old token, even when the same process has taken the thread again.

What holds: once `take` has returned, no commit of an earlier holder becomes visible any more. `take` waits for one that
is under way; a heartbeat (`renew`) never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from .queries import load_queries

__all__ = ["check", "driven_here", "hold", "holding", "release", "renew", "take", "token_of"]

_SQL: Final = load_queries(__package__, "leases.sql")
_held: ContextVar[dict[str, int]] = ContextVar("adjourn_leases", default={})  # noqa: B039 - replaced, never changed


@contextmanager
def holding(thread_id: str, token: int) -> Iterator[None]:
    """Store everything of a thread under a lease while the block runs, in tasks that it starts as well.

    Args:
        thread_id: The thread.
        token: What `take` returned.
    """
    before = _held.set(_with(thread_id, token))
    try:
        yield
    finally:
        _held.reset(before)


def hold(thread_id: str, token: int) -> None:
    """Do what `holding` does for the rest of the current context, where no block can be put around the drive."""
    _held.set(_with(thread_id, token))


def _with(thread_id: str, token: int) -> dict[str, int]:
    others = {thread: held for thread, held in _held.get().items() if thread != thread_id}
    return {**others, thread_id: token}


def token_of(thread_id: str) -> int | None:
    """Return the token under which the current context stores a thread; None when it holds no lease of it."""
    return _held.get().get(thread_id)


def driven_here() -> tuple[str, int] | None:
    """Return the thread that the current context drives, and the token of its lease; None outside of any drive.

    Where a child run is driven inside of the drive of its parent, it is the child.
    """
    return next(reversed(_held.get().items()), None)


async def check(connection: AsyncConnection[Any], thread_id: str, token: int) -> bool:
    """Say whether a lease is still held; whoever wants to take it over waits for the end of the transaction.

    Args:
        connection: A connection inside of the transaction that stores something under the lease.
        thread_id: The thread.
        token: What `take` returned.
    """
    cursor = await connection.execute(_SQL["check"], {"thread_id": thread_id, "token": token})
    return await cursor.fetchone() is not None


async def take(connection: AsyncConnection[Any], thread_id: str, owner: str, seconds: float) -> int | None:
    """Take the lease of a thread if nobody holds it: it was never taken, was given back, or has run out.

    Waits for a commit of the previous holder that is under way. When two processes try at once, one gets it.

    Args:
        connection: Any connection; the lease is taken when the statement's transaction commits.
        thread_id: The thread.
        owner: Who takes it; names the process to `renew`.
        seconds: How long it lasts from now (the database's clock).

    Returns:
        The token, or None when somebody holds the lease.
    """
    values = {"thread_id": thread_id, "owner": owner, "seconds": seconds}
    async with connection.cursor(row_factory=tuple_row) as cursor:
        row = await (await cursor.execute(_SQL["take"], values)).fetchone()
    return None if row is None else int(row[0])


async def renew(connection: AsyncConnection[Any], owner: str, seconds: float) -> set[str]:
    """Renew all leases of an owner with one statement; never waits for a commit.

    A lease that ran out but that nobody else has taken is renewed as well.

    Args:
        connection: Any connection.
        owner: As given to `take`.
        seconds: How long they last from now.

    Returns:
        The threads whose leases the owner holds. One that is missing was taken over: stop driving it.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_SQL["renew"], {"owner": owner, "seconds": seconds})
        return {row[0] for row in await cursor.fetchall()}


async def release(connection: AsyncConnection[Any], thread_id: str, token: int) -> bool:
    """Give a lease back. The row stays, so that the next token is higher.

    Args:
        connection: Any connection; inside a transaction the release is part of it.
        thread_id: The thread.
        token: What `take` returned.

    Returns:
        False when the lease had been taken over already; nothing was changed then.
    """
    cursor = await connection.execute(_SQL["release"], {"thread_id": thread_id, "token": token})
    return cursor.rowcount == 1
