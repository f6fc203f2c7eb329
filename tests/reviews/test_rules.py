"""The rules of reviews as tables: who may answer, what counts, and what closes."""

from typing import Any

import pytest

from adjourn import DigestMismatch, NotAuthorized, Principal, ReviewClosed, reject
from adjourn.engine.review_case import DEADLINE, Case, Closed, Counted, Escalated, Reminded
from adjourn.engine.review_deadlines import due
from adjourn.engine.review_rules import asked_again, decide, withdrawn
from adjourn.state.policies import DAY, HOUR, ReviewPolicy, Stage
from support.reviewing import ASKED, at, ballot, case_of, person

TWO, THREE = ReviewPolicy(approvals=2), ReviewPolicy(approvals=3)


def run(case: Case, *ballots: Any) -> Case:
    for number, each in enumerate(ballots):
        case, _ = decide(case, each, at(minutes=number + 1))
    return case


@pytest.mark.parametrize("kind", ["approve", "reject", "respond", "value"])
def test_one_answer_closes_a_review_by_default(kind: Any) -> None:
    case, commands = decide(case_of(), ballot("dana", kind, "x"), at(hours=1))
    assert (case.status, case.closed_by, case.closed_at) == ("decided", "dana", at(hours=1))
    assert case.answer == {"type": kind, "want": "x"}
    assert [type(command) for command in commands] == [Counted, Closed]


@pytest.mark.parametrize(
    ("policy", "ballots", "status", "missing"),
    [
        (TWO, [ballot("ann")], "pending", 1),
        (TWO, [ballot("ann"), ballot("ann")], "pending", 1),  # a person counts once
        (TWO, [ballot("ann"), ballot("bob")], "decided", 0),
        (THREE, [ballot("ann"), ballot("bob"), ballot("ann")], "pending", 1),
        (TWO, [ballot("ann"), ballot("bob", "reject")], "decided", 1),
        (TWO, [ballot("ann"), ballot("bob", "respond", "which?")], "decided", 1),
        # an edit is its author's approval, and clears those of the others
        (THREE, [ballot("ann"), ballot("bob"), ballot("eve", "edit", "2")], "pending", 2),
        (TWO, [ballot("ann", "edit", "2"), ballot("bob", shown="edit 2")], "decided", 0),
        (TWO, [ballot("ann"), ballot("bob", "edit", "2"), ballot("ann", shown="edit 2")], "decided", 0),
        (TWO, [ballot("ann", "edit", "2"), ballot("ann", shown="edit 2")], "pending", 1),
        # people may change their minds while it is open
        (ReviewPolicy(approvals=2, reject_approvals=2), [ballot("ann"), ballot("ann", "reject")], "pending", 2),
        (
            ReviewPolicy(approvals=2, reject_approvals=2),
            [ballot("ann", "reject"), ballot("ann"), ballot("bob", "reject")],
            "pending",
            1,
        ),
        (ReviewPolicy(reject_approvals=2), [ballot("ann", "reject"), ballot("bob", "reject")], "decided", 1),
        # plain answers agree or do not
        (TWO, [ballot("ann", "value", "red"), ballot("bob", "value", "blue")], "pending", 1),
        (TWO, [ballot("ann", "value", "red"), ballot("bob", "value", "red")], "decided", 0),
    ],
)
def test_what_counts(policy: ReviewPolicy, ballots: list[Any], status: str, missing: int) -> None:
    case = run(case_of(policy), *ballots)
    assert (case.status, case.missing) == (status, missing)


def test_whoever_approves_an_edited_version_approves_that_edit() -> None:
    case = run(case_of(TWO), ballot("ann", "edit", "2"), ballot("bob", shown="edit 2"))
    assert (case.closed_by, case.answer, case.version) == ("bob", {"type": "edit", "want": "2"}, 2)


def test_an_edit_that_changes_nothing_is_an_approval_and_clears_nobody() -> None:
    same = ballot("bob", "edit", shown=ASKED)
    case = run(case_of(THREE), ballot("ann"), same)
    assert (case.version, case.missing) == (1, 1)


@pytest.mark.parametrize("kind", ["approve", "edit"])
def test_an_edited_version_is_not_approved_unseen(kind: Any) -> None:
    case = run(case_of(THREE), ballot("ann", "edit", "2"))
    for shown in (None, ASKED):
        with pytest.raises(DigestMismatch, match="ann changed it .version 2.*shown='edit 2'"):
            decide(case, ballot("bob", kind, shown=shown), at(hours=1))


def test_what_was_shown_is_held_against_what_is_asked_from_the_first_version_on() -> None:
    with pytest.raises(DigestMismatch, match="not what you were shown"):
        decide(case_of(), ballot("ann", shown="something else"), at(hours=1))


@pytest.mark.parametrize(
    ("policy", "who", "why"),
    [
        (ReviewPolicy(roles=("legal",)), person("ann"), "asks legal, and ann holds no role"),
        (ReviewPolicy(roles=("legal", "hr")), person("ann", "sales"), "asks legal or hr, and ann holds sales"),
        (ReviewPolicy(exclude_requester=True), person("kim"), "kim started this run"),
        (ReviewPolicy(require_authenticated=True), person("ann"), "authenticated people only"),
        (ReviewPolicy(), person("system:deadline"), "a name of adjourn's own"),
    ],
)
def test_who_may_not_answer(policy: ReviewPolicy, who: Principal, why: str) -> None:
    case = case_of(policy)
    with pytest.raises(NotAuthorized, match=why) as caught:
        decide(case, ballot(who), at(hours=1))
    assert caught.value.thread_id == "t"


@pytest.mark.parametrize(
    ("policy", "who"),
    [
        (ReviewPolicy(roles=("legal", "hr")), person("ann", "hr", "sales")),
        (ReviewPolicy(require_authenticated=True), person("ann", source="authenticated")),
        (ReviewPolicy(), person("kim")),
    ],
)
def test_who_may(policy: ReviewPolicy, who: Principal) -> None:
    assert decide(case_of(policy), ballot(who), at(hours=1))[0].status == "decided"


def test_the_same_answer_again_changes_nothing_before_and_after_the_end() -> None:
    one = run(case_of(TWO), ballot("ann"))
    assert decide(one, ballot("ann"), at(hours=1)) == (one, ())
    two = run(one, ballot("bob"))
    for who in ("ann", "bob"):
        assert decide(two, ballot(who), at(hours=2)) == (two, ())


def test_another_answer_to_a_closed_review_learns_who_when_and_what() -> None:
    case = run(case_of(TWO), ballot("ann"), ballot("bob"))
    for late in (ballot("eve"), ballot("ann", "reject")):
        with pytest.raises(ReviewClosed, match="answered by bob at 2026-03-02 12:02:00 UTC") as caught:
            decide(case, late, at(hours=1))
    assert caught.value.outcome is not None
    assert (caught.value.outcome["by"], caught.value.outcome["approved_by"]) == ("bob", ["ann", "bob"])


def test_a_withdrawn_review_takes_nothing() -> None:
    case = withdrawn(case_of(), at(hours=1))
    with pytest.raises(ReviewClosed, match="is withdrawn"):
        decide(case, ballot("ann"), at(hours=2))
    assert due(case, at(days=99)) == (case, ())


STAGES = (Stage(("lead",), deadline=DAY, remind_after=HOUR), Stage(("board",), deadline=7 * DAY))
CHAIN = ReviewPolicy(roles=("legal",), approvals=2, deadline=DAY, remind_after=4 * HOUR, escalate_to=STAGES)


def test_a_fortnights_chain_of_escalations() -> None:
    case = case_of(CHAIN)
    assert due(case, at(hours=3)) == (case, ())
    case, said = due(case, at(hours=4))
    assert said[1:] == (Reminded(("legal",)),)
    assert due(case, at(hours=5)) == (case, ())  # once
    case, _ = decide(case, ballot(person("ann", "legal")), at(hours=6))

    case, said = due(case, at(days=1))
    assert said[1:] == (Escalated(1, ("lead",), at(days=2)),)
    assert (case.stage, case.roles, case.due_at) == (1, ("lead",), at(days=2))
    with pytest.raises(NotAuthorized, match="asks lead since it was escalated"):
        decide(case, ballot(person("bob", "legal")), at(days=1, hours=1))
    # nobody swept for three days: the board has its week all the same
    case, _ = due(case, at(days=5))
    assert (case.stage, case.due_at) == (2, at(days=12))
    case, _ = decide(case, ballot(person("eve", "board")), at(days=14))  # late, but before any sweep
    assert (case.status, [vote.by for vote in case.counting("approve")]) == ("decided", ["ann", "eve"])


def test_the_end_of_the_chain_fails_closed() -> None:
    case = case_of(CHAIN)
    for days in (1, 2, 9):
        case, said = due(case, at(days=days))
    assert (case.status, case.closed_by, case.answer) == ("expired", "system:deadline", None)
    assert said[1:] == (Closed("expired", "system:deadline"),)
    with pytest.raises(ReviewClosed, match="deadline .* passed.*nobody had answered"):
        decide(case, ballot(person("eve", "board")), at(days=10))


def test_a_default_decision_stands_for_people_whatever_they_have_said() -> None:
    policy = ReviewPolicy(approvals=2, deadline=HOUR, on_deadline=reject("nobody looked"))
    case, _ = decide(case_of(policy), ballot("ann"), at(minutes=1))
    case, _ = due(case, at(hours=1), ballot(DEADLINE, "reject", "nobody looked"))
    assert (case.status, case.closed_by, case.answer["type"]) == ("decided", "system:deadline", "reject")


def test_a_default_decision_that_does_not_fit_fails_closed() -> None:
    policy = ReviewPolicy(deadline=HOUR, on_deadline=reject("nobody looked"))
    assert due(case_of(policy), at(hours=1), None)[0].status == "expired"


def test_a_review_without_a_deadline_waits_for_ever() -> None:
    assert due(case_of(), at(days=36500)) == (case_of(), ())


def test_an_expired_review_that_is_asked_again_begins_anew() -> None:
    case = case_of(CHAIN)
    case, _ = decide(case, ballot(person("ann", "legal")), at(hours=1))
    for days in (1, 2, 9):
        case, _ = due(case, at(days=days))
    again = asked_again(case, at(days=20))
    assert (again.status, again.stage, again.due_at, again.missing) == ("pending", 0, at(days=21), 2)
    # what ann said the first time is no repetition now
    again, _ = decide(again, ballot(person("ann", "legal")), at(days=20, hours=1))
    assert again.missing == 1
