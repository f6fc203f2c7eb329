"""The rows of `adjourn.reviews` and `adjourn.decisions`: what is asked, and what was answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import orjson
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.parts import Parts, in_parts
from ..checkpoints.queries import load_queries
from .looks import Look, Looks
from .model import Review, Vote
from .notice_events import NoticeEvent, event_of
from .review_case import Case, Closed, Command, Counted
from .review_rows import Asked, ReviewRows
from .review_rules import asked_again

__all__ = ["Given", "Judged", "Locked", "Looked", "ReviewStore"]

_SQL: Final = load_queries(__package__, "reviews.sql")
Connection = AsyncConnection[DictRow]
# a review, what a decision makes of it, and what that means
Judged: TypeAlias = tuple[Asked, Case, tuple[Command, ...]]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as a drive gets it from its row, with the question that it answers."""

    review_id: str
    by: str
    at: Any
    answer: Any
    question: Any
    approved_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Locked:
    """A run that is locked together with its open questions.

    Args:
        status: Where the run stands.
        requested_by: Who started it.
        now: The time (the database's), after everything that was waited for.
        is_driven: Whether somebody drives it, who will find what is recorded now.
        asked: Its open questions by id, in the order in which they were asked.
    """

    status: str
    requested_by: str
    now: Any
    is_driven: bool
    asked: dict[str, Asked]


@dataclass(frozen=True, slots=True)
class Looked(Locked):
    """The same, read without a lock.

    Args:
        run: The run's row.
        seen: Changes with everything that an answer depends on.
        position: Changes with whatever a read of the thread's newest checkpoint would show; None when it has none.
        latest: The row of that checkpoint, where it is at hand.
    """

    run: DictRow
    seen: str
    position: str | None
    latest: DictRow | None


class ReviewStore:
    """Reads reviews and records decisions. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
        serde: Serialises questions and answers.
        on_event: What else is written down, in the same transaction, when time does something to a review.

    Attributes:
        looks: What `pending` has read; it may have changed since.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        serde: SerializerProtocol,
        *,
        on_event: Callable[[Connection, Sequence[NoticeEvent]], Awaitable[None]] | None = None,
    ) -> None:
        self._pool = pool
        self._on_event = on_event
        self._rows = ReviewRows(serde)
        self.looks = Looks()

    async def pending(self, thread_id: str, tenant: str, latest: DictRow | None = None) -> tuple[Review, ...]:
        """Return the open questions of a tenant's run, in the order in which they were asked; keep them in `looks`.

        Args:
            thread_id: The run.
            tenant: Whose it must be.
            latest: The row of its latest checkpoint, where it was read just now; kept with them.
        """
        with mapped_faults("cannot read the questions", thread_id=thread_id):
            async with self._pool.connection() as connection:
                look = await self.look(connection, thread_id, tenant)
        if look is None:
            return ()
        # to understand a question takes long when somebody waits for their answer to be taken
        self.looks.keep(replace(look, asked=self.looked(look).asked) if look.is_small else look, latest)
        return tuple(each.review for each in self.looked(look).asked.values())

    async def lock(self, connection: Connection, thread_id: str, *, skip_locked: bool = False) -> Locked | None:
        """Lock a run and its open questions, in a transaction of the caller's; one round trip.

        Args:
            connection: In a transaction, and in a pipeline where there is one.
            thread_id: The run.
            skip_locked: Whether to leave it to whoever has locked it already.

        Returns:
            What is locked; None when there is no such run, or somebody else has locked it.
        """
        values = {"thread_id": thread_id}
        run = await connection.execute(_SQL["lock_run"] + (" skip locked" if skip_locked else ""), values)
        if skip_locked and not (found := await run.fetchone()):
            return None
        driven = await connection.execute(_SQL["is_driven"], values)
        rows = await connection.execute(_SQL["lock_pending"], values)
        votes = await connection.execute(_SQL["votes_on_pending"], values)
        time = await connection.execute(_SQL["time_now"])
        found = found if skip_locked else await run.fetchone()
        if found is None:
            return None
        asked = self._rows.all(await rows.fetchall(), await votes.fetchall(), requested_by=found["requested_by"])
        now, is_driven = (await time.fetchall())[0]["now"], (await driven.fetchall())[0]["driven"]
        return Locked(found["status"], found["requested_by"], now, is_driven, asked)

    async def look(self, connection: Connection, thread_id: str, tenant: str) -> Look | None:
        """Read a run and its open questions without a lock; one statement.

        Args:
            connection: A connection.
            thread_id: The run.
            tenant: Whose it must be.

        Returns:
            What was read, for `looked` to understand; None when there is no such run.
        """
        cursor = connection.cursor(row_factory=in_parts)
        await cursor.execute(_SQL["answerable_run"], {"thread_id": thread_id, "tenant": tenant})
        rows = await cursor.fetchall()
        run = rows[0][0]
        return None if run["thread_id"] is None else Look(run, [each[1:] for each in rows])

    def looked(self, look: Look) -> Looked:
        """Return what `lock` does, from a look; the time is the present one, by the database's clock then and ours since."""
        run = look.run
        named = {name: run[name] for name in ("status", "requested_by", "seen", "position")}
        asked = look.asked
        if asked is None:
            asked = self._asked(look.parts, requested_by=run["requested_by"])
        now = run["now"] + timedelta(seconds=look.seconds or 0.0)
        return Looked(is_driven=run["driven"], asked=asked, now=now, run=run, latest=look.latest, **named)

    async def lock_idle(self, connection: Connection, thread_id: str) -> datetime | None:
        """Lock a run that nobody drives, and its lease; return the time then, or None when somebody drives it."""
        run = await connection.execute(_SQL["lock_run"], {"thread_id": thread_id})
        driven = await connection.execute(_SQL["is_driven"], {"thread_id": thread_id})
        if not await run.fetchone() or (await driven.fetchall())[0]["driven"]:
            return None
        await connection.execute(_SQL["lock_lease"], {"thread_id": thread_id})
        time: datetime = (await (await connection.execute(_SQL["time_now"])).fetchall())[0]["now"]
        return time

    async def some(self, connection: Connection, thread_id: str, review_ids: Sequence[str]) -> dict[str, Asked]:
        """Return some reviews of a thread, open or closed, by id."""
        wanted = list(review_ids)
        rows = await connection.execute(_SQL["get_reviews"], {"thread_id": thread_id, "review_ids": wanted})
        named = {"thread_ids": [thread_id] * len(wanted), "review_ids": wanted}
        votes = await connection.execute(_SQL["votes_on"], named)
        return self._rows.all(await rows.fetchall(), await votes.fetchall())

    async def get(self, thread_id: str, review_id: str) -> Review | None:
        """Return one review, open or closed; None when there is none."""
        with mapped_faults("cannot read the review", thread_id=thread_id):
            async with self._pool.connection() as connection:
                found = await self.some(connection, thread_id, [review_id])
        return found[review_id].review if review_id in found else None

    async def last_decided(self, connection: Connection, thread_id: str) -> Asked | None:
        """Return the review of a thread that was answered last; None when there is none."""
        found = await (await connection.execute(_SQL["last_decided"], {"thread_id": thread_id})).fetchone()
        if found is None:
            return None
        return (await self.some(connection, thread_id, [found["review_id"]])).get(found["review_id"])

    def votes(self, rows: Sequence[Mapping[str, Any]], shown: str) -> list[Vote]:
        """Return decisions from their rows, on a question that is shown so."""
        return [self._rows.vote(row, shown) for row in rows]

    async def record(self, connection: Connection, asked: Asked, after: Case, commands: Sequence[Command]) -> None:
        """Record what a rule made of a review, in the transaction that locked it; nothing where that changes nothing."""
        for vote, columns in self._decided(asked, after, commands):
            await self._record(connection, after, vote, columns)

    async def answer(
        self, connection: Connection, thread_id: str, looked: Looked, judged: Iterable[Judged], claim: Mapping[str, Any]
    ) -> list[DictRow]:
        """Record people's decisions, judged by what was read without a lock; take the lease if asked to: all or nothing.

        Args:
            connection: If it is in no transaction, this is one of its own.
            thread_id: The run.
            looked: What was read.
            judged: What the rules made of the reviews.
            claim: `claims`: whether to take the lease; `queues`: whether to queue the run for a worker instead; and
                `tenant`, `expected`, `owner`, `seconds` and `actor` for that.

        Returns:
            Nothing; or what has changed in the run's row if it was queued; or if the lease was taken, a row for each answer
            to be given, for `given` to read. Each has what has changed in the run's row as well, with the lease's
            `token`; its `position` is the thread's under the lease.

        Raises:
            psycopg.Error: With `CHANGED` as its SQLSTATE when anything has changed that an answer depends on.
        """
        decided = [columns for each in judged for _, columns in self._decided(*each)]
        values = {
            "thread_id": thread_id,
            "seen": looked.seen,
            "now": looked.now,
            "decided": _document(decided),
            **claim,
        }
        query = _SQL["record_and_queue" if claim["queues"] else "record_answer"]
        return await (await connection.execute(query, values)).fetchall()

    async def unconsumed(self, thread_id: str) -> list[Given]:
        """Return the answers that LangGraph has not stored yet."""
        with mapped_faults("cannot read the answers", thread_id=thread_id):
            async with self._pool.connection() as connection:
                return self.given(await (await self.ask_unconsumed(connection, thread_id)).fetchall())

    async def ask_unconsumed(self, connection: Connection, thread_id: str) -> AsyncCursor[DictRow]:
        """Ask for the answers that LangGraph has not stored yet; `given` reads the rows."""
        return await connection.execute(_SQL["unconsumed"], {"thread_id": thread_id})

    def given(self, rows: Iterable[Mapping[str, Any]]) -> list[Given]:
        """Return the answers of rows from `ask_unconsumed` or `answer`."""
        return [
            Given(
                row["review_id"],
                row["decided_by"],
                row["decided_at"],
                self._rows.load(row["answer_type"], row["answer"]),
                self._rows.load(row["question_type"], row["question"])["value"],
                tuple(row["approved_by"]),
            )
            for row in rows
        ]

    async def consume(self, thread_id: str, review_ids: Sequence[str], connection: Connection | None = None) -> None:
        """Mark the answers to breakpoints as consumed, perhaps in a transaction; no node's end will do so."""
        if connection is not None:
            await connection.execute(_SQL["consume"], {"thread_id": thread_id, "review_ids": list(review_ids)})
            return
        with mapped_faults("cannot pass the breakpoint", thread_id=thread_id):
            async with self._pool.connection() as own:
                await self.consume(thread_id, review_ids, own)

    async def withdraw_others(self, thread_id: str, asked: Sequence[str], token: int) -> None:
        """Withdraw the open questions of a thread that it does not ask any more, under the lease."""
        values = {"thread_id": thread_id, "asked": list(asked), "token": token}
        with mapped_faults("cannot withdraw questions", thread_id=thread_id):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["withdraw_others"], values)

    async def reopen(self, thread_id: str, review_ids: Sequence[str], token: int) -> None:
        """Ask again, under the lease, what was answered but no node has taken; the decisions stay, and do not count."""
        await self._ask_again(thread_id, token, "unconsumed_of", review_ids=list(review_ids))

    async def ask_expired(self, thread_id: str, token: int) -> None:
        """Ask again, under the lease, what a deadline had closed; its time begins again."""
        await self._ask_again(thread_id, token, "expired_of")

    async def _ask_again(self, thread_id: str, token: int, which: str, **named: Any) -> None:
        with mapped_faults("cannot open the question again", thread_id=thread_id):
            async with self._pool.connection() as connection, connection.transaction():
                locked = await self.lock(connection, thread_id)
                held = await connection.execute(_SQL["holds_lease"], {"thread_id": thread_id, "token": token})
                if locked is None or not await held.fetchone():
                    return
                found = await connection.execute(_SQL[which], {"thread_id": thread_id, **named})
                ids = [row["review_id"] for row in await found.fetchall()]
                for asked in (await self.some(connection, thread_id, ids)).values():
                    again = asked_again(asked.case, locked.now)
                    columns = self._rows.columns(asked, again, again.votes[-1], reopened=True)
                    await self._record(connection, again, again.votes[-1], columns)

    async def _record(self, connection: Connection, after: Case, vote: Vote, columns: Mapping[str, Any]) -> None:
        """Store a decision, and the review as it stands then."""
        await connection.execute(_SQL["record_decision"], {"given": _document(columns)})
        event = event_of(after, vote)
        if event is not None and self._on_event is not None:
            await self._on_event(connection, [event])

    def _decided(
        self, asked: Asked, after: Case, commands: Sequence[Command]
    ) -> Iterator[tuple[Vote, Mapping[str, Any]]]:
        """Give the decision that is to be recorded, if one is, with its columns and those of its review."""
        closed = next((each for each in commands if isinstance(each, Closed)), None)
        for command in commands:
            if isinstance(command, Counted):
                yield command.vote, self._rows.columns(asked, after, command.vote, closed)

    def _asked(self, found: Sequence[Parts], **more: Any) -> dict[str, Asked]:
        """Return open questions by id, from rows of a review and of a decision on it each."""
        rows = {review["review_id"]: review for review, _ in found if review["review_id"] is not None}
        votes = [vote for _, vote in found if vote["review_id"] is not None]
        return self._rows.all(rows.values(), votes, **more)


def _document(columns: Any) -> str:
    """Return columns as the functions take them: bytes in hexadecimal form."""
    return orjson.dumps(columns, default=lambda value: f"\\x{value.hex()}").decode()
