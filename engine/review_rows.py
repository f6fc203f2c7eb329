"""Reviews and decisions between rows and what the rules and people see; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.types import Interrupt

from ..errors import InvalidDecision
from ..state.decisions import Decision
from ..state.policies import DefaultValue, policy_from
from .answers import check_answer
from .delivery import only_decision
from .model import Principal, Review, Vote, VoteKind
from .questions import BREAKPOINT, breakpoint_review, is_action_request, review_of, shown_digest, with_args
from .review_case import DEADLINE, Ballot, Case, Closed

__all__ = ["Asked", "ReviewRows", "ballot_for", "default_ballot"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A review as it is stored.

    Args:
        review: As people see it.
        case: As the rules see it.
        question: What the workflow asked with.
        numbers: The keys of its decisions, in the order of `case.votes`.
    """

    review: Review
    case: Case
    question: Any
    numbers: tuple[int, ...]

    def cleared_by(self, after: Case) -> list[int]:
        """Return the keys of the decisions that a rule made not count any more."""
        pairs = zip(self.numbers, self.case.votes, after.votes, strict=False)
        return [number for number, before, then in pairs if before.counts and not then.counts]


def ballot_for(asked: Asked, given: Any, who: Principal, *, channel: str, shown: str | None = None) -> Ballot:
    """Hold what somebody sends against the question in its current version.

    Args:
        asked: The review.
        given: What they send, in any accepted shape.
        who: Who.
        channel: Through which door.
        shown: The digest of what they say they saw.

    Raises:
        InvalidDecision: It does not fit; the message says what would.
    """
    answer = check_answer(asked.review, given)
    proposal = asked.case.digest
    if answer.args is not None:
        proposal = shown_digest(with_args(asked.question, answer.args))
    elif answer.kind == "value":
        proposal = answer.digest
    return Ballot(who, answer.kind, answer.value, answer.digest, proposal, shown, channel, answer.message)


def default_ballot(asked: Asked) -> Ballot | None:
    """Return the decision that the policy states for the present deadline; None where it states none that fits."""
    stated = asked.case.policy.at_deadline(asked.case.stage)
    if isinstance(stated, str):
        return None
    given: Any = stated.value if isinstance(stated, DefaultValue) else stated
    if isinstance(given, Decision) and is_action_request(asked.question):
        given = [given] * len(asked.question["action_requests"])
    try:
        return ballot_for(asked, given, DEADLINE, channel="deadline", shown=asked.case.digest)
    except InvalidDecision:
        return None


class ReviewRows:
    """Reads rows.

    Args:
        serde: Serialises questions and answers.
    """

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde

    def dump(self, value: Any) -> tuple[str, bytes]:
        """Serialise an answer."""
        return self._serde.dumps_typed(value)

    def load(self, kind: str, data: bytes) -> Any:
        """Read a question or an answer."""
        return self._serde.loads_typed((kind, data))

    def columns(
        self, asked: Asked, after: Case, vote: Vote, closed: Closed | None = None, *, reopened: bool = False
    ) -> dict[str, Any]:
        """Return what `adjourn.record_decision` takes: a decision, and its review as a rule left it.

        Args:
            asked: The review before.
            after: The review then.
            vote: The decision.
            closed: That it closed the review.
            reopened: Whether the review is asked again, so that no decision before counts.
        """
        return {**self._vote_columns(vote, closed), **_review_columns(asked, after, reopened=reopened)}

    def _vote_columns(self, vote: Vote, closed: Closed | None) -> dict[str, Any]:
        kind, data = self.dump(vote.answer)
        outcome: tuple[str | None, bytes | None] = (None, None)
        if closed is not None and closed.answer != vote.answer:
            outcome = self.dump(closed.answer)
        return {
            "decided_by": vote.by,
            "source": vote.source,
            "held": list(vote.roles),
            "channel": vote.channel,
            "kind": vote.kind,
            "answer_type": kind,
            "answer": data,
            "answer_digest": vote.answer_digest,
            "shown": vote.shown,
            "proposal": vote.proposal,
            "decided_version": vote.version,
            "counts": vote.counts,
            "final": closed is not None and closed.status == "decided",
            "outcome_type": outcome[0],
            "outcome": outcome[1],
            "at": vote.at,
        }

    def all(
        self, rows: Iterable[Mapping[str, Any]], votes: Iterable[Mapping[str, Any]], **more: Any
    ) -> dict[str, Asked]:
        """Return reviews of one thread by id, in the order of their rows.

        Args:
            rows: Their rows.
            votes: The rows of all their decisions, in order.
            **more: Columns that all rows have in common and lack.
        """
        by_review: dict[str, list[Mapping[str, Any]]] = {}
        for vote in votes:
            by_review.setdefault(vote["review_id"], []).append(vote)
        return {row["review_id"]: self.one({**more, **row}, by_review.get(row["review_id"], ())) for row in rows}

    def one(self, row: Mapping[str, Any], votes: Sequence[Mapping[str, Any]]) -> Asked:
        """Return a review from its row, with `requested_by` of its run, and those of its decisions."""
        stored = self.load(row["question_type"], row["question"])
        question, policy = stored["value"], policy_from(stored.get("policy") or {})
        asked_digest = shown_digest(question)
        current = row["digest"] or asked_digest
        case = Case(
            thread_id=row["thread_id"],
            review_id=row["review_id"],
            policy=policy,
            requested_by=row["requested_by"],
            asked_digest=asked_digest,
            digest=current,
            version=row["version"],
            status=row["status"],
            stage=row["stage"],
            due_at=row["due_at"],
            remind_at=row["remind_at"],
            votes=tuple(self.vote(vote, current) for vote in votes),
        )
        case = self._closed(case, row["closed_at"], votes)
        review = self._review(row, stored, case)
        return Asked(review, case, question, tuple(vote["number"] for vote in votes))

    def vote(self, row: Mapping[str, Any], shown: str) -> Vote:
        """Return a decision from its row; one from before digests were kept was about what is shown now."""
        answer = self.load(row["answer_type"], row["answer"])
        decision = only_decision(answer)
        kind = row["kind"] or decision.get("type") or "value"
        return Vote(
            by=row["decided_by"],
            kind=cast("VoteKind", kind),
            at=row["decided_at"],
            answer=answer,
            answer_digest=row["answer_digest"],
            shown=row["shown"] or shown,
            proposal=row["proposal"] or shown,
            version=row["version"],
            counts=row["counts"],
            source=row["source"],
            channel=row["channel"],
            roles=tuple(row["roles"]),
            message=decision.get("message"),
        )

    def _closed(self, case: Case, at: datetime | None, votes: Sequence[Mapping[str, Any]]) -> Case:
        if case.status == "expired":
            return replace(case, closed_by=DEADLINE.id, closed_at=at)
        final = next((vote for vote in votes if vote["final"]), None)
        if final is None:
            return replace(case, closed_at=at)
        kind = final["outcome_type"] or final["answer_type"]
        answer = self.load(kind, final["outcome"] or final["answer"])
        return replace(case, closed_by=final["decided_by"], closed_at=final["decided_at"], answer=answer)

    def _review(self, row: Mapping[str, Any], stored: dict[str, Any], case: Case) -> Review:
        if case.review_id.startswith(BREAKPOINT) and not is_action_request(stored["value"]):
            review = breakpoint_review(row["checkpoint_id"], stored["value"], case.thread_id, row["workflow"])
        else:
            interrupt = Interrupt(value=stored["value"], id=case.review_id, response_schema=stored["response_schema"])
            review = review_of(interrupt, case.thread_id, row["workflow"], case.policy)
        edits = (vote.answer for vote in reversed(case.votes) if vote.kind == "edit" and vote.proposal == case.digest)
        edited = next(edits, None) if case.version > 1 else None
        args = only_decision(edited)["edited_action"]["args"] if edited is not None else review.args
        return replace(
            review,
            args=args,
            status=case.status,
            policy=case.policy,
            requested_by=case.requested_by,
            roles=case.roles,
            stage=case.stage,
            version=case.version,
            digest=case.digest,
            asked_at=row["created_at"],
            due_at=case.due_at,
            overdue=bool(row.get("overdue")) and case.status == "pending",
            votes=case.votes,
            missing=case.missing,
            closed_by=case.closed_by,
            closed_at=case.closed_at,
        )


def _review_columns(asked: Asked, after: Case, *, reopened: bool) -> dict[str, Any]:
    return {
        "thread_id": after.thread_id,
        "review_id": after.review_id,
        "status": after.status,
        "closed_at": after.closed_at,
        "roles": list(after.roles),
        "stage": after.stage,
        "due_at": after.due_at,
        "remind_at": after.remind_at,
        "fails_closed": after.due_at is not None and after.fails_closed,
        "version": after.version,
        "digest": after.digest,
        "cleared": list(asked.numbers) if reopened else asked.cleared_by(after),
        "reopened": reopened,
    }
