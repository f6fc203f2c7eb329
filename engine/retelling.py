"""Telling a review anew from everything that was recorded on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from .model import Vote
from .review_case import DEADLINE, Case
from .review_rules import timed

__all__ = ["retold"]


def retold(case: Case, votes: Sequence[Vote], *, final: Vote | None, is_open: bool, asked_at: datetime) -> Case:
    """Return a review as it stands after its votes and notes, whatever a table said of it.

    Args:
        case: The review as it was asked.
        votes: Everything that was recorded, in order.
        final: The one that closed it.
        is_open: Whether the workflow asks it.
        asked_at: When it was asked first.
    """
    begins = max((place for place, vote in enumerate(votes) if vote.kind == "ask"), default=-1)
    round_ = votes[begins + 1 :]
    since = max((vote.at for vote in votes if vote.counts and vote.kind in ("ask", "escalate")), default=asked_at)
    version = max((vote.version for vote in round_), default=1)
    edits = [vote for vote in round_ if vote.kind == "edit" and vote.version == version]
    told = replace(
        case,
        votes=tuple(votes),
        stage=sum(vote.counts and vote.kind == "escalate" for vote in votes),
        version=version,
        digest=edits[-1].proposal if version > 1 and edits else case.asked_digest,
    )
    told = timed(told, since)
    if any(vote.counts and vote.kind == "remind" and vote.at >= since for vote in votes):
        told = replace(told, remind_at=None)
    if final is not None:
        return replace(told, status="decided", closed_by=final.by, closed_at=final.at)
    expiry = next((vote for vote in votes if vote.counts and vote.kind == "expire"), None)
    if expiry is not None:
        return replace(told, status="expired", closed_by=DEADLINE.id, closed_at=expiry.at)
    return told if is_open else replace(told, status="withdrawn")
