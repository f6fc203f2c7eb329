"""Following a run that is driven anywhere, from its stored events.

    read the run's row, then its events → give them out → ended? stop : wait to be woken, or a few seconds → again

The row says whether a run has ended; the events say how it went. A driver that died, or could not write its events,
leaves a row without a last event: then, after a moment, the last event is made from the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Pool
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from .event_json import from_row
from .events import Cancelled, Completed, Event, Failed, Paused
from .listener import Listener
from .model import Review
from .runs import RunRow

__all__ = ["GRACE_SECONDS", "POLL_SECONDS", "end_of", "follow_events", "is_end", "woken"]

_SQL: Final = load_queries(__package__, "events.sql")
_PAGE: Final = 500
POLL_SECONDS: Final = 3.0
# How long a run may have ended before its last event is given up: drivers write within a fraction of a second.
GRACE_SECONDS: Final = 2.0
_LAST: Final = {"completed": Completed, "failed": Failed, "cancelled": Cancelled}


async def follow_events(
    thread_id: str,
    *,
    after: int,
    pool: Pool,
    seal: Seal,
    listener: Listener,
    read_row: Callable[[], Awaitable[RunRow]],
    read_reviews: Callable[[str], Awaitable[tuple[Review, ...]]],
) -> AsyncGenerator[Event, None]:
    """Yield the events of a run until it has ended.

    Args:
        thread_id: The run.
        after: Only events behind this number.
        pool: Where the events are.
        seal: Reads them where they are encrypted.
        listener: Wakes us when there are new ones.
        read_row: Reads the run's row.
        read_reviews: Reads the questions that the run asks now.

    Raises:
        StorageUnavailable: The database cannot be reached. Follow again from the last number that was given out.
    """
    seen = await _page(pool, seal, thread_id, after - 1, 1) if after > 0 else []
    last = from_row(thread_id, seen[0], {}) if seen else None
    ended_since: float | None = None
    async with listener.woken(thread_id) as waker:
        while True:
            waker.clear()
            row = await read_row()
            while rows := await _page(pool, seal, thread_id, after):
                after = rows[-1]["seq"]
                for event in await _events(thread_id, rows, read_reviews):
                    last = event
                    yield event
            if row["ended_at"] is None:
                ended_since = None
            elif is_end(last, row):
                return
            else:
                ended_since = ended_since or time.monotonic()
                if time.monotonic() - ended_since > GRACE_SECONDS:
                    yield end_of(row)
                    return
            await woken(waker, POLL_SECONDS if ended_since is None else GRACE_SECONDS / 4)


async def woken(waker: asyncio.Event, seconds: float) -> None:
    """Wait for a waker, at most so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await waker.wait()


async def _page(pool: Pool, seal: Seal, thread_id: str, after: int, limit: int = _PAGE) -> list[dict[str, Any]]:
    values = {"thread_id": thread_id, "after": after, "limit": limit}
    with mapped_faults("cannot read the events of a run", thread_id=thread_id):
        async with pool.connection() as connection:
            rows = await (await connection.execute(_SQL["read_events"], values)).fetchall()
    return [{**row, "payload": seal.open(row["payload"])} for row in rows]


async def _events(
    thread_id: str, rows: list[dict[str, Any]], read_reviews: Callable[[str], Awaitable[tuple[Review, ...]]]
) -> list[Event]:
    paused = any(row["kind"] == Paused.kind for row in rows)
    reviews = {review.id: review for review in await read_reviews(thread_id)} if paused else {}
    found = (from_row(thread_id, row, reviews) for row in rows)
    return [event for event in found if event is not None]


def is_end(last: Event | None, row: RunRow) -> bool:
    """Whether an event is the last of a run as it stands, and not of an attempt that was continued since."""
    if last is None or last.at is None or last.at < row["updated_at"]:
        return False
    return isinstance(last, _LAST.get(row["status"], ()))


def end_of(row: RunRow) -> Event:
    """Return the last event of a run, made from its row."""
    thread_id, error = row["thread_id"], row["error"] or {}
    if row["status"] == "failed":
        return Failed(thread_id, error)
    return Cancelled(thread_id, error) if row["status"] == "cancelled" else Completed(thread_id)
