"""The rules are as often right as the theory says: exactly, by enumeration, and measured, by simulation."""

import itertools
import math
import random
from collections import Counter
from fractions import Fraction
from functools import cache

import pytest

from adjourn.nodes.voting import decide, read_vote

EQUAL = {3: (0.7,) * 3, 5: (0.6,) * 5, 9: (0.65,) * 9}
UNEQUAL = {
    3: (0.9, 0.6, 0.55),
    5: (0.95, 0.8, 0.7, 0.6, 0.55),
    9: (0.95, 0.9, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.3),
}
GROUPS = [*EQUAL.values(), *UNEQUAL.values()]
AB, ABC = ("a", "b"), ("a", "b", "c")


def exact(accuracies):
    return [Fraction(str(p)) for p in accuracies]


@cache
def decided(rule, profile, accuracies, options):
    """What the rule makes of one profile (the options that voters 0, 1, … vote for): the winner, or those that tie."""
    votes = [read_vote({"decision": d}, agent=f"v{index}", options=options) for index, d in enumerate(profile)]
    known = {f"v{index}": p for index, p in enumerate(accuracies)} if rule == "log_odds" else None
    outcome = decide(rule, votes, options=options, accuracies=known)
    return (outcome["decision"],) if outcome["decision"] else tuple(outcome["tied"]) or tuple(options)


def probability(profile, truth, accuracies, options):
    """P(profile | truth) of independent voters whose errors fall on all wrong options alike."""
    wrong = len(options) - 1
    return math.prod(
        p if vote == truth else (1 - p) / wrong for vote, p in zip(profile, exact(accuracies), strict=True)
    )


def share_right(rule, accuracies, options=AB):
    """How often the rule is right when every option is the truth equally often; ties are decided by lot."""
    right = Fraction(0)
    for profile in itertools.product(options, repeat=len(accuracies)):
        winners = decided(rule, profile, accuracies, options)
        right += sum(probability(profile, truth, accuracies, options) for truth in winners) / len(winners)
    return right / len(options)


def optimum(accuracies, options=AB):
    """The best that any rule can do: for each profile, the truth that makes it likeliest."""
    profiles = itertools.product(options, repeat=len(accuracies))
    best = (max(probability(profile, truth, accuracies, options) for truth in options) for profile in profiles)
    return sum(best) / len(options)


def majority_right(accuracies):
    """P(more than half are right), voter by voter: the distribution of the number of right votes."""
    counts = [Fraction(1)]
    for p in exact(accuracies):
        counts = [
            (counts[k] * (1 - p) if k < len(counts) else 0) + (counts[k - 1] * p if k else 0)
            for k in range(len(counts) + 1)
        ]
    return sum(counts[len(accuracies) // 2 + 1 :])


@pytest.mark.parametrize("n", EQUAL)
def test_plurality_is_right_as_often_as_condorcets_binomial_sum_says(n):
    p = exact(EQUAL[n])[0]
    binomial = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))
    assert share_right("plurality", EQUAL[n]) == binomial


@pytest.mark.parametrize("n", UNEQUAL)
def test_plurality_of_unequal_voters_is_right_as_often_as_most_of_them_are(n):
    assert share_right("plurality", UNEQUAL[n]) == majority_right(UNEQUAL[n])


@pytest.mark.parametrize(
    "accuracies", GROUPS, ids=lambda ps: f"{len(ps)} voters{'' if len(set(ps)) == 1 else ', unequal'}"
)
def test_log_odds_is_right_as_often_as_the_best_possible_rule(accuracies):
    assert share_right("log_odds", accuracies) == optimum(accuracies)


@pytest.mark.parametrize("n", UNEQUAL)
def test_log_odds_is_right_more_often_than_plurality_when_voters_differ(n):
    assert share_right("log_odds", UNEQUAL[n]) > share_right("plurality", UNEQUAL[n])


@pytest.mark.parametrize("accuracies", [(0.99, 0.01, 0.6), (0.9, 0.75, 0.75), (0.5, 0.5, 0.8), (0.3, 0.2, 0.1)])
def test_log_odds_stays_the_best_at_the_edges(accuracies):
    # clipped ones, an exact tie, coin tossers, and voters that are mostly wrong
    assert share_right("log_odds", accuracies) == optimum(accuracies)


@pytest.mark.parametrize("accuracies", [(0.8, 0.6, 0.5), (0.9, 0.7, 0.45, 0.4, 0.35)])
def test_log_odds_is_the_best_rule_for_three_options_too_while_all_are_better_than_chance(accuracies):
    assert share_right("log_odds", accuracies, ABC) == optimum(accuracies, ABC)


TRIALS = 100_000


@cache
def simulated(accuracies):
    """How often each profile came up under each truth; each voter's answer is drawn by itself."""
    draw = random.Random(f"{accuracies}")
    truths = draw.choices(AB, k=TRIALS)
    right = [draw.choices((True, False), cum_weights=(p, 1), k=TRIALS) for p in accuracies]
    return Counter(zip(truths, *right, strict=True))


@pytest.mark.parametrize("rule", ["plurality", "log_odds"])
@pytest.mark.parametrize("accuracies", GROUPS, ids=str)
def test_simulated_voters_are_right_as_often_as_computed_in_100_000_trials(rule, accuracies):
    measured = 0.0
    for (truth, *right), times in simulated(accuracies).items():
        wrong = "b" if truth == "a" else "a"
        winners = decided(rule, tuple(truth if each else wrong for each in right), accuracies, AB)
        measured += times * (truth in winners) / len(winners) / TRIALS
    expected = float(share_right(rule, accuracies))
    deviation = math.sqrt(expected * (1 - expected) / TRIALS)
    assert abs(measured - expected) < 4 * deviation, (measured, expected)
