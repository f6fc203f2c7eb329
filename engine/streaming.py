"""Verbs that tell what happens: stream a run that is driven here, follow one that is driven anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

from ..errors import AdjournError, UnknownThread
from .events import Event
from .follow import follow_events
from .follow_family import follow_family
from .model import Review
from .policy_book import Policies
from .registry import Graph
from .runs import RunRow
from .starting import Starting

__all__ = ["Streaming"]

_LOOK_AGAIN_SECONDS: Final = 0.2


class Streaming(Starting):
    """Tells what happens in runs."""

    async def stream(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
        policies: Policies | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Start a run and yield its events while it is driven here, model tokens included.

        Closing the iteration early interrupts the run: it is recorded as failed and can be retried. Parameters and
        errors are those of `start`.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        async def run() -> None:
            try:
                await self.start(
                    workflow,
                    input,
                    thread_id=thread_id,
                    by=by,
                    context=context,
                    policies=policies,
                    on_event=events.put_nowait,
                    tokens=True,
                )
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(run())
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, AdjournError):
                await task

    async def follow(
        self, thread_id: str, *, after: int = 0, wait_for_start: float = 0.0, children: bool = False
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a run that is driven anywhere, from its first kept event until it has ended.

        A pause is no end: the iteration goes on with whoever answers. Events are stored in small batches, so they
        come a fraction of a second late; a lost notification or connection loses none. Of a long run the last 5,000 are
        kept, those of ended runs for `ADJOURN_EVENT_DAYS`. Each event knows its number (`seq`), and a pause shows
        those of its questions that are still open. Pieces of a model's text come joined, and only from runs that are
        driven with `tokens=True` or `stream`.

        Args:
            thread_id: The run.
            after: Only events behind this number: the `seq` of the last one that was seen.
            wait_for_start: Seconds to wait for a run that is not there yet.
            children: Whether to yield the events of its child runs as well, and of theirs, wherever those are driven: of at
                most a thousand. `thread_id` of such an event is the child, and `place` says where that stands in the tree.
                They come from their first kept event on, whatever `after` says; the last event is the run's own.

        Raises:
            UnknownThread: There is no such run.
        """
        await self._row_within(thread_id, wait_for_start)
        follow = follow_family if children else follow_events
        events = follow(
            thread_id,
            after=after,
            pool=self._storage.pool,
            seal=self._seal,
            listener=self._listener,
            read_row=lambda: self._row(thread_id),
            read_reviews=self._open_reviews,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    async def _row_within(self, thread_id: str, seconds: float) -> RunRow:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return await self._row(thread_id)
            except UnknownThread:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _open_reviews(self, thread_id: str) -> tuple[Review, ...]:
        return (await self._show(thread_id)).reviews
