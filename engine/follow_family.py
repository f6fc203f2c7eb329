"""Following a run together with its child runs, and theirs: one sequence of events, each marked with its place in the tree.

    read the run's row, the tree below it, and the new events of all of them → merge → give them out
    → the run has ended? wait a moment for the last of its children : wait to be woken, or a few seconds → again

Events of one run keep their order. Those of several runs are told in the order in which they happened where one process
has written them down together, and otherwise in the order in which they were stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import merge
from typing import Any, Final, TypeAlias

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Pool
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from .event_json import from_row
from .events import Cancelled, Completed, Event, Failed, Paused
from .follow import GRACE_SECONDS, POLL_SECONDS, end_of, is_end, woken
from .listener import Listener
from .model import Review
from .runs import RunRow

__all__ = ["MOST_CHILDREN", "follow_family"]

_SQL: Final = load_queries(__package__, "events.sql")
MOST_CHILDREN: Final = 1_000
"""How many runs below one are followed with it: those at the top first, and of these the oldest."""

_AT_ONCE: Final = 5_000
_FEWEST: Final = 20
_ENDS: Final = (Completed, Failed, Cancelled)
Reviews: TypeAlias = Callable[[str], Awaitable[tuple[Review, ...]]]


@dataclass(slots=True)
class _Run:
    """A run that is followed.

    Args:
        place: Its ids from the top down; none for the run at the top.
        after: The number of the last event that was read.
        over: Whether that was its end.
        ended: Whether it has ended, as far as the tree says.
    """

    place: tuple[str, ...] = ()
    after: int = 0
    over: bool = False
    ended: bool = False


async def follow_family(
    thread_id: str,
    *,
    after: int,
    pool: Pool,
    seal: Seal,
    listener: Listener,
    read_row: Callable[[], Awaitable[RunRow]],
    read_reviews: Reviews,
) -> AsyncGenerator[Event, None]:
    """Yield the events of a run and of all runs below it until the run has ended.

    Args:
        thread_id: The run.
        after: Only events of the run itself behind this number; those of its children come from the first.
        pool: Where the events are.
        seal: Reads them where they are encrypted.
        listener: Wakes us when there are new ones.
        read_row: Reads the run's row.
        read_reviews: Reads the questions that a run of the family asks now.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    events = _Events(pool, seal, read_reviews)
    known = {thread_id: _Run(after=after)}
    own = _Own(await events.before(thread_id, after))
    ended_since: float | None = None
    async with contextlib.AsyncExitStack() as stack:
        waker = asyncio.Event()
        await stack.enter_async_context(listener.woken(thread_id, waker))
        while True:
            waker.clear()
            row = await read_row()
            if row["has_children"]:
                for child in await events.look_below(known, thread_id):
                    await stack.enter_async_context(listener.woken(child, waker))
            async for event in events.new(known):
                for each in own.take(event) if event.thread_id == thread_id else (event,):
                    yield each
            ended_since = None if row["ended_at"] is None else ended_since or time.monotonic()
            if ended_since is not None:
                whole = is_end(own.last, row) and all(run.over for run in known.values() if run.ended)
                if whole or time.monotonic() - ended_since > GRACE_SECONDS:
                    for each in own.ending(row):
                        yield each
                    return
            await woken(waker, POLL_SECONDS if ended_since is None else GRACE_SECONDS / 4)


class _Own:
    """The events of the run itself, whose end is told after all that its children have to tell.

    Args:
        last: The last that was seen.
    """

    def __init__(self, last: Event | None) -> None:
        self.last = last
        self._held: Event | None = None

    def take(self, event: Event) -> list[Event]:
        """Take the next event; return what is to be told now."""
        before = [] if self._held is None else [self._held]  # the run was tried again
        self.last = event
        self._held = event if isinstance(event, _ENDS) else None
        return before if self._held is not None else [*before, event]

    def ending(self, row: RunRow) -> list[Event]:
        """Return the end of the run, unless it was seen before; made from its row where nobody wrote it down."""
        if is_end(self.last, row):
            return [] if self._held is None else [self._held]
        return [*([] if self._held is None else [self._held]), end_of(row)]


class _Events:
    """Reads the tree below a run, and events.

    Args:
        pool: Where they are.
        seal: Reads what is encrypted.
        read_reviews: Reads the questions that a run asks now.
    """

    def __init__(self, pool: Pool, seal: Seal, read_reviews: Reviews) -> None:
        self._pool = pool
        self._seal = seal
        self._read_reviews = read_reviews

    async def before(self, thread_id: str, after: int) -> Event | None:
        """Return the event of a run with a number, if it is kept."""
        rows = await self._rows("read_family", thread_ids=[thread_id], afters=[after - 1], limit=1) if after > 0 else []
        return from_row(thread_id, self._opened(rows[0]), {}) if rows else None

    async def look_below(self, known: dict[str, _Run], top: str) -> list[str]:
        """Note which runs are below a run and which of them have ended; return those that were not known."""
        new = []
        for row in await self._rows("below", thread_id=top, limit=MOST_CHILDREN):
            if row["thread_id"] not in known:
                known[row["thread_id"]] = _Run((*known[row["parent_id"]].place, row["child_id"]))
                new.append(row["thread_id"])
            known[row["thread_id"]].ended = row["ended_as"] is not None
        return new

    async def new(self, known: Mapping[str, _Run]) -> AsyncGenerator[Event, None]:
        """Yield the events that are there of some runs and were not read yet, in their order."""
        limit = max(_AT_ONCE // len(known), _FEWEST)
        full = True
        while full:
            afters = [run.after for run in known.values()]
            rows = await self._rows("read_family", thread_ids=list(known), afters=afters, limit=limit)
            pages = _pages(rows)
            full = any(len(page) == limit for page in pages)
            reviews = await self._open_reviews(rows)
            for row in _in_order(pages, limit):
                run = known[row["thread_id"]]
                run.after = row["seq"]
                event = from_row(row["thread_id"], self._opened(row), reviews)
                if event is not None:
                    run.over = isinstance(event, _ENDS)
                    yield replace(event, place=run.place)

    async def _open_reviews(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Review]:
        paused = {row["thread_id"] for row in rows if row["kind"] == Paused.kind}
        return {review.id: review for each in sorted(paused) for review in await self._read_reviews(each)}

    def _opened(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "payload": self._seal.open(row["payload"])}

    async def _rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with mapped_faults("cannot read the events of a run and its children"):
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL[query], values)).fetchall()


def _pages(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return rows that come run by run as a list for each run."""
    pages: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        pages.setdefault(row["thread_id"], []).append(row)
    return list(pages.values())


def _in_order(pages: Iterable[list[dict[str, Any]]], limit: int) -> Iterator[dict[str, Any]]:
    """Merge the events of several runs, each in its order, until one run's may go on beyond what was read.

    What one process wrote down in one batch is stored in one transaction, and numbered.
    """
    pages = list(pages)
    began: dict[str, Any] = {}
    for row in (row for page in pages for row in page):
        began[row["batch"]] = min(began.get(row["batch"], row["at"]), row["at"])
    for row in merge(*pages, key=lambda row: (began[row["batch"]], row["number"])):
        yield row
        if any(len(page) == limit and row is page[-1] for page in pages):
            return
