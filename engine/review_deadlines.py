"""What time does to reviews: `(review, now) → (review', commands)`. The time is passed in.

A deadline that nobody kept acts when it is looked at, once: it answers, asks the next people, or fails closed. Until
then people may still answer. The next stage's time begins when it is asked, not when the last deadline passed, so
that a pause of all workers takes nothing away from anybody.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from .model import Vote
from .review_case import DEADLINE, Ballot, Case, Closed, Command, Escalated, Reminded
from .review_rules import take_default

__all__ = ["due"]


def due(case: Case, now: datetime, default: Ballot | None = None) -> tuple[Case, tuple[Command, ...]]:
    """Do what is due.

    Args:
        case: The review.
        now: The time.
        default: The decision that its policy states for the deadline of this stage, held against the question; None
            when there is none, or when it does not fit. Then a deadline that should have answered fails closed.

    Returns:
        The review as it is then, and what is to be done; nothing while nothing is due, and for a closed review.
    """
    if case.status != "pending":
        return case, ()
    if case.due_at is not None and case.due_at <= now:
        return _deadline(case, now, default)
    if case.remind_at is not None and case.remind_at <= now:
        return replace(case, remind_at=None), (Reminded(case.roles),)
    return case, ()


def _deadline(case: Case, now: datetime, default: Ballot | None) -> tuple[Case, tuple[Command, ...]]:
    stated = case.policy.at_deadline(case.stage)
    if stated == "escalate":
        return _escalate(case, now)
    if stated != "fail" and default is not None:
        return take_default(case, default, now)
    closed = replace(case, status="expired", closed_by=DEADLINE.id, closed_at=now)
    return closed, (Closed("expired", DEADLINE.id),)


def _escalate(case: Case, now: datetime) -> tuple[Case, tuple[Command, ...]]:
    number = case.stage + 1
    stage = case.policy.stage(number)
    # not a vote of anybody's, but kept among them: it says when the stage began
    note = Vote(
        by=DEADLINE.id,
        kind="escalate",
        at=now,
        answer={"stage": number},
        answer_digest="",
        shown=case.digest,
        proposal=case.digest,
        version=case.version,
        counts=False,
        source=DEADLINE.source,
        channel="deadline",
    )
    after = replace(
        case,
        stage=number,
        votes=(*case.votes, note),
        due_at=None if stage.deadline is None else now + timedelta(seconds=stage.deadline),
        remind_at=None if stage.remind_after is None else now + timedelta(seconds=stage.remind_after),
    )
    return after, (Escalated(number, stage.roles, note, after.due_at),)
