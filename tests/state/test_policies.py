"""Policies: data that travels with the question, and mistakes that are told before anybody is asked."""

from typing import Any

import pytest

from adjourn import ConfigurationError, approve, reject, respond
from adjourn.state.policies import DAY, HOUR, DefaultValue, ReviewPolicy, Stage, policy_from, policy_json

HEAD = Stage(roles=("head",), deadline=DAY)


@pytest.mark.parametrize(
    "policy",
    [
        ReviewPolicy(),
        ReviewPolicy(allowed=("approve", "reject"), roles=("legal", "sales"), approvals=3, reject_approvals=2),
        ReviewPolicy(exclude_requester=True, require_authenticated=True, priority=-5),
        ReviewPolicy(deadline=HOUR, remind_after=60, on_deadline=reject("nobody looked")),
        ReviewPolicy(deadline=HOUR, on_deadline=DefaultValue({"colour": "red"})),
        ReviewPolicy(deadline=HOUR, escalate_to=(HEAD, Stage(roles=("board",), deadline=1, on_deadline=respond("x")))),
        ReviewPolicy(edit_schema={"type": "object"}),
    ],
)
def test_a_policy_survives_its_journey_as_json(policy: ReviewPolicy) -> None:
    assert policy_from(policy_json(policy)) == policy


def test_what_is_as_always_need_not_travel() -> None:
    assert policy_json(ReviewPolicy()) == {}
    assert policy_json(ReviewPolicy(approvals=2)) == {"approvals": 2}


def test_the_words_of_the_original_descriptions_are_taken_too() -> None:
    assert policy_from({"allowed": ["modify", "request_more_info"]}).allowed == ("edit", "respond")


@pytest.mark.parametrize(
    ("policy", "stage", "does"),
    [
        (ReviewPolicy(deadline=1), 0, "fail"),
        (ReviewPolicy(deadline=1, escalate_to=(HEAD,)), 0, "escalate"),
        (ReviewPolicy(deadline=1, escalate_to=(HEAD,)), 1, "fail"),
        (ReviewPolicy(deadline=1, on_deadline=approve("as agreed")), 0, approve("as agreed")),
    ],
)
def test_what_a_deadline_does_is_never_an_approval_unless_it_says_so(
    policy: ReviewPolicy, stage: int, does: Any
) -> None:
    assert policy.at_deadline(stage) == does


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"aprovals": 2}, "'aprovals', which means nothing; it takes allowed, roles, approvals"),
        ({"approvals": 0}, "approvals is a whole number from 1"),
        ({"approvals": True}, "approvals is a whole number"),
        ({"allowed": []}, "allowed takes some of approve, edit"),
        ({"allowed": ["accept"]}, "allowed takes some of"),
        ({"roles": "legal"}, r"such as \('legal',\)"),
        ({"roles": [""]}, "1-200 printable characters"),
        ({"roles": ["a\x1fb"]}, "1-200 printable characters"),
        ({"exclude_requester": "yes"}, "True or False"),
        ({"deadline": 0}, "more than 0"),
        ({"deadline": float("inf")}, "number of seconds"),
        ({"deadline": 1e12}, "at most a century"),
        ({"deadline": 60, "remind_after": 60}, "must come before the deadline"),
        ({"on_deadline": "fail"}, "needs a deadline"),
        ({"deadline": 60, "on_deadline": "approve"}, "takes 'fail', 'escalate', a decision"),
        ({"deadline": 60, "on_deadline": {"type": "accept"}}, "has the decision 'accept'"),
        ({"deadline": 60, "on_deadline": {"typ": "approve"}}, "on_deadline takes"),
        ({"deadline": 60, "on_deadline": "escalate"}, "nobody to escalate to"),
        ({"escalate_to": [{"roles": ["head"]}]}, "never escalates"),
        ({"deadline": 60, "on_deadline": "fail", "escalate_to": [{"roles": ["head"]}]}, "never escalates"),
        ({"deadline": 60, "escalate_to": [{"roles": []}]}, "names whom to ask"),
        ({"deadline": 60, "escalate_to": "head"}, "a list of stages"),
        ({"edit_schema": {"type": "thing"}}, "no JSON Schema"),
        ({"priority": 1.5}, "priority is a whole number"),
        ([], "a list; it takes a dictionary"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_with_what_would(data: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        policy_from(data)


@pytest.mark.parametrize(
    ("policy", "needs"),
    [
        (ReviewPolicy(), False),
        (ReviewPolicy(allowed=("approve",), deadline=HOUR, priority=3), False),
        (ReviewPolicy(roles=("legal",)), True),
        (ReviewPolicy(approvals=2), True),
        (ReviewPolicy(reject_approvals=2), True),
        (ReviewPolicy(exclude_requester=True), True),
        (ReviewPolicy(require_authenticated=True), True),
    ],
)
def test_whether_one_answer_by_anybody_is_enough(policy: ReviewPolicy, needs: bool) -> None:
    assert policy.needs_more_than_one_approval is needs
