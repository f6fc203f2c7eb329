"""Which events of a review people are told, besides that it is asked: what time did to it, and that it is asked anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .model import Vote, VoteKind
from .notices import NoticeKind
from .review_case import DEADLINE, PEOPLES, Case

__all__ = ["NoticeEvent", "event_of"]

_KINDS: Final[dict[VoteKind, NoticeKind]] = {
    "ask": "asked",
    "remind": "reminded",
    "escalate": "escalated",
    "expire": "expired",
    **dict.fromkeys(PEOPLES, "decided"),
}


@dataclass(frozen=True, slots=True)
class NoticeEvent:
    """An event of a review, to be told.

    Args:
        thread_id: The run.
        review_id: The review.
        kind: What happened.
        number: Tells events of one kind apart, such as the second reminder from the first.
    """

    thread_id: str
    review_id: str
    kind: NoticeKind
    number: int = 0


def event_of(case: Case, vote: Vote) -> NoticeEvent | None:
    """Return what people are told of a vote; nothing of one that a person gave: whoever decides knows it.

    Args:
        case: The review with that vote.
        vote: The vote, or the note of what a deadline did.
    """
    kind = _told(vote)
    if kind is None:
        return None
    return NoticeEvent(case.thread_id, case.review_id, kind, sum(_told(each) == kind for each in case.votes))


def _told(vote: Vote) -> NoticeKind | None:
    return _KINDS.get(vote.kind) if vote.by == DEADLINE.id else None
