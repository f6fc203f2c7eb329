"""Events of the runs that are driven here, written down for those who follow them elsewhere.

Writing is off the critical path: `record` only puts an event on a list, which a task of its own writes in small
batches. The list is bounded. Nothing here can hold a run up or make it fail: when the database is slow, model tokens
and custom events are left out first; when it is away, so is everything, and the run's row and checkpoints still say
what is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator
from contextvars import Context
from typing import Any, Final

import orjson
import structlog

from ..checkpoints.pool import Pool
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from .event_json import LARGEST, to_payload
from .events import Custom, Event, ModelToken
from .stopping import stopped

__all__ = ["CHANNEL", "KEPT", "Recorder", "recording"]

CHANNEL: Final = "adjourn_events"
KEPT: Final = 5_000
_FEW: Final = 2_000
_MANY: Final = 20_000
_BATCH: Final = 200
_PAUSE: Final = 0.05
_CLOSE_SECONDS: Final = 5.0
_SQL: Final = load_queries(__package__, "events.sql")
_log = structlog.get_logger("adjourn")


@contextlib.asynccontextmanager
async def recording(pool: Pool, seal: Seal, days: int) -> AsyncIterator[Recorder]:
    """Give a recorder, and write what it still holds at the end of the block, for at most five seconds.

    Args:
        pool: Where to write.
        seal: Encrypts what happened where there is a key.
        days: How long the events of ended runs are kept.
    """
    recorder = Recorder(pool, seal, days)
    try:
        yield recorder
    finally:
        await recorder.close()


class Recorder:
    """Collects events and writes them; see `recording`."""

    def __init__(self, pool: Pool, seal: Seal, days: int) -> None:
        self._pool = pool
        self._seal = seal
        self._days = days
        self._waiting: list[Event] = []
        self._left_out = 0
        self._tidied = False
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._ending = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def record(self, event: Event) -> None:
        """Take an event to be written soon. Never blocks and never raises."""
        if self._joined(event):
            return
        if len(self._waiting) >= (_FEW if isinstance(event, ModelToken | Custom) else _MANY):
            self._left_out += 1
            return
        self._waiting.append(event)
        self._something.set()
        if self._writer is None:
            # it serves all runs, so it must not run in the context (tracing, logging) of the one that came first
            self._writer = asyncio.create_task(self._write_on(), context=Context())

    def hasten(self) -> None:
        """Write what waits now, not in a moment: somebody may wait for it."""
        self._hurry.set()

    async def close(self) -> None:
        """Write what is left, for at most five seconds, and stop."""
        if self._writer is None:
            return
        self._ending.set()
        self._hurry.set()
        self._something.set()
        try:
            # A batch under way is not cut off: it may be stored already, and would be written once more.
            await asyncio.wait({self._writer}, timeout=_CLOSE_SECONDS)
        finally:
            await stopped(self._writer)

    def _joined(self, event: Event) -> bool:
        """Join a token with the one before it of the same node, so that a long answer is a few rows."""
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(event, ModelToken) or not isinstance(last, ModelToken):
            return False
        if (last.thread_id, last.node) != (event.thread_id, event.node) or len(last.text) + len(event.text) > LARGEST:
            return False
        self._waiting[-1] = dataclasses.replace(last, text=last.text + event.text)
        return True

    async def _write_on(self) -> None:
        while self._waiting or not self._ending.is_set():
            await self._something.wait()
            with contextlib.suppress(TimeoutError):  # so that what happens together is written together
                await asyncio.wait_for(self._hurry.wait(), _PAUSE)
            self._hurry.clear()
            # not sooner: what came meanwhile is written now, and leaves nothing for a round that would find nothing
            self._something.clear()
            # what comes while these are written waits for the next time, or a busy process would never write together
            for _ in range(math.ceil(len(self._waiting) / _BATCH)):
                await self._write_some()
            if self._left_out:
                _log.warning(
                    "events were left out for followers: the database was slow, or they cannot be written",
                    count=self._left_out,
                )
                self._left_out = 0

    async def _write_some(self) -> None:
        """Write one batch, or drop it when it cannot be written."""
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        try:
            await self._insert(batch)
        except Exception as error:  # noqa: BLE001  (whatever it is: the writer goes on with the next batch)
            self._left_out += len(batch)
            _log.debug("events could not be written", error=str(error))

    async def _insert(self, batch: list[Event]) -> None:
        # one document for all: a parameter each would take the client most of the time that events cost
        by_thread: dict[str, list[dict[str, Any]]] = {}
        for number, event in enumerate(batch):
            try:
                kept = {"kind": event.kind, "payload": self._seal.close(to_payload(event)), "n": number}
            except Exception as error:  # noqa: BLE001  (a value without words, which a workflow sent; the others are written)
                self._left_out += 1
                _log.debug("an event could not be put into words", thread=event.thread_id, error=str(error))
                continue
            by_thread.setdefault(event.thread_id, []).append(kept)
        document = orjson.dumps([{"thread": thread, "events": events} for thread, events in by_thread.items()])
        values: dict[str, Any] = {"events": document.decode(), "channel": CHANNEL}
        async with self._pool.connection() as connection:
            written = await (await connection.execute(_SQL["add_events"], values)).fetchall()
            for row in written:
                await self._tidy(connection, row["thread_id"], row["seq"], len(batch))

    async def _tidy(self, connection: Any, thread_id: str, seq: int, added: int) -> None:
        # Looked at once in a thousand events: a thread keeps between KEPT and KEPT + 1,000.
        if seq > KEPT and seq % 1_000 < added:
            await connection.execute(_SQL["keep_last"], {"thread_id": thread_id, "until": seq - KEPT})
        if not self._tidied:
            self._tidied = True
            await connection.execute(_SQL["drop_old"], {"days": self._days})
