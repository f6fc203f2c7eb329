"""A policy in words: who may answer, how many must agree, until when, and what happens then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .text import duration, one_line, shortened, span, timestamp

if TYPE_CHECKING:
    from ..engine import Review
    from ..state.policies import OnDeadline

__all__ = ["approvals", "policy_words", "time_left"]

_SAID = 60


def policy_words(review: Review, now: datetime) -> dict[str, str]:
    """Return what a review's policy says, as sentences by what they are about.

    Args:
        review: The review; what is said holds for the stage that it is in.
        now: The time now (aware).
    """
    policy, stage = review.policy, review.policy.stage(review.stage)
    words = {"who": _who(review), "how many": _how_many(review)}
    if review.due_at is not None and review.status == "pending":
        words["until"] = f"{timestamp(review.due_at)}, {time_left(review, now)}"
        words["then"] = _chain(review)
    elif review.status == "pending":
        words["until"] = "no deadline"
    if stage.remind_after is not None and review.status == "pending":
        words["reminder"] = f"{duration(stage.remind_after)} after they were asked"
    if policy.priority:
        words["priority"] = str(policy.priority)
    return words


def approvals(review: Review) -> str:
    """Return how far it is, such as `1 of 3`."""
    needed = review.policy.approvals
    return f"{needed - review.missing} of {needed}"


def time_left(review: Review, now: datetime) -> str:
    """Return how long people still have, such as `3 h left`; nothing without a deadline.

    Args:
        review: The review.
        now: The time now (aware).
    """
    if review.due_at is None:
        return ""
    if review.overdue or review.due_at <= now:
        return f"overdue {span(now - review.due_at)}"
    seconds = (review.due_at - now).total_seconds()
    return f"{duration(seconds) if seconds >= 60 else span(review.due_at - now)} left"


def _who(review: Review) -> str:
    policy = review.policy
    who = f"people with the role {_either(review.roles)}" if review.roles else "anybody"
    if policy.exclude_requester:
        who += f" but {one_line(review.requested_by)}, who started the run"
    if policy.require_authenticated:
        who += "; authenticated, a name that is only given is not enough"
    return who


def _how_many(review: Review) -> str:
    policy = review.policy
    if policy.approvals == 1 and policy.reject_approvals == 1:
        return "one answer is enough"
    about = "approve the same version" if review.action is not None else "give the same answer"
    words = f"{_people(policy.approvals)} must {about}"
    if review.action is None:
        return words
    return f"{words}; {_people(policy.reject_approvals)} must reject"


def _people(count: int) -> str:
    return "one person" if count == 1 else f"{count} different people"


def _chain(review: Review) -> str:
    """Say what the deadline does, and those behind it."""
    policy, steps = review.policy, list[str]()
    for number in range(review.stage, len(policy.escalate_to) + 1):
        stated = policy.at_deadline(number)
        if stated != "escalate":
            last = "" if policy.stage(number).deadline is None else _at_last(stated)
            return ", then ".join([*steps, last] if last else steps)
        stage = policy.stage(number + 1)
        time = f" ({duration(stage.deadline)})" if stage.deadline is not None else " (no deadline)"
        steps.append(f"{_either(stage.roles)} is asked{time}")
    return ", then ".join(steps)


def _at_last(stated: OnDeadline) -> str:
    if stated == "fail":
        return "the run fails"
    answer: Any = stated
    if hasattr(answer, "kind"):
        said = answer.message or answer.args
        return f"the answer is {answer.kind}{f': {shortened(str(said), _SAID)}' if said else ''}, given by the deadline"
    return f"the answer is {shortened(repr(answer.value), _SAID)}, given by the deadline"


def _either(roles: tuple[str, ...]) -> str:
    return " or ".join(one_line(role) for role in roles)
