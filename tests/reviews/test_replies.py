"""Golden tests: every shape in which existing interfaces answer becomes one form, before anything is stored."""

from typing import Any

import pytest
from langgraph.types import Interrupt

from adjourn import InvalidDecision, approve, edit, reject, respond
from adjourn.engine.answers import check_answer
from adjourn.engine.model import Review
from adjourn.engine.questions import review_of
from adjourn.state.policies import ReviewPolicy
from adjourn.state.questions import question

KINDS: Any = ("approve", "edit", "reject", "respond")
PAY = question("pay", {"amount": 10, "to": "bob"}, "Pay?", allowed=KINDS)
BOTH = {
    "action_requests": [{"name": "pay", "args": {"amount": 10}}, {"name": "mail", "args": {"to": "bob"}}],
    "review_configs": [
        {"action_name": "pay", "allowed_decisions": ["approve", "reject"]},
        {"action_name": "mail", "allowed_decisions": ["approve", "edit", "reject"]},
    ],
}
TOOL = {"type": "tool_approval", "tool_call_id": "c1", "name": "pay", "args": {"amount": 10}, "description": "Pay?"}
APPROVED, REJECTED = {"type": "approve"}, {"type": "reject"}
SEVEN = {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 7, "to": "bob"}}}


def asking(value: Any, policy: ReviewPolicy | None = None) -> Review:
    return review_of(Interrupt(value=value, id="r"), "t", "w", policy or ReviewPolicy())


@pytest.mark.parametrize(
    ("given", "stored", "kind"),
    [
        # ours
        (approve(), APPROVED, "approve"),
        (approve("fine"), {"type": "approve", "message": "fine"}, "approve"),
        (edit({"amount": 7}), SEVEN, "edit"),
        (reject("no"), {"type": "reject", "message": "no"}, "reject"),
        (respond("which?"), {"type": "respond", "message": "which?"}, "respond"),
        # LangChain: a decision alone, and in a HITLResponse
        ({"type": "approve"}, APPROVED, "approve"),
        (SEVEN, SEVEN, "edit"),
        ({"decisions": [{"type": "reject", "message": "no"}]}, {"type": "reject", "message": "no"}, "reject"),
        ([{"type": "approve"}], APPROVED, "approve"),
        # Agent Inbox, as it was before
        ([{"type": "accept", "args": None}], APPROVED, "approve"),
        ([{"type": "ignore", "args": None}], REJECTED, "reject"),
        ([{"type": "response", "args": "which?"}], {"type": "respond", "message": "which?"}, "respond"),
        ([{"type": "edit", "args": {"action": "pay", "args": {"amount": 7, "to": "bob"}}}], SEVEN, "edit"),
        ({"type": "accept"}, APPROVED, "approve"),
        # a word, or yes and no
        ("approve", APPROVED, "approve"),
        (True, APPROVED, "approve"),
        (False, REJECTED, "reject"),
        ({"decisions": [True]}, APPROVED, "approve"),
        # the words of the original descriptions
        ({"type": "modify", "args": {"amount": 7}}, SEVEN, "edit"),
        ({"type": "request_more_info", "message": "which?"}, {"type": "respond", "message": "which?"}, "respond"),
    ],
)
def test_an_answer_about_one_action(given: Any, stored: Any, kind: str) -> None:
    answer = check_answer(asking(PAY), given)
    assert (answer.value, answer.kind) == ({"decisions": [stored]}, kind)
    assert answer.args == (stored["edited_action"]["args"] if kind == "edit" else None)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"type": "approve"}, APPROVED),
        ({"decisions": [{"type": "approve"}]}, APPROVED),
        ([{"type": "accept"}], APPROVED),
        (False, REJECTED),
    ],
)
def test_an_answer_about_one_call_of_a_tool(given: Any, stored: Any) -> None:
    assert check_answer(asking(TOOL), given).value == stored


@pytest.mark.parametrize(
    ("given", "stored", "kind"),
    [
        (True, [APPROVED, APPROVED], "approve"),
        ([True, False], [APPROVED, REJECTED], "value"),
        ({"decisions": [{"type": "reject"}, {"type": "reject"}]}, [REJECTED, REJECTED], "reject"),
        (
            [{"type": "accept"}, {"type": "edit", "args": {"to": "eve"}}],
            [APPROVED, {"type": "edit", "edited_action": {"name": "mail", "args": {"to": "eve"}}}],
            "value",
        ),
    ],
)
def test_an_answer_about_two_actions_at_once(given: Any, stored: Any, kind: str) -> None:
    answer = check_answer(asking(BOTH), given)
    assert (answer.value, answer.kind) == ({"decisions": stored}, kind)


@pytest.mark.parametrize("given", [True, [], [{"type": "accept"}], "approve", {"decisions": [1]}, None, 3.5])
def test_a_question_for_a_plain_value_takes_everything_as_it_is(given: Any) -> None:
    answer = check_answer(asking("Which colour?"), given)
    assert (answer.value, answer.kind) == (given, "value")


@pytest.mark.parametrize(
    ("value", "given", "message"),
    [
        (PAY, [], "0 decisions were given for one action"),
        (PAY, [True, True], "2 decisions were given for one action"),
        (PAY, None, "a NoneType is not a decision"),
        (PAY, [7], "a int is not a decision"),
        (PAY, [{"type": "maybe"}], "'maybe' is no decision"),
        (PAY, [{"type": "response", "args": {"text": "x"}}], "takes the text"),
        (PAY, [{"type": "edit", "args": "more"}], "names the changed arguments"),
        (PAY, {"type": "edit", "edited_action": {"name": "pay"}}, "names the changed arguments"),
        (PAY, edit({"sum": 1}), "no argument 'sum'"),
        (BOTH, approve(), "takes a list of 2 decisions"),
        (BOTH, [True], "1 decisions were given for 2 actions"),
        (BOTH, [respond("x"), approve()], "respond is not allowed here. Possible: approve, reject"),
    ],
)
def test_what_fits_no_question_is_refused(value: Any, given: Any, message: str) -> None:
    with pytest.raises(InvalidDecision, match=message):
        check_answer(asking(value), given)


def test_a_policy_narrows_what_may_be_answered() -> None:
    review = asking(PAY, ReviewPolicy(allowed=("approve", "reject")))
    assert review.allowed == ("approve", "reject")
    with pytest.raises(InvalidDecision, match="edit is not allowed here. Possible: approve, reject"):
        check_answer(review, edit({"amount": 7}))


def test_a_policy_says_what_an_edit_must_fit() -> None:
    small = {"type": "object", "properties": {"amount": {"maximum": 9}}, "additionalProperties": False}
    review = asking(PAY, ReviewPolicy(edit_schema=small))
    with pytest.raises(InvalidDecision, match="amount: 70 is greater than the maximum of 9"):
        check_answer(review, edit({"amount": 70}))
    assert check_answer(review, edit({"amount": 7})).args == {"amount": 7, "to": "bob"}


def test_the_name_of_an_argument_is_not_taken_for_the_older_inboxs_form() -> None:
    value = question("do", {"action": "x", "args": {}}, "Do?", allowed=KINDS)
    answer = check_answer(asking(value), [{"type": "edit", "args": {"action": "y", "args": {"a": 1}}}])
    assert answer.args == {"action": "y", "args": {"a": 1}}
