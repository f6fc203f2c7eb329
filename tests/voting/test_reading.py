"""What agents answer becomes a vote, or an abstention with its cause; never a guess."""

import enum
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import BaseModel

from adjourn.errors import InvalidInput
from adjourn.nodes.voting import abstention, read_vote
from adjourn.nodes.voting.reading import MAX_CHARACTERS
from adjourn.state.values import json_problem

OPTIONS = ["ship", "wait", "stop"]
# how a decision arrives when it is nearly right; none of them is taken
NEARLY = ["Ship", " ship", "ship.", "I would ship", "shi", "", "ship or wait", "{'decision': 'ship'}"]


def read(raw, options=OPTIONS):
    return read_vote(raw, agent="ada", options=options)


class Choice(enum.StrEnum):
    ship = "ship"


class Structured(BaseModel):
    decision: Choice
    confidence: float
    reason: str


def test_a_mapping_a_model_object_and_json_text_make_the_same_vote():
    answer = {"decision": "ship", "confidence": 0.8, "reason": "All tests pass."}
    expected = {**answer, "agent": "ada", "ranking": None, "weight": 1.0, "abstained": None}
    text = json.dumps(answer)
    for raw in (
        answer,
        Structured(**answer),
        text,
        text.encode(),
        f"  {text}\n",
        f"```json\n{text}\n```",
        f"```\n{text}\n```",
    ):
        assert read(raw) == expected
        assert type(read(raw)["decision"]) is str


def test_a_vote_may_come_without_confidence_and_reason():
    assert (read({"decision": "wait"})["confidence"], read({"decision": "wait"})["reason"]) == (None, "")


def test_what_an_answer_says_about_its_own_weight_and_name_is_not_read():
    vote = read({"decision": "ship", "weight": 1000, "agent": "eve", "abstained": "no"})
    assert (vote["agent"], vote["weight"], vote["abstained"]) == ("ada", 1.0, None)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (None, "gave no answer"),
        ("", "the answer is empty"),
        ("I think we should ship.", "is not JSON"),
        ('{"decision": "ship"', "is not JSON"),
        ('{"decision": "ship"} {"decision": "wait"}', "is not JSON"),
        ('{"decision": "ship", "decision": "wait"}', "says decision more than once"),
        ('{"decision": "ship", "confidence": NaN}', "holds NaN"),
        ('{"decision": "ship", "confidence": 1e999}', "confidence inf is not between"),
        ('{"decision": "ship", "confidence": ' + "9" * 5000 + "}", "is not JSON"),
        ("[" * 50_000, "is not JSON"),
        ('"ship"', "is a str, not an object"),
        (b"\xff", "is not UTF-8"),
        (["ship"], "is a list, not an object"),
        (object(), "is a object, not an object with a decision"),
        ({}, "neither a decision nor a ranking"),
        ({"Decision": "ship"}, "neither a decision nor a ranking"),
        ({"decision": "sell"}, "the decision sell is not one of the options: ship, wait, stop"),
        ({"decision": ["ship"]}, "is not one of the options"),
        ({"decision": 1}, "is not one of the options"),
        ({"decision": "\ud800"}, "is not one of the options"),
        ({"decision": None}, "chose to abstain"),
        ({"decision": "ship", "confidence": float("nan")}, "confidence nan is not between 0 and 1"),
        ({"decision": "ship", "confidence": 1.01}, "confidence 1.01 is not between 0 and 1"),
        ({"decision": "ship", "confidence": -0.1}, "is not between 0 and 1"),
        ({"decision": "ship", "confidence": 10**5000}, "is not between 0 and 1"),
        ({"decision": "ship", "confidence": "0.9"}, "confidence 0.9 is not a number"),
        ({"decision": "ship", "confidence": True}, "is not a number"),
        ({"decision": "ship", "reason": ["because"]}, "the reason is a list, not text"),
        ({"decision": "ship", "reason": "\x00"}, "contains the character U+0000"),
        ({"decision": "ship", "reason": "x" * (MAX_CHARACTERS + 1)}, "are read at most"),
        ("x" * 10_000_000, "has 10000000 characters; 100000 are read at most"),
        ({"ranking": "ship > wait"}, "is not a list of options"),
        ({"ranking": []}, "is not a list of options"),
        ({"ranking": [[]]}, "a place without an option"),
        ({"ranking": ["ship", "sell"]}, "holds sell, which is not one of the options"),
        ({"ranking": ["ship", ["wait", "ship"]]}, "names ship more than once"),
        ({"decision": "wait", "ranking": ["ship", "wait"]}, "the decision is wait, but the ranking puts ship first"),
        ({"decision": "ship", "ranking": [["ship", "wait"]]}, "the ranking puts ship and wait first"),
    ],
)  # fmt: skip
def test_what_is_no_vote_is_an_abstention_with_its_cause(raw, cause):
    vote = read(raw)
    assert (vote["decision"], vote["ranking"], vote["confidence"]) == (None, None, None)
    assert cause in vote["abstained"]
    assert len(vote["abstained"]) < 300


@pytest.mark.parametrize("decision", NEARLY)
def test_a_decision_that_is_nearly_an_option_is_not_guessed(decision):
    assert read({"decision": decision})["abstained"]


def test_who_abstains_may_say_why():
    vote = read({"decision": None, "reason": "I know nothing about this."})
    assert (vote["abstained"], vote["reason"]) == ("chose to abstain", "I know nothing about this.")


def test_a_ranking_is_completed_and_gives_the_decision():
    vote = read({"ranking": ["wait"]})
    assert (vote["decision"], vote["ranking"]) == ("wait", [["wait"], ["ship", "stop"]])
    assert read({"ranking": [["stop", "ship"], "wait"]})["ranking"] == [["ship", "stop"], ["wait"]]
    assert read({"ranking": [["stop", "ship"], "wait"]})["decision"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [("ship", "list of names"), (["ship"], "two options or more"), (["a", "a", "b"], "'a' is there more than once"),
     (["a", ""], "list of names"), (["a", 1], "list of names"), ([], "two options or more")],
)  # fmt: skip
def test_options_that_are_no_closed_set_are_refused(options, says):
    with pytest.raises(InvalidInput, match=says):
        read({"decision": "a"}, options)


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.sampled_from(OPTIONS),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(some.sampled_from(["decision", "ranking", "confidence", "reason", "other"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(ANYTHING)
def test_any_answer_becomes_a_json_safe_vote_over_the_options_or_an_abstention(raw):
    for answer in (raw, json.dumps(raw)):
        vote = read(answer)
        assert json_problem(vote) is None
        if vote["abstained"] is None:
            assert vote["decision"] in OPTIONS or vote["ranking"]
        else:
            assert vote["decision"] is None
            assert vote["ranking"] is None


def test_an_abstention_says_who_and_why():
    vote = abstention("ada", "no answer within 30 s", weight=2.0)
    assert (vote["agent"], vote["abstained"], vote["weight"]) == ("ada", "no answer within 30 s", 2.0)
