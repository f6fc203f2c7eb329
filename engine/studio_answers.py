"""Answers that are typed in Studio: held against the question, recorded, and handed to LangGraph by question id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from langgraph.types import Command
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ..errors import AdjournError, NotPaused, UnknownReview
from ..state.decisions import approve
from .answers import check_answer, delivered
from .model import Principal, Review
from .questions import BREAKPOINT
from .reviews import ReviewStore
from .runs import RunRow

__all__ = ["CHANNEL", "UNKNOWN", "take_answers"]

CHANNEL: Final = "studio"
UNKNOWN: Final = "unknown"
_INTERRUPT_ID: Final = re.compile(r"[0-9a-f]{32}")


async def take_answers(
    store: ReviewStore, connection: AsyncConnection[DictRow], row: RunRow, given: Any, by: str | None
) -> list[str]:
    """Record what a drive is given as the answers that it is, in the transaction that took the thread's lease.

    A plain answer is replaced, in the command itself, by `{question id: answer}`: LangGraph would keep a plain one and
    give it to whichever question comes next, after a crash as well. Whatever is no answer passes the breakpoint at which
    the run stands, if it stands at one.

    Args:
        store: Questions and answers.
        connection: In a transaction that holds the run's lease.
        row: The run.
        given: What the graph is called with.
        by: Who answers, if the server knows.

    Returns:
        The ids of the reviews that are answered.

    Raises:
        NotPaused, UnknownReview, ReviewClosed, InvalidDecision: As `Drives.begin`.
    """
    reviews = {review.id: review for review in await store.pending(row["thread_id"], row["workflow"], connection)}
    if not (isinstance(given, Command) and given.resume is not None):
        passed = {each: approve() for each in reviews if each.startswith(BREAKPOINT)}
        await _decide(store, connection, row, reviews, passed, by)
        if passed:
            await store.consume(row["thread_id"], list(passed), connection)
        return []
    asked = {review_id: review for review_id, review in reviews.items() if not review_id.startswith(BREAKPOINT)}
    chosen = _choose(asked, given.resume, row)
    if gone := chosen.keys() - asked.keys():
        raise await _gone(store, row["thread_id"], min(gone))
    if row["status"] not in ("paused", "running"):
        raise _asks_nothing(row)
    values = await _decide(store, connection, row, asked, chosen, by)
    # The command is the server's own for this one drive, and LangGraph has not looked at it yet.
    object.__setattr__(given, "resume", values)
    return list(values)


def _choose(asked: Mapping[str, Review], answer: Any, row: RunRow) -> dict[str, Any]:
    """Say which question gets which answer; LangGraph takes a dictionary for such a map by its keys alone."""
    if (
        isinstance(answer, dict)
        and answer
        and all(isinstance(key, str) and _INTERRUPT_ID.fullmatch(key) for key in answer)
    ):
        return answer
    if not asked:
        raise _asks_nothing(row)
    if len(asked) > 1:
        thread_id = row["thread_id"]
        raise UnknownReview(
            f"Run {thread_id} asks {len(asked)} questions; answer with {{question id: answer}}. Open: {', '.join(asked)}.",
            thread_id=thread_id,
        )
    return {next(iter(asked)): answer}


async def _decide(
    store: ReviewStore,
    connection: AsyncConnection[DictRow],
    row: RunRow,
    reviews: Mapping[str, Review],
    chosen: Mapping[str, Any],
    by: str | None,
) -> dict[str, Any]:
    answers = {each: check_answer(reviews[each], answer) for each, answer in chosen.items()}
    who = by or UNKNOWN
    principal = Principal(who, source="authenticated" if by else "trusted")
    closed = await store.decide(connection, row["thread_id"], answers, by=who, principal=principal, channel=CHANNEL)
    if closed is not None:
        raise await _gone(store, row["thread_id"], closed)
    now = datetime.now(UTC)
    return {each: delivered(reviews[each].value, answer.value, by=who, at=now) for each, answer in answers.items()}


def _asks_nothing(row: RunRow) -> NotPaused:
    return NotPaused(
        f"Run {row['thread_id']} waits for no answer: it is {row['status']}. Reload the thread.",
        thread_id=row["thread_id"],
    )


async def _gone(store: ReviewStore, thread_id: str, review_id: str) -> AdjournError:
    recorded = await store.recorded(thread_id, review_id)
    if recorded is not None:
        return recorded.as_error(thread_id)
    return UnknownReview(
        f"Run {thread_id} asks no question {review_id}. Reload the thread and answer the one that it asks.",
        thread_id=thread_id,
    )
