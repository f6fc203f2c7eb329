"""What the rules of reviews work on: a question as it stands, what somebody sends, and what is to be done about it.

Plain data; the rules are in review_rules.py and review_deadlines.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from ..state.policies import ReviewPolicy
from .model import Principal, ReviewStatus, Vote, VoteKind

__all__ = [
    "DEADLINE",
    "PEOPLES",
    "Ballot",
    "Case",
    "Closed",
    "Command",
    "Counted",
    "Escalated",
    "Reminded",
    "note",
]

DEADLINE: Final = Principal("system:deadline", tenant="", source="authenticated")
"""Who decides when a deadline has passed."""


@dataclass(frozen=True, slots=True)
class Case:
    """A review as the rules see it.

    Args:
        thread_id: The run.
        review_id: The review.
        policy: Its policy.
        requested_by: Who started the run.
        asked_digest: SHA-256 of exactly what was asked.
        digest: The same of the current version, which an edit may have made.
        version: The current version; 1 is the question as it was asked.
        status: Whether it is open.
        stage: How often it was escalated.
        due_at: When the deadline of this stage is over.
        remind_at: When the people of this stage are to be reminded; None when they were.
        votes: Everything that was recorded, in order.
        closed_by: Who closed it.
        closed_at: When.
        answer: What the workflow is given.
    """

    thread_id: str
    review_id: str
    policy: ReviewPolicy
    requested_by: str
    asked_digest: str
    digest: str
    version: int = 1
    status: ReviewStatus = "pending"
    stage: int = 0
    due_at: datetime | None = None
    remind_at: datetime | None = None
    votes: tuple[Vote, ...] = ()
    closed_by: str | None = None
    closed_at: datetime | None = None
    answer: Any = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Who is asked now; empty for everybody."""
        return self.policy.stage(self.stage).roles

    @property
    def fails_closed(self) -> bool:
        """Whether the deadline of this stage fails the run."""
        return self.policy.at_deadline(self.stage) == "fail"

    def counting(self, *kinds: VoteKind) -> Iterator[Vote]:
        """Give the votes of some kinds that stand: at most one of each person."""
        return (vote for vote in self.votes if vote.counts and vote.kind in kinds)

    def last_of(self, person: str) -> Vote | None:
        """Return a person's newest decision."""
        return next((vote for vote in reversed(self.votes) if vote.by == person and vote.kind in PEOPLES), None)

    @property
    def missing(self) -> int:
        """How many more people must approve, or give the answer that most have given."""
        approving = len({vote.by for vote in self.counting("approve", "edit")})
        answers = [vote.proposal for vote in self.counting("value")]
        agreeing = max((answers.count(each) for each in answers), default=0)
        return max(self.policy.approvals - max(approving, agreeing), 0)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What somebody sends, held against the question before.

    Args:
        who: Who sends it, as the engine knows them.
        kind: What they decide.
        answer: The answer in its one form.
        answer_digest: SHA-256 of its canonical JSON.
        proposal: SHA-256 of what they want: the version that they saw, or their edit of it, or their plain answer.
        shown: SHA-256 of what they say they saw; None when they do not say.
        channel: Through which door.
        message: Their comment.
    """

    who: Principal
    kind: VoteKind
    answer: Any
    answer_digest: str
    proposal: str
    shown: str | None = None
    channel: str = "python"
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Record this decision, or this note."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class Closed:
    """The review is closed: drive the run on with the answer, or fail it when the review expired."""

    status: ReviewStatus
    by: str
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Reminded:
    """Tell these people that they are still asked."""

    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalated:
    """Ask these people now."""

    stage: int
    roles: tuple[str, ...]
    due_at: datetime | None = None


Command: TypeAlias = Counted | Closed | Reminded | Escalated

PEOPLES: Final[frozenset[VoteKind]] = frozenset({"approve", "edit", "reject", "respond", "value"})
"""What people decide; all other kinds of vote are notes."""


def note(case: Case, kind: VoteKind, at: datetime) -> Vote:
    """Return a note of what time did to a review.

    It is nobody's vote, but it is kept among them, so that the whole review can be told anew from its votes.
    """
    return Vote(
        by=DEADLINE.id,
        kind=kind,
        at=at,
        answer=None,
        answer_digest="",
        shown=case.digest,
        proposal=case.digest,
        version=case.version,
        source=DEADLINE.source,
        channel="deadline",
    )
