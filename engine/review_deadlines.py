"""What time does to reviews: `(review, now) → (review', commands)`. The time is passed in.

A deadline that nobody kept acts when it is looked at, once: it answers, asks the next people, or fails closed. Until
then people may still answer. The next stage's time begins when it is asked, not when the last deadline passed, so
that a pause of all workers takes nothing away from anybody.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .review_case import Ballot, Case, Closed, Command, Counted, Escalated, Reminded, note
from .review_rules import take_default, timed

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
        vote = note(case, "remind", now)
        return replace(case, remind_at=None, votes=(*case.votes, vote)), (Counted(vote), Reminded(case.roles))
    return case, ()


def _deadline(case: Case, now: datetime, default: Ballot | None) -> tuple[Case, tuple[Command, ...]]:
    stated = case.policy.at_deadline(case.stage)
    if stated == "escalate":
        return _escalate(case, now)
    if stated != "fail" and default is not None:
        return take_default(case, default, now)
    vote = note(case, "expire", now)
    closed = replace(case, status="expired", closed_by=vote.by, closed_at=now, votes=(*case.votes, vote))
    return closed, (Counted(vote), Closed("expired", vote.by))


def _escalate(case: Case, now: datetime) -> tuple[Case, tuple[Command, ...]]:
    vote = note(case, "escalate", now)
    after = timed(replace(case, stage=case.stage + 1, votes=(*case.votes, vote)), now)
    return after, (Counted(vote), Escalated(after.stage, after.roles, after.due_at))
