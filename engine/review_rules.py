"""The rules of reviews: `(review, decision, now) → (review', commands)`. No database, no clock, no event loop.

approve   counts; k different people close the review
edit      is a new version: its author's approval, and nobody else's; k approvals of that version close the review
reject    closes, or counts, where the policy asks for several
respond   closes; the text goes back to the workflow
value     a plain answer counts; k people who give the same one close the review

Of a person the newest decision stands, and only that one. A closed review never changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import DigestMismatch, NotAuthorized, ReviewClosed
from ..state.policies import ReviewPolicy
from .model import Principal, Review, Vote
from .review_case import PEOPLES, Ballot, Case, Closed, Command, Counted, note

__all__ = [
    "asked",
    "asked_again",
    "closed_error",
    "decide",
    "repeats",
    "take_default",
    "timed",
    "why_not",
    "withdrawn",
]

_SYSTEM = "system:"


def asked(thread_id: str, review_id: str, policy: ReviewPolicy, requested_by: str, digest: str, now: datetime) -> Case:
    """Return a review that is asked at this moment."""
    case = Case(thread_id, review_id, policy, requested_by, asked_digest=digest, digest=digest)
    return timed(case, now)


def decide(case: Case, ballot: Ballot, now: datetime) -> tuple[Case, tuple[Command, ...]]:
    """Take a decision.

    Args:
        case: The review, with everything that was recorded on it.
        ballot: What somebody sends; it fits the question.
        now: The time.

    Returns:
        The review as it is then, and what is to be done; nothing, when the same person sent the same before.

    Raises:
        ReviewClosed: It was closed before; carries what was recorded.
        NotAuthorized: They may not answer this review.
        DigestMismatch: They saw another version than the one that they would decide about.
    """
    if repeats(case, ballot):
        return case, ()
    if case.status != "pending":
        raise closed_error(case)
    _check_right(case, ballot.who)
    _check_shown(case, ballot)
    case, vote = _counted(case, ballot, now)
    return _closed(case, vote) if _closes(case, vote) else (case, (Counted(vote),))


def take_default(case: Case, ballot: Ballot, now: datetime) -> tuple[Case, tuple[Command, ...]]:
    """Close a pending review with the decision that its policy states for the deadline, however few have answered."""
    return _closed(*_counted(case, ballot, now))


def repeats(case: Case, ballot: Ballot) -> bool:
    """Say whether a person sends what was recorded of them before, and still stands."""
    last = case.last_of(ballot.who.id)
    if last is None or (last.kind, last.answer_digest) != (ballot.kind, ballot.answer_digest):
        return False
    if case.status != "pending":
        return case.status == "decided"
    return last.counts and (ballot.kind == "value" or last.proposal == ballot.proposal)


def withdrawn(case: Case, now: datetime) -> Case:
    """Return a review whose question the workflow does not ask any more; a closed one stays as it is."""
    if case.status != "pending":
        return case
    return replace(case, status="withdrawn", closed_at=now)


def asked_again(case: Case, now: datetime) -> Case:
    """Return a review that is asked anew: its deadline begins again, and nothing that was said before counts.

    That is for a run that is retried after a deadline failed it, and for an answer that the workflow refused.
    """
    votes = tuple(replace(vote, counts=False) for vote in case.votes)
    fresh = replace(case, status="pending", version=1, digest=case.asked_digest, stage=0, votes=votes)
    fresh = timed(replace(fresh, closed_by=None, closed_at=None, answer=None), now)
    return replace(fresh, votes=(*votes, note(fresh, "ask", now)))


def timed(case: Case, now: datetime) -> Case:
    """Return a review whose present stage begins at a moment."""
    stage = case.policy.stage(case.stage)
    return replace(case, due_at=_after(now, stage.deadline), remind_at=_after(now, stage.remind_after))


def why_not(asked: Case | Review, who: Principal) -> str | None:
    """Say why somebody may not answer an open review; None when they may.

    Args:
        asked: The review, as the rules or as people see it.
        who: They, with the roles that they hold.
    """
    policy, stage, roles = asked.policy, asked.stage, asked.roles
    name = f"review {asked.id if isinstance(asked, Review) else asked.review_id} of run {asked.thread_id}"
    if who.id.startswith(_SYSTEM):
        return f"{who.id!r} is a name of adjourn's own, not of a person"
    if policy.require_authenticated and who.source != "authenticated":
        return f"{name} takes answers of authenticated people only, and {who.id}'s name was only given"
    if policy.exclude_requester and who.id == asked.requested_by:
        return f"{who.id} started this run, and {name} must be answered by somebody else"
    if roles and not who.roles & set(roles):
        held = f"holds {', '.join(sorted(who.roles))}" if who.roles else "holds no role"
        since = " since it was escalated" if stage else ""
        return f"{name} asks {' or '.join(roles)}{since}, and {who.id} {held}"
    return None


def closed_error(case: Case) -> ReviewClosed:
    """Return the error for whoever comes too late: who answered, when and what."""
    if case.closed_by is None:
        message = f"Review {case.review_id} of run {case.thread_id} is {case.status}; it takes no answer any more."
    elif case.status == "expired":
        message = (
            f"The deadline of review {case.review_id} of run {case.thread_id} passed at {_moment(case.closed_at)}, and "
            "nobody had answered. retry() asks again."
        )
    else:
        message = (
            f"Review {case.review_id} of run {case.thread_id} was answered by {case.closed_by} "
            f"at {_moment(case.closed_at)}: {_in_short(case.answer)}. Your answer was not taken."
        )
    outcome: dict[str, Any] = {
        "review_id": case.review_id,
        "status": case.status,
        "by": case.closed_by,
        "at": case.closed_at.isoformat() if case.closed_at else None,
        "answer": case.answer,
        "approved_by": [vote.by for vote in case.counting("approve", "edit", "value")],
    }
    return ReviewClosed(message, outcome=outcome, thread_id=case.thread_id)


def _closed(case: Case, vote: Vote) -> tuple[Case, tuple[Command, ...]]:
    answer = _final_answer(case, vote)
    case = replace(case, status="decided", closed_by=vote.by, closed_at=vote.at, answer=answer)
    return case, (Counted(vote), Closed("decided", vote.by, answer))


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _check_right(case: Case, who: Principal) -> None:
    if problem := why_not(case, who):
        raise NotAuthorized(f"This answer was not taken: {problem}.", thread_id=case.thread_id)


def _check_shown(case: Case, ballot: Ballot) -> None:
    """Refuse decisions about a version that is not the current one; of an edited one people must say that they saw it."""
    if ballot.shown == case.digest or (ballot.shown is None and case.version == 1):
        return
    if ballot.shown is None and ballot.kind in ("reject", "respond", "value"):
        return
    edits = (vote.by for vote in reversed(case.votes) if vote.kind == "edit" and vote.proposal == case.digest)
    author = next(edits, None) if case.version > 1 else None
    changed = f"{author} changed it (version {case.version})" if author else "it is not what you were shown"
    raise DigestMismatch(
        f"This answer to review {case.review_id} of run {case.thread_id} was not taken: {changed}. Look at it again, and "
        f"answer with shown={case.digest!r}, the review's digest.",
        thread_id=case.thread_id,
    )


def _counted(case: Case, ballot: Ballot, now: datetime) -> tuple[Case, Vote]:
    """Add a vote: it replaces what the person said before, and a new version clears the votes of all others."""
    changes = ballot.kind == "edit" and ballot.proposal != case.digest
    vote = Vote(
        by=ballot.who.id,
        kind=ballot.kind,
        at=now,
        answer=ballot.answer,
        answer_digest=ballot.answer_digest,
        shown=case.digest,
        proposal=ballot.proposal,
        version=case.version + 1 if changes else case.version,
        source=ballot.who.source,
        channel=ballot.channel,
        roles=tuple(sorted(ballot.who.roles)),
        message=ballot.message,
    )
    before = tuple(
        replace(each, counts=False) if each.kind in PEOPLES and (changes or each.by == vote.by) else each
        for each in case.votes
    )
    digest = vote.proposal if changes else case.digest
    return replace(case, votes=(*before, vote), version=vote.version, digest=digest), vote


def _closes(case: Case, vote: Vote) -> bool:
    if vote.kind == "respond":
        return True
    if vote.kind == "reject":
        return len({each.by for each in case.counting("reject")}) >= case.policy.reject_approvals
    if vote.kind == "value":
        agreeing = {each.by for each in case.counting("value") if each.proposal == vote.proposal}
        return len(agreeing) >= case.policy.approvals
    return len({each.by for each in case.counting("approve", "edit")}) >= case.policy.approvals


def _final_answer(case: Case, vote: Vote) -> Any:
    """Return what the workflow is given: whoever approves an edited version approves that edit."""
    if vote.kind == "approve" and case.version > 1:
        return next(
            each.answer for each in reversed(case.votes) if each.kind == "edit" and each.proposal == case.digest
        )
    return vote.answer


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}" if at else "an unknown time"


def _in_short(answer: Any) -> str:
    decisions = answer.get("decisions") if isinstance(answer, dict) else None
    if isinstance(decisions, list) and all(isinstance(each, dict) for each in decisions):
        return ", ".join(str(each.get("type")) for each in decisions)
    return repr(answer)[:80]
