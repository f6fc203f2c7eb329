"""Reviews, people and ballots for the tests of the rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

from adjourn import Principal
from adjourn.engine.review_case import Ballot, Case
from adjourn.engine.review_rules import asked
from adjourn.state.policies import ReviewPolicy

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ASKED = "digest of the question"


def person(name: str, *roles: str, **more: Any) -> Principal:
    return Principal(name, frozenset(roles), **more)


def case_of(policy: ReviewPolicy | None = None, *, requested_by: str = "kim") -> Case:
    return asked("t", "r", policy or ReviewPolicy(), requested_by, ASKED, NOON)


def at(**later: float) -> datetime:
    return NOON + timedelta(**later)


def ballot(who: Principal | str, kind: Any = "approve", want: str | None = None, shown: str | None = None) -> Ballot:
    """What somebody sends; for an edit or a value `want` names the new version, or the value."""
    who = person(who) if isinstance(who, str) else who
    proposal = f"{kind} {want}" if want is not None else (shown or ASKED)
    answer = {"type": kind, "want": want}
    return Ballot(who, kind, answer, f"digest of {kind} {want}", proposal, shown)
