"""Each rule by itself: who wins, the level, ties, and what is refused."""

import math

import pytest

from adjourn.errors import InvalidInput
from adjourn.nodes.voting import RULES, abstention, agreed, decide, read_vote
from adjourn.state.values import json_problem
from support.voting import votes_for

AB, ABC = ["a", "b"], ["a", "b", "c"]


def weights_of(*weights):
    return {f"a{index}": weight for index, weight in enumerate(weights)}


def test_plurality_takes_the_largest_group_and_its_share_is_the_level():
    outcome = decide("plurality", votes_for("aabca", ABC), options=ABC)
    assert (outcome["decision"], outcome["level"]) == ("a", 3 / 5)
    assert outcome["tally"] == {"a": 3, "b": 1, "c": 1}
    assert [each["agent"] for each in outcome["dissent"]] == ["a2", "a3"]


def test_confidence_is_kept_but_never_counted():
    loud = [
        read_vote({"decision": d, "confidence": c}, agent=d, options=ABC) for d, c in zip("abc", (0, 1, 1), strict=True)
    ]
    quiet = [read_vote({"decision": "a", "confidence": 0.01}, agent="z", options=ABC)]
    assert decide("plurality", loud + quiet, options=ABC)["decision"] == "a"


@pytest.mark.parametrize("rule", ["plurality", "weighted", "unanimous", "ranked"])
def test_a_tie_is_no_decision(rule):
    outcome = decide(rule, votes_for("abab", AB), options=AB)
    assert (outcome["decision"], outcome["level"], outcome["tied"]) == (None, 0.5, ["a", "b"])
    assert outcome["dissent"] == []
    assert not agreed(outcome, 0.5)


def test_the_option_given_beforehand_wins_the_ties_it_has_part_in_and_no_others():
    tie = votes_for("abab", ABC)
    outcome = decide("plurality", tie, options=ABC, on_tie="b")
    assert (outcome["decision"], [each["agent"] for each in outcome["dissent"]]) == ("b", ["a0", "a2"])
    assert "wins ties by the rule given beforehand" in outcome["why"]
    assert decide("plurality", tie, options=ABC, on_tie="c")["decision"] is None
    assert decide("plurality", votes_for("aab", ABC), options=ABC, on_tie="b")["decision"] == "a"


def test_weights_that_are_equal_on_paper_are_a_tie():
    votes = votes_for("aab", AB)
    assert decide("weighted", votes, options=AB, weights=weights_of(0.1, 0.2, 0.3))["decision"] is None
    assert decide("weighted", votes, options=AB, weights=weights_of(0.1, 0.2, 0.29))["decision"] == "a"


def test_the_level_of_seven_tenths_reaches_a_threshold_of_seven_tenths():
    votes = votes_for("aaaaaaabbb", AB)
    assert agreed(decide("weighted", votes, options=AB, weights=weights_of(*[0.1] * 10)), 0.7)
    assert not agreed(decide("weighted", votes, options=AB, weights=weights_of(*[0.1] * 9, 0.11)), 0.7)


def test_weights_come_from_the_votes_or_from_the_caller():
    votes = [read_vote({"decision": d}, agent=d, options=AB, weight=w) for d, w in (("a", 1), ("b", 3))]
    assert decide("weighted", votes, options=AB)["level"] == 3 / 4
    assert decide("weighted", votes, options=AB, weights={"a": 5, "b": 3})["decision"] == "a"


def test_a_weight_of_nothing_decides_nothing():
    votes = [read_vote({"decision": "a"}, agent="x", options=AB), abstention("y", "too slow")]
    outcome = decide("weighted", votes, options=AB, weights={"x": 0, "y": 1})
    assert (outcome["decision"], outcome["level"]) == (None, 0.0)


def test_log_odds_weighs_by_accuracy():
    outcome = decide("log_odds", votes_for("abb", AB), options=AB, accuracies=weights_of(0.95, 0.7, 0.7))
    assert outcome["decision"] == "a"
    assert [each["weight"] for each in outcome["counted"]] == pytest.approx(
        [math.log(19), math.log(7 / 3), math.log(7 / 3)]
    )
    assert outcome["level"] == pytest.approx(math.log(19) / (math.log(19) + 2 * math.log(7 / 3)))


def test_with_more_options_the_same_accuracy_weighs_more():
    outcome = decide("log_odds", votes_for("a", ABC), options=ABC, accuracies=weights_of(0.8))
    assert outcome["counted"][0]["weight"] == pytest.approx(math.log(0.8 * 2 / 0.2))


@pytest.mark.parametrize(("given", "clipped"), [(1, 0.99), (1.0, 0.99), (0.995, 0.99), (0.0, 0.01), (0.001, 0.01)])
def test_accuracies_are_clipped_so_that_no_vote_weighs_infinitely_much(given, clipped):
    votes = votes_for("a", AB)
    assert decide("log_odds", votes, options=AB, accuracies=weights_of(given)) == decide(
        "log_odds", votes, options=AB, accuracies=weights_of(clipped)
    )


def test_between_two_options_who_is_mostly_wrong_counts_for_the_other_one():
    outcome = decide("log_odds", votes_for("ab", AB), options=AB, accuracies=weights_of(0.1, 0.6))
    assert (outcome["decision"], outcome["level"]) == ("b", 1.0)
    assert outcome["counted"][0]["option"] == "b"
    assert [each["agent"] for each in outcome["dissent"]] == ["a0"]


def test_among_more_options_who_is_worse_than_chance_is_dropped():
    outcome = decide("log_odds", votes_for("aab", ABC), options=ABC, accuracies=weights_of(0.3, 0.3, 0.4))
    assert (outcome["decision"], outcome["level"]) == ("b", 1.0)
    assert [each["agent"] for each in outcome["dropped"]] == ["a0", "a1"]
    assert "0.3 is no better than guessing among 3 options" in outcome["dropped"][0]["cause"]


def test_who_tosses_a_coin_is_dropped():
    outcome = decide("log_odds", votes_for("ab", AB), options=AB, accuracies=weights_of(0.5, 0.5))
    assert (outcome["decision"], outcome["level"], len(outcome["dropped"])) == (None, 0.0, 2)


def test_log_odds_that_are_equal_on_paper_are_a_tie():
    # odds of 9 against odds of 3 · 3; as sums of rounded logarithms they would differ
    votes = votes_for("abb", AB)
    outcome = decide("log_odds", votes, options=AB, accuracies=weights_of(0.9, 0.75, 0.75))
    assert (outcome["decision"], outcome["tied"]) == (None, AB)


def test_unanimous_decides_only_what_all_are_for():
    assert decide("unanimous", votes_for("aaa", AB), options=AB)["decision"] == "a"
    outcome = decide("unanimous", votes_for("aab", AB), options=AB)
    assert (outcome["decision"], outcome["level"]) == (None, 2 / 3)
    assert not agreed(outcome, 0.5)


def test_an_even_split_under_unanimous_says_so_and_what_to_do():
    why = decide("unanimous", votes_for("abab", AB), options=AB)["why"]
    assert "2 for 'a', 2 for 'b'" in why
    assert "Vote again, ask a person, or choose a rule that decides splits, such as plurality" in why


@pytest.mark.parametrize("rule", RULES)
def test_without_a_valid_vote_nothing_is_decided(rule):
    accuracies = {"x": 0.9} if rule == "log_odds" else None
    for votes in ([], [abstention("x", "too slow")]):
        outcome = decide(
            rule, votes, options=AB, accuracies=accuracies if votes else {"x": 0.9} if accuracies else None
        )
        assert (outcome["decision"], outcome["level"], outcome["tied"]) == (None, 0.0, [])
        assert not agreed(outcome, 0)
        assert json_problem(outcome) is None


def test_a_ranking_votes_with_its_first_place_where_one_option_counts():
    votes = [
        read_vote({"ranking": ["b", "a", "c"]}, agent="x", options=ABC),
        read_vote({"ranking": [["a", "c"], "b"]}, agent="y", options=ABC),
    ]
    outcome = decide("plurality", votes, options=ABC)
    assert (outcome["decision"], outcome["level"]) == ("b", 1.0)
    assert outcome["abstained"] == [
        {"agent": "y", "cause": "its ranking has no single first place, which this rule needs"}
    ]


def test_who_votes_twice_and_differently_abstains():
    twice = [read_vote({"decision": d}, agent="x", options=AB) for d in "ab"]
    outcome = decide("plurality", twice, options=AB)
    assert outcome["abstained"] == [{"agent": "x", "cause": "gave 2 votes that contradict each other"}]
    same = [read_vote({"decision": "a", "reason": r}, agent="x", options=AB) for r in "yz"]
    assert decide("plurality", same, options=AB)["tally"] == {"a": 1, "b": 0}


def test_a_vote_that_was_meant_for_other_options_abstains():
    outcome = decide("plurality", votes_for("abc", ABC), options=AB)
    assert outcome["abstained"] == [{"agent": "a2", "cause": "the decision c is not one of the options: a, b"}]


def test_an_outcome_says_who_abstained_and_why():
    outcome = decide("plurality", [*votes_for("a", AB), abstention("z", "timed out")], options=AB)
    assert (outcome["level"], outcome["abstained"]) == (1.0, [{"agent": "z", "cause": "timed out"}])
    assert agreed(outcome)
    assert not agreed(outcome, min_votes=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rule": "pluralty"}, "no voting rule 'pluralty'; known: plurality, .*Did you mean 'plurality'"),
        ({"rule": None}, "no voting rule None; known"),
        ({"rule": "ranked", "method": "shulze"}, "known: schulze, borda. Did you mean 'schulze'"),
        ({"rule": "plurality", "weights": {"a0": 1, "a1": 1}}, "'plurality' does not use weights; 'weighted' would"),
        ({"rule": "weighted", "accuracies": {"a0": 1, "a1": 1}}, "'log_odds' would"),
        ({"rule": "plurality", "method": "borda"}, "'ranked' would"),
        ({"rule": "unanimous", "on_tie": "a"}, "does not use on_tie"),
        ({"rule": "plurality", "on_tie": "c"}, "no option 'c'; known: a, b"),
        ({"rule": "plurality", "options": ["a"]}, "two options or more"),
        ({"rule": "weighted", "weights": {"a0": 1, "a1": -1}}, "weight of 'a1' must be .* of at least 0, not -1"),
        ({"rule": "weighted", "weights": {"a0": 1, "a1": math.nan}}, "finite number of at least 0, not nan"),
        ({"rule": "weighted", "weights": {"a0": 1, "a1": math.inf}}, "not inf"),
        ({"rule": "weighted", "weights": {"a0": 1, "a1": "2"}}, "not '2'"),
        ({"rule": "weighted", "weights": {"a0": 1, "a1": True}}, "not True"),
        ({"rule": "weighted", "weights": {"a0": 0, "a1": 0.0}}, "'a0', 'a1' are 0 in sum"),
        ({"rule": "weighted", "weights": {"a0": 1}}, "no weight for the agent 'a1'; it is given for 'a0'"),
        ({"rule": "log_odds"}, "needs the accuracy of each agent"),
        ({"rule": "log_odds", "accuracies": {"a0": 0.5}}, "no accuracy for the agent 'a1'"),
        ({"rule": "log_odds", "accuracies": {"a0": 0.5, "a1": 1.5}}, "of 'a1' must be a number from 0 to 1, not 1.5"),
        ({"rule": "log_odds", "accuracies": {"a0": 0.5, "a1": math.nan}}, "not nan"),
        ({"rule": "log_odds", "accuracies": {"a0": 0.5, "a1": "0.9"}}, "not '0.9'"),
        ({"rule": "plurality", "votes": [{"decision": "a"}]}, "must name its agent"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_with_what_would_be_right(arguments, says):
    arguments = {"votes": votes_for("ab", AB), "options": AB, **arguments}
    with pytest.raises(InvalidInput, match=says):
        decide(arguments.pop("rule"), arguments.pop("votes"), **arguments)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, "0.7", True])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(InvalidInput, match="threshold must be a number from 0 to 1"):
        agreed(decide("plurality", votes_for("a", AB), options=AB), threshold)
    with pytest.raises(InvalidInput, match="min_votes must be a whole number"):
        agreed(decide("plurality", votes_for("a", AB), options=AB), min_votes=0)
