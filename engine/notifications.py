"""Telling people: events of reviews are written down where they happen, and sent after the commit.

    in the transaction that asks, reminds, …:  one row of adjourn.notices for the event
    after it, and in every sweep:              claim rows that are due → send each to each receiver, once → put off or leave

A row names an event; its words are made from the review when it is sent, so it holds no content and says what is true then.
What reached whom is remembered by `once_for`, so an event that is posted, claimed or swept twice is sent once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from ..errors import AdjournError, StorageUnavailable
from ..nodes.effects import effects_in, once_for
from .effects import EffectLedger
from .model import Review
from .notice_events import NoticeEvent
from .notices import ASKING, Notice, in_short
from .notifiers import NotDelivered, Receiver
from .reviews import ReviewStore
from .stopping import stopped

__all__ = ["Notifications"]

Result = TypeVar("Result")

_SQL: Final = load_queries(__package__, "notifications.sql")
# How long an event is put off after each attempt that failed for some receiver; after the last it is given up.
_WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480))
_DELIVERY_SECONDS: Final = 60.0
# Longer than a delivery, so that nobody else takes an event that is being sent.
_CLAIM_SECONDS: Final = 180.0
_AT_ONCE: Final = 5
_log = structlog.get_logger("adjourn")


class Notifications:
    """Tells receivers about reviews.

    What is promised: an event whose transaction committed is sent to each receiver, however processes die, as long as some
    process with the same receivers sweeps; to a receiver that took it, it is not sent again. Only a process that dies
    between sending and writing that down makes it be sent twice: under the same event id, by which webhooks and mail
    programs drop the second. What fails is tried again with growing pauses, six times in about ten hours, and then given up;
    a closed review is not asked about any more. Nothing here fails or holds up a run.

    Args:
        pool: Connections.
        serde: For the memory of what was sent.
        receivers: Who is told; nobody: every method does nothing.
        reviews: Reads reviews.
        content: Whether a notice says what is asked.
        patience: Seconds for which the record of what was sent waits for a database that is away.
        waits: The pauses between attempts.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[DictRow]],
        serde: SerializerProtocol,
        receivers: Sequence[Receiver],
        reviews: ReviewStore,
        *,
        content: bool = False,
        patience: float = 30.0,
        waits: Sequence[timedelta] = _WAITS,
    ) -> None:
        self._pool = pool
        self._serde = serde
        self._receivers = tuple(receivers)
        self._reviews = reviews
        self._content = content
        self._patience = patience
        self._waits = tuple(waits)
        self._task: asyncio.Task[None] | None = None
        self._woken = False

    @property
    def on_pause(self) -> Callable[[AsyncConnection[DictRow], str], Awaitable[None]] | None:
        """What a transaction that records a pause is to call: `post_asked`, or None where nobody is told of anything."""
        return self.post_asked if self._receivers else None

    async def post_asked(self, connection: AsyncConnection[DictRow], thread_id: str) -> None:
        """Post that people are asked, for each open question of a thread that was not posted yet.

        Args:
            connection: In the transaction that records the pause.
            thread_id: The thread.
        """
        if self._receivers:
            await connection.execute(_SQL["post_asked"], {"thread_id": thread_id})

    async def post(self, connection: AsyncConnection[DictRow], events: Sequence[NoticeEvent]) -> None:
        """Post events in the transaction that makes them. The same event twice is one.

        Args:
            connection: In that transaction.
            events: The events.
        """
        if not self._receivers or not events:
            return
        values = {
            "thread_ids": [event.thread_id for event in events],
            "review_ids": [event.review_id for event in events],
            "kinds": [event.kind for event in events],
            "numbers": [event.number for event in events],
        }
        await connection.execute(_SQL["post"], values)

    def wake(self) -> None:
        """Send what is due in the background; call it after the commit. At most one such task runs at a time."""
        if not self._receivers:
            return
        self._woken = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self, seconds: float = 5.0) -> None:
        """Give what is being sent a moment to end, then stop; what was not sent is left to the next sweep."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        await stopped(self._task)

    async def deliver(self, limit: int = 200) -> int:
        """Send what is due, here and now; any number of processes may do so at once.

        Args:
            limit: How many events to take at most.

        Returns:
            How many were taken, delivered or not.

        Raises:
            StorageUnavailable: What was claimed is due again when the claim ends.
        """
        taken = 0
        while self._receivers and taken < limit:
            rows = await self._claim(min(_AT_ONCE, limit - taken))
            if not rows:
                break
            taken += len(rows)
            await _together(self._tell(row) for row in rows)
        return taken

    async def _work(self) -> None:
        while self._woken:
            self._woken = False
            try:
                await self.deliver()
            except AdjournError as error:
                _log.warning("notices are left to the next sweep", error=error.message)

    async def _tell(self, row: DictRow) -> None:
        """Send one event to everybody who has not got it, and say when it is due again."""
        try:
            review = await self._reviews.get(row["thread_id"], row["review_id"])
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001  (a question that cannot be read must not hold up what is told of others)
            _log.exception("a notice cannot be written", thread=row["thread_id"], review=row["review_id"])
            review = None
        if review is None:  # or it is being made anew
            await self._leave(row, self._wait(row["attempts"], ()), row["refused"])
            return
        if row["kind"] in ASKING and review.status != "pending":
            await self._leave(row, None, row["refused"])
            return
        notice = self._notice(row, review)
        left = [each for each in self._receivers if each.wants(notice) and each.name not in row["refused"]]
        failed = [each for each in await _together(self._send(receiver, notice) for receiver in left) if each]
        refused = [name for name, failure in failed if failure.for_good]
        again = [failure for _, failure in failed if not failure.for_good]
        wait = self._wait(row["attempts"], again) if again else None
        await self._leave(row, wait, [*row["refused"], *refused])
        for name, failure in failed:
            given_up = failure.for_good or wait is None
            about = {"notice": notice.event_id, "kind": notice.kind, "receiver": name, "attempt": row["attempts"]}
            about |= {"thread": notice.thread_id, "error": str(failure)}
            if given_up:
                _log.error("a notice was given up", **about)
            else:
                _log.warning("a notice was not delivered; it will be tried again", **about, again_in=str(wait))

    async def _send(self, receiver: Receiver, notice: Notice) -> tuple[str, NotDelivered] | None:
        """Send a notice to one receiver unless it has got it; returns the receiver's name and why it failed."""

        async def send(_: str) -> None:
            try:
                async with asyncio.timeout(_DELIVERY_SECONDS):
                    await receiver.notifier.notify(notice)
            except NotDelivered:
                raise
            except Exception as error:
                raise NotDelivered(f"{type(error).__name__}: {error}") from error

        scope, name = f"notices:{notice.thread_id}", f"{notice.kind} {notice.number} {notice.review_id}"
        try:
            with effects_in(EffectLedger(self._pool, self._serde, None, self._patience)):
                await once_for(scope, name, send, notice.event_id, key=receiver.name, on_uncertain="retry")
        except NotDelivered as failure:
            return receiver.name, failure
        return None

    def _notice(self, row: DictRow, review: Review) -> Notice:
        asked = ": ".join(part for part in (review.action, review.description) if part)
        return Notice(
            kind=row["kind"],
            thread_id=row["thread_id"],
            review_id=row["review_id"],
            workflow=review.workflow,
            at=row["created_at"],
            number=row["number"],
            roles=review.roles,
            decisions=review.allowed,
            due_at=review.due_at,
            asked=in_short(asked) if self._content else None,
            outcome=None if row["kind"] in ASKING else _outcome(review),
        )

    def _wait(self, attempts: int, failures: Sequence[NotDelivered]) -> timedelta | None:
        """Return how long an event is put off; None when it was tried often enough."""
        if attempts > len(self._waits):
            return None
        wanted = [failure.retry_after for failure in failures if failure.retry_after is not None]
        longest = max(*self._waits, timedelta())
        return max(self._waits[attempts - 1], min(longest, max(wanted, default=timedelta())))

    async def _claim(self, limit: int) -> list[DictRow]:
        with mapped_faults("cannot look for notices to send"):
            async with self._pool.connection() as connection:
                values = {"limit": limit, "seconds": _CLAIM_SECONDS}
                return await (await connection.execute(_SQL["claim"], values)).fetchall()

    async def _leave(self, row: DictRow, wait: timedelta | None, refused: Sequence[str]) -> None:
        names = ("thread_id", "review_id", "kind", "number", "attempts")
        values: dict[str, Any] = {name: row[name] for name in names}
        values |= {"seconds": None if wait is None else wait.total_seconds(), "refused": list(refused)}
        with mapped_faults("cannot record what became of a notice", thread_id=row["thread_id"]):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["leave"], values)


async def _together(doing: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Wait until all have ended, then return their results or raise the first error: what is being sent is not cut off."""
    outcomes = await asyncio.gather(*doing, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def _outcome(review: Review) -> str:
    """Say how a review was closed: by whom, and where it was decided with which decision."""
    kinds = [vote.kind for vote in review.votes if vote.counts and vote.by == review.closed_by]
    word = kinds[-1] if review.status == "decided" and kinds else review.status
    return f"{word} by {review.closed_by}" if review.closed_by else str(word)
