"""One connection that listens, for everybody who follows runs in this process.

A notification only says that there is something to read. Whatever is lost, with the connection or without, is found by
reading again: after each new connection, and every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
import structlog
from psycopg import sql
from pydantic import SecretStr

from ..checkpoints.pool import connect
from ..errors import AdjournError
from ..settings import Settings
from .recorder import CHANNEL

__all__ = ["Listener"]

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_log = structlog.get_logger("adjourn")


class Listener:
    """Wakes those who wait for events of a thread.

    Args:
        url: A direct connection; through a transaction pooler nothing would arrive.
        settings: How to connect.
    """

    def __init__(self, url: SecretStr, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def woken(self, thread_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever there may be something new to read of a thread.

        The connection is opened for the first who waits and closed after the last.
        """
        waker = asyncio.Event()
        self._waiting.setdefault(thread_id, set()).add(waker)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            yield waker
        finally:
            self._waiting[thread_id].discard(waker)
            if not self._waiting[thread_id]:
                del self._waiting[thread_id]
            if not self._waiting:
                await self.close()

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                connection = await connect(self._url, self._settings)
                async with connection:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
                    wait = _FIRST_WAIT
                    self._wake_all()
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except (psycopg.Error, AdjournError) as error:
                _log.warning("listening was interrupted; followers read every few seconds", error=str(error))
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _wake(self, payload: str) -> None:
        try:
            thread_id: Any = json.loads(payload)[0]
        except (ValueError, LookupError, TypeError):
            return  # somebody else uses the channel
        for waker in self._waiting.get(thread_id, ()):
            waker.set()

    def _wake_all(self) -> None:
        for wakers in self._waiting.values():
            for waker in wakers:
                waker.set()
