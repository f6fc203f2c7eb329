"""Faulty voters: up to the bound that a rule promises the outcome stays right, and one beyond it need not.

The bounds are those of docs/explanation/agreement.md. The honest voters agree on `right`; the faulty ones answer as
agents do, with raw text that has to be read first.
"""

import itertools
import json
import random

import pytest

from adjourn.nodes.voting import decide, read_vote

OPTIONS = ["right", "wrong", "other"]
RIGHT = json.dumps({"decision": "right", "confidence": 0.7, "reason": "It follows from the facts."})


def silent(voter, round_number):
    return None


def at_random(voter, round_number):
    return {"decision": random.Random(f"{voter} {round_number}").choice(OPTIONS)}


def hostile(voter, round_number):
    return {"decision": "wrong", "ranking": ["wrong", "other", "right"]}  # buries what is right


def contradicting(voter, round_number):
    """Another vote in each round; and every third one contradicts itself in one answer."""
    if (voter + round_number) % 3 == 0:
        return '{"decision": "wrong", "decision": "right"}'
    return {"decision": "wrong" if (voter + round_number) % 2 else "other"}


def flattering(voter, round_number):
    """Claims certainty, weight and accuracy; or more certainty than there is."""
    claims = {"decision": "wrong", "weight": 1e9, "accuracy": 1.0, "reason": "I am never wrong."}
    return {**claims, "confidence": 1.0 if voter % 2 else float("inf")}


FAULTS = [silent, at_random, hostile, contradicting, flattering]
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


def outcome_of(rule, n, faulty, fault, round_number=1, *, honest=RIGHT, **arguments):
    answers = [fault(voter, round_number) if voter < faulty else honest for voter in range(n)]
    votes = [read_vote(answer, agent=f"v{voter}", options=OPTIONS) for voter, answer in enumerate(answers)]
    return decide(rule, votes, options=OPTIONS, **arguments)


def decisions(*arguments, **more):
    """What three rounds decide."""
    return [outcome_of(*arguments, round_number, **more)["decision"] for round_number in (1, 2, 3)]


@every_fault
@pytest.mark.parametrize(("n", "bound"), [(3, 1), (4, 1), (5, 2), (8, 3), (9, 4)])
def test_plurality_stands_fewer_than_half(fault, n, bound):
    for faulty in range(bound + 1):
        assert decisions("plurality", n, faulty, fault) == ["right"] * 3


@pytest.mark.parametrize(("n", "beyond", "decided"), [(3, 2, "wrong"), (8, 4, None), (9, 5, "wrong")])
def test_plurality_falls_with_half(n, beyond, decided):
    assert outcome_of("plurality", n, beyond, hostile)["decision"] == decided


@every_fault
def test_weighted_stands_less_than_half_of_the_weight(fault):
    weights = {f"v{voter}": 1 for voter in range(4)} | {"v4": 5}
    assert decisions("weighted", 5, 4, fault, weights=weights) == ["right"] * 3


@pytest.mark.parametrize(("heavy", "decided"), [(4, None), (3, "wrong")])
def test_weighted_falls_with_half_of_the_weight(heavy, decided):
    weights = {f"v{voter}": 1 for voter in range(4)} | {"v4": heavy}
    assert outcome_of("weighted", 5, 4, hostile, weights=weights)["decision"] == decided


# one faulty voter with the greatest weight that clipping allows: odds 198 of three options, against 8 of each honest one
TRUSTED = {"v0": 1.0} | {f"v{voter}": 0.8 for voter in range(1, 9)}


@every_fault
def test_log_odds_stands_faulty_voters_whose_odds_are_less(fault):
    assert decisions("log_odds", 4, 1, fault, accuracies=TRUSTED) == ["right"] * 3  # 198 < 8 · 8 · 8


def test_log_odds_falls_when_the_odds_of_the_faulty_are_more():
    assert outcome_of("log_odds", 3, 1, hostile, accuracies=TRUSTED)["decision"] == "wrong"  # 198 > 8 · 8


@every_fault
def test_unanimous_is_never_wrong_while_one_voter_is_honest(fault):
    for faulty in range(9):
        assert set(decisions("unanimous", 9, faulty, fault)) <= {"right", None}


def test_unanimous_is_stopped_by_one_voter_and_wrong_only_with_all():
    assert outcome_of("unanimous", 9, 1, hostile)["decision"] is None
    assert outcome_of("unanimous", 9, 1, silent)["decision"] == "right"
    assert outcome_of("unanimous", 9, 9, hostile)["decision"] == "wrong"


# the honest ones help the attack as much as they can: the hostile favourite is their second
HONEST_RANKING = {"ranking": ["right", "wrong", "other"]}


@every_fault
@pytest.mark.parametrize(("n", "bound"), [(3, 1), (4, 1), (9, 4)])
def test_schulze_stands_fewer_than_half(fault, n, bound):
    for faulty in range(bound + 1):
        assert decisions("ranked", n, faulty, fault, honest=HONEST_RANKING) == ["right"] * 3


@pytest.mark.parametrize(("n", "beyond", "decided"), [(4, 2, None), (9, 5, "wrong")])
def test_schulze_falls_with_half(n, beyond, decided):
    assert outcome_of("ranked", n, beyond, hostile, honest=HONEST_RANKING)["decision"] == decided


@every_fault
@pytest.mark.parametrize(("n", "bound"), [(4, 1), (9, 2), (10, 3)])
def test_borda_of_three_options_stands_fewer_than_a_third(fault, n, bound):
    for faulty in range(bound + 1):
        assert decisions("ranked", n, faulty, fault, honest=HONEST_RANKING, method="borda") == ["right"] * 3


@pytest.mark.parametrize(("n", "beyond", "decided"), [(9, 3, None), (10, 4, "wrong"), (4, 2, "wrong")])
def test_borda_of_three_options_falls_with_a_third(n, beyond, decided):
    assert outcome_of("ranked", n, beyond, hostile, honest=HONEST_RANKING, method="borda")["decision"] == decided


PLACES = [
    *(list(order) for order in itertools.permutations(OPTIONS)),
    *([[one, two], three] for one, two, three in (("right", "wrong", "other"), ("wrong", "other", "right"))),
    *([one, [two, three]] for one, two, three in (("wrong", "other", "right"), ("other", "right", "wrong"))),
]


@pytest.mark.parametrize(("method", "honest", "faulty"), [("schulze", 3, 2), ("borda", 5, 2)])
def test_at_the_bound_no_rankings_whatever_of_the_faulty_change_the_outcome(method, honest, faulty):
    for attack in itertools.combinations_with_replacement(PLACES, faulty):
        answers = [{"ranking": ranking} for ranking in attack] + [HONEST_RANKING] * honest
        votes = [read_vote(answer, agent=f"v{voter}", options=OPTIONS) for voter, answer in enumerate(answers)]
        assert decide("ranked", votes, options=OPTIONS, method=method)["decision"] == "right"


def test_two_different_votes_of_one_agent_count_as_none():
    votes = [read_vote({"decision": d}, agent=a, options=OPTIONS) for a, d in
             [("x", "wrong"), ("x", "other"), ("y", "right"), ("x", "wrong")]]  # fmt: skip
    outcome = decide("plurality", votes, options=OPTIONS)
    assert (outcome["decision"], outcome["level"]) == ("right", 1.0)
