"""The rows of `adjourn.reviews` and `adjourn.decisions`: what is asked, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.types import Interrupt
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from ..errors import ReviewClosed
from .answers import Answer
from .model import Principal, Review
from .questions import BREAKPOINT, breakpoint_review, review_of

__all__ = ["Given", "Recorded", "ReviewStore"]

_SQL: Final = load_queries(__package__, "reviews.sql")


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as a drive gets it from its row, with the question that it answers."""

    review_id: str
    by: str
    at: Any
    answer: Any
    question: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a review: its status, and the answer if there is one."""

    review_id: str
    status: str
    by: str | None
    at: Any
    answer: Any
    digest: str | None

    def is_same(self, by: str, digest: str) -> bool:
        """Whether somebody sent this very answer before."""
        return self.status == "decided" and (self.by, self.digest) == (by, digest)

    def as_error(self, thread_id: str) -> ReviewClosed:
        """Return the error for whoever comes too late: who answered, when and what."""
        if self.by is None:
            message = f"Review {self.review_id} of run {thread_id} is {self.status}; it takes no answer any more."
        else:
            message = (
                f"Review {self.review_id} of run {thread_id} was answered by {self.by} "
                f"at {self.at:%Y-%m-%d %H:%M:%S %Z}: {_in_short(self.answer)}. Your answer was not taken."
            )
        outcome = {"review_id": self.review_id, "status": self.status, "by": self.by, "answer": self.answer}
        outcome["at"] = self.at.isoformat() if self.at else None
        return ReviewClosed(message, outcome=outcome, thread_id=thread_id)


class ReviewStore:
    """Reads reviews and records decisions. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
        serde: Serialises questions and answers.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], serde: SerializerProtocol) -> None:
        self._pool = pool
        self._serde = serde

    async def pending(
        self, thread_id: str, workflow: str, connection: AsyncConnection[DictRow] | None = None
    ) -> tuple[Review, ...]:
        """Return the open questions of a thread, in the order in which they were asked; perhaps in a transaction."""
        rows = await self._all("list_pending", connection, thread_id=thread_id)
        return tuple(self.review_from(row, workflow) for row in rows)

    async def recorded(self, thread_id: str, review_id: str | None = None) -> Recorded | None:
        """Return what became of a review, or of the one that was answered last; None when there is none."""
        query = "last_outcome" if review_id is None else "get_outcome"
        rows = await self._all(query, thread_id=thread_id, review_id=review_id)
        if not rows:
            return None
        row = rows[0]
        answer = None if row["answer_type"] is None else self._load(row["answer_type"], row["answer"])
        at = row["decided_at"] or row["closed_at"]
        return Recorded(row["review_id"], row["status"], row["decided_by"], at, answer, row["answer_digest"])

    async def decide(
        self,
        connection: AsyncConnection[DictRow],
        thread_id: str,
        answers: Mapping[str, Answer],
        *,
        by: str,
        principal: Principal,
        channel: str,
    ) -> str | None:
        """Record answers to open questions in a transaction of the caller's; the first to be recorded wins.

        Returns:
            None when all were recorded; otherwise the id of a review that was closed before: roll back then.
        """
        who = {"decided_by": by, "source": principal.source, "channel": channel}
        for review_id, answer in answers.items():
            values = {**who, **self._decision(thread_id, review_id, answer)}
            if await (await connection.execute(_SQL["decide"], values)).fetchone() is None:
                return review_id
        return None

    async def unconsumed(self, thread_id: str) -> list[Given]:
        """Return the answers that LangGraph has not stored yet."""
        rows = await self._all("unconsumed", thread_id=thread_id)
        return [
            Given(
                row["review_id"],
                row["decided_by"],
                row["decided_at"],
                self._load(row["answer_type"], row["answer"]),
                self._load(row["question_type"], row["question"])["value"],
            )
            for row in rows
        ]

    async def consume(
        self, thread_id: str, review_ids: Sequence[str], connection: AsyncConnection[DictRow] | None = None
    ) -> None:
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
        """Take answers back that were recorded but that no node has taken, under the lease."""
        values = {"thread_id": thread_id, "review_ids": list(review_ids), "token": token}
        with mapped_faults("cannot open the question again", thread_id=thread_id):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["reopen"], values)

    def _decision(self, thread_id: str, review_id: str, answer: Answer) -> dict[str, Any]:
        kind, data = self._serde.dumps_typed(answer.value)
        return {
            "thread_id": thread_id,
            "review_id": review_id,
            "answer_type": kind,
            "answer": data,
            "answer_digest": answer.digest,
        }

    def review_from(self, row: DictRow, workflow: str) -> Review:
        """Return the review of a row that holds its question."""
        question = self._load(row["question_type"], row["question"])
        if row["review_id"].startswith(BREAKPOINT):
            return breakpoint_review(row["checkpoint_id"], question["value"], row["thread_id"], workflow)
        asked = Interrupt(value=question["value"], id=row["review_id"], response_schema=question["response_schema"])
        return review_of(asked, row["thread_id"], workflow)

    def _load(self, kind: str, data: bytes) -> Any:
        return self._serde.loads_typed((kind, data))

    async def _all(
        self, query: str, connection: AsyncConnection[DictRow] | None = None, **values: Any
    ) -> list[DictRow]:
        if connection is not None:
            return await (await connection.execute(_SQL[query], values)).fetchall()
        with mapped_faults(f"{query} failed", thread_id=values["thread_id"]):
            async with self._pool.connection() as own:
                return await self._all(query, own, **values)


def _in_short(answer: Any) -> str:
    decisions = answer.get("decisions") if isinstance(answer, dict) else None
    if isinstance(decisions, list) and all(isinstance(each, dict) for each in decisions):
        return ", ".join(str(each.get("type")) for each in decisions)
    return repr(answer)[:80]
