"""Connections for the saver: from a pool, kept for a moment after use; or the one that it was given.

To take one from a pool and to give it back takes a good part of what a short statement takes, and a pool that looks at each
connection that it hands out may pay a round trip besides. One that was used just now is as good, unless its server has
ended it and said so. What is kept goes back to the pool after a tenth of a second without use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool

from .pool import is_told

__all__ = ["Lender"]

_KEPT_SECONDS: Final = 0.1
_Connection: TypeAlias = AsyncConnection[Any]


class Lender:
    """Lends connections to one saver and its copies. Belongs to one event loop.

    Args:
        source: A pool, or a single connection, which one borrower at a time gets.
        keep: How many connections of the pool may be kept; they are missing there meanwhile. Call `close` before the
            pool is closed if there are any.
    """

    def __init__(self, source: AsyncConnectionPool[Any] | _Connection, keep: int) -> None:
        self._source = source
        self._keep = keep
        self._one_at_a_time = asyncio.Lock()
        self._kept: list[tuple[_Connection, float]] = []
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def single(self) -> bool:
        """Whether there is one connection only."""
        return not isinstance(self._source, AsyncConnectionPool)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[_Connection]:
        """Lend a connection for a block, at whose end its transaction is committed, or rolled back after an error."""
        if not isinstance(self._source, AsyncConnectionPool):
            async with self._one_at_a_time:
                yield self._source
            return
        connection = await self._take(self._source)
        try:
            async with connection:
                yield connection
        except BaseException as error:
            if isinstance(error, ReadOnlySqlTransaction):
                # It leads to a server that is no longer the primary; the next one may lead elsewhere.
                await connection.close()
            await self._source.putconn(connection)
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                await self._give_back(0.0)
            raise
        if len(self._kept) < self._keep and not connection.broken:
            self._kept.append((connection, asyncio.get_running_loop().time()))
            self._sweeper = self._sweeper or asyncio.create_task(self._sweep())
        else:
            await self._source.putconn(connection)

    async def _take(self, pool: AsyncConnectionPool[Any]) -> _Connection:
        while self._kept:
            connection, _ = self._kept.pop()
            if not is_told(connection):
                return connection
            # the server has ended it, most likely; the pool looks before it hands it out
            await pool.putconn(connection)
        fresh: _Connection = await pool.getconn()
        return fresh

    async def close(self) -> None:
        """Give everything back, and keep nothing from now on."""
        self._keep = 0
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._give_back(0.0)

    async def _sweep(self) -> None:
        try:
            while self._kept:
                await asyncio.sleep(_KEPT_SECONDS)
                await self._give_back(_KEPT_SECONDS)
        finally:
            self._sweeper = None

    async def _give_back(self, unused_for: float) -> None:
        """Give back what was not used for so many seconds; the last one used stands at the end."""
        if not isinstance(self._source, AsyncConnectionPool):
            return
        limit = asyncio.get_running_loop().time() - unused_for
        while self._kept and self._kept[0][1] <= limit:
            await self._source.putconn(self._kept.pop(0)[0])
