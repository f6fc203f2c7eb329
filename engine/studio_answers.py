"""Answers that are typed in Studio: held against the question, recorded, and handed to LangGraph by question id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from langgraph.types import Command
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ..errors import NotAuthorized, NotPaused, UnknownReview
from ..state.decisions import approve
from .delivery import delivered
from .model import Principal
from .questions import BREAKPOINT, BUDGET
from .review_rows import Asked, ballot_for
from .review_rules import closed_error, decide
from .reviews import Locked, ReviewStore
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
        NotPaused, UnknownReview, ReviewClosed, InvalidDecision, NotAuthorized: As `Drives.begin`.
    """
    locked = await store.lock(connection, row["thread_id"])
    if locked is None:  # pragma: no cover - the run's row is locked since its lease was taken
        return []
    _check_policies(locked, row)
    if not (isinstance(given, Command) and given.resume is not None):
        passed = {each: approve() for each in locked.asked if each.startswith(BREAKPOINT)}
        await _decide(store, connection, locked, passed, by)
        if passed:
            await store.consume(row["thread_id"], list(passed), connection)
        return []
    asked = {review_id: each for review_id, each in locked.asked.items() if not review_id.startswith(BREAKPOINT)}
    chosen = _choose(asked, given.resume, row)
    if gone := chosen.keys() - asked.keys():
        closed = await store.some(connection, row["thread_id"], [min(gone)])
        raise closed_error(closed[min(gone)].case) if closed else _unknown(row, min(gone))
    if row["status"] not in ("paused", "running"):
        raise _asks_nothing(row)
    values = await _decide(store, connection, locked, chosen, by)
    # The command is the server's own for this one drive, and LangGraph has not looked at it yet.
    object.__setattr__(given, "resume", values)
    return list(values)


def _check_policies(locked: Locked, row: RunRow) -> None:
    """Refuse a thread whose open question takes more than one answer by anybody: nobody here is known well enough."""
    for review_id, asked in locked.asked.items():
        if review_id.startswith(BUDGET):
            raise NotAuthorized(
                f"Run {row['thread_id']} has spent its budget and waits for somebody to grant more; answer that with "
                "adjourn, not here.",
                thread_id=row["thread_id"],
            )
        if asked.case.policy.needs_more_than_one_approval:
            raise NotAuthorized(
                f"Run {row['thread_id']} waits for people whom this server cannot tell apart: the policy of its review "
                f"{review_id} names roles, several approvals or four eyes. Answer it with adjourn's own doors.",
                thread_id=row["thread_id"],
            )


def _choose(asked: Mapping[str, Asked], answer: Any, row: RunRow) -> dict[str, Any]:
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
    store: ReviewStore, connection: AsyncConnection[DictRow], locked: Locked, chosen: Mapping[str, Any], by: str | None
) -> dict[str, Any]:
    who = Principal(by or UNKNOWN, source="authenticated" if by else "trusted")
    values = {}
    for review_id, given in chosen.items():
        asked = locked.asked[review_id]
        ballot = ballot_for(asked, given, who, channel=CHANNEL, shown=asked.case.digest)
        after, commands = decide(asked.case, ballot, locked.now)
        await store.record(connection, asked, after, commands)
        values[review_id] = delivered(
            asked.question, after.answer, by=who.id, at=locked.now, approved_by=_approvers(after.votes)
        )
    return values


def _approvers(votes: Any) -> list[str]:
    return [vote.by for vote in votes if vote.counts and vote.kind in ("approve", "edit", "value")]


def _asks_nothing(row: RunRow) -> NotPaused:
    return NotPaused(
        f"Run {row['thread_id']} waits for no answer: it is {row['status']}. Reload the thread.",
        thread_id=row["thread_id"],
    )


def _unknown(row: RunRow, review_id: str) -> UnknownReview:
    return UnknownReview(
        f"Run {row['thread_id']} asks no question {review_id}. Reload the thread and answer the one that it asks.",
        thread_id=row["thread_id"],
    )
