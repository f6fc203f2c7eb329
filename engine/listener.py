"""Connections that listen: one for everybody who follows runs in this process, another for a worker.

A notification only says that there is something to read. Whatever is lost, with the connection or without, is found by
reading again: after each new connection, and every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextvars import Context
from typing import Any, Final

import psycopg
import structlog
from psycopg import sql
from pydantic import SecretStr

from ..checkpoints.pool import connect
from ..errors import AdjournError
from ..settings import Settings
from .recorder import CHANNEL
from .stopping import stopped

__all__ = ["Listener", "notifications"]

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_STAYS_SECONDS: Final = 10.0
_log = structlog.get_logger("adjourn")


async def notifications(
    url: SecretStr, settings: Settings, channels: Iterable[str]
) -> AsyncGenerator[psycopg.Notify | None, None]:
    """Yield what is notified on some channels, for ever, whatever happens to the connection.

    Args:
        url: A direct connection; through a transaction pooler nothing would arrive.
        settings: How to connect.
        channels: The channels.

    Yields:
        A notification; or None whenever the connection is new, so that some may have been lost.
    """
    wait = _FIRST_WAIT
    while True:
        try:
            connection = await connect(url, settings)
            async with connection:
                for channel in channels:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                wait = _FIRST_WAIT
                yield None
                async for notification in connection.notifies():
                    yield notification
        except (psycopg.Error, AdjournError) as error:
            _log.warning("listening was interrupted; what is new is found every few seconds", error=str(error))
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


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
        self._leaving: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def woken(self, thread_id: str, waker: asyncio.Event | None = None) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever there may be something new to read of a thread.

        One may be given, so that it is set for any of several threads. The connection is opened for the first who waits, and
        closed a while after the last: who waits for one run often waits for another, and to open it takes longer than many
        a run.
        """
        waker = waker or asyncio.Event()
        self._waiting.setdefault(thread_id, set()).add(waker)
        if self._leaving is not None:
            self._leaving.cancel()
        if self._task is None:
            # it serves everybody, so it must not run in the context (tracing, logging) of whoever came first
            self._task = asyncio.create_task(self._listen(), context=Context())
        try:
            yield waker
        finally:
            self._waiting[thread_id].discard(waker)
            if not self._waiting[thread_id]:
                del self._waiting[thread_id]
            if not self._waiting:
                self._leaving = asyncio.create_task(self._leave(), context=Context())

    async def close(self) -> None:
        """Stop listening."""
        tasks = [task for task in (self._leaving, self._task) if task is not None]
        self._leaving = self._task = None
        await stopped(*tasks)

    async def _leave(self) -> None:
        await asyncio.sleep(_STAYS_SECONDS)
        task, self._task = self._task, None
        if task is not None:
            await stopped(task)

    async def _listen(self) -> None:
        async with contextlib.aclosing(notifications(self._url, self._settings, [CHANNEL])) as heard:
            async for notification in heard:
                if notification is None:
                    self._wake_all()
                else:
                    self._wake(notification.payload)

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
