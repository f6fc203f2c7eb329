"""The formulas of the strategies, with numbers worked out by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.errors import InvalidInput
from adjourn.nodes.assignment import reputation_after, trust_after
from adjourn.nodes.assignment.formulas import auction_score, capability_score, coverage, fit, load_score
from adjourn.state.assignments import Subtask
from adjourn.state.roster import Agent

SQL = Subtask(id="s", capabilities=("sql",))
share = some.floats(0, 1)


def test_fit_is_required_by_own_capabilities():
    assert fit(SQL, Agent(name="a", capabilities=("sql",))) == 1
    assert fit(SQL, Agent(name="a", capabilities=("sql", "go", "css", "c"))) == 1 / 4
    assert fit(Subtask(id="any"), Agent(name="a", capabilities=("sql", "go"))) == 1
    assert fit(Subtask(id="any"), Agent(name="a")) == 1


def test_the_capability_score_is_fit_times_performance():
    able = Agent(name="a", capabilities=("sql", "go"), performance=0.8)
    assert capability_score(SQL, able) == 0.4
    assert capability_score(SQL, able.model_copy(update={"performance": None})) == 0.25


def test_the_auction_score_is_40_30_20_10():
    cheap = Agent(name="cheap", capabilities=("sql",), cost=10, time=60, reputation=0.5)
    fast = Agent(name="fast", capabilities=("sql", "go"), cost=40, time=15, reputation=0.9)
    bidders = [cheap, fast]
    assert auction_score(SQL, cheap, bidders) == pytest.approx(0.4 * 1 + 0.3 * 1 + 0.2 * 0.25 + 0.1 * 0.5)
    assert auction_score(SQL, fast, bidders) == pytest.approx(0.4 * 0.5 + 0.3 * 0.25 + 0.2 * 1 + 0.1 * 0.9)


def test_who_asks_for_nothing_has_the_best_cost():
    free, dear = Agent(name="free", cost=0), Agent(name="dear", cost=5)
    assert auction_score(Subtask(id="s"), free, [free, dear]) == pytest.approx(0.4 + 0.3 + 0.2 + 0.05)
    assert auction_score(Subtask(id="s"), dear, [free, dear]) == pytest.approx(0.4 + 0.0 + 0.2 + 0.05)


def test_the_load_score_is_30_20_30_10_10():
    busy = Agent(name="a", cpu=0.5, memory=0.25, active=1, capacity=4, complexity=0.2, performance=0.6)
    hard = Subtask(id="s", complexity=0.9)
    assert load_score(hard, busy) == pytest.approx(0.15 + 0.05 + 0.075 + 0.07 + 0.04)


def test_what_is_not_known_does_not_count_in_the_load():
    assert load_score(Subtask(id="s", complexity=0.9), Agent(name="a")) == 0
    assert load_score(Subtask(id="s"), Agent(name="a", complexity=0.9)) == 0


def test_coverage_is_the_share_of_what_is_required():
    task = Subtask(id="s", capabilities=("sql", "go", "css", "c"))
    assert coverage(task, Agent(name="a", capabilities=("sql", "law"))) == 0.25
    assert coverage(Subtask(id="any"), Agent(name="a")) == 1


def test_a_reputation_moves_a_fifth_of_the_way():
    assert reputation_after(0.5, 1) == pytest.approx(0.6)
    assert reputation_after(0.5, 0) == pytest.approx(0.4)
    assert reputation_after(0.5, 0.9, rate=0.5) == pytest.approx(0.7)


def test_trust_is_lost_faster_than_it_is_won():
    assert trust_after(0.5, True) == pytest.approx(0.55)
    assert trust_after(0.5, False) == pytest.approx(0.4)


@settings(max_examples=50, deadline=None)
@given(before=share, outcome=share, rate=share, succeeded=some.booleans())
def test_reputation_and_trust_stay_between_0_and_1_and_move_the_right_way(before, outcome, rate, succeeded):
    after = reputation_after(before, outcome, rate=rate)
    assert 0 <= after <= 1
    assert min(before, outcome) - 1e-12 <= after <= max(before, outcome) + 1e-12
    trust = trust_after(before, succeeded, gain=rate, loss=rate)
    assert 0 <= trust <= 1
    assert trust >= before if succeeded else trust <= before


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, "0.5", None, True])
def test_numbers_that_are_no_shares_are_refused(bad):
    with pytest.raises(InvalidInput, match="reputation must be a number from 0 to 1"):
        reputation_after(bad, 1)
    with pytest.raises(InvalidInput, match="outcome must be"):
        reputation_after(0.5, bad)
    with pytest.raises(InvalidInput, match="trust must be"):
        trust_after(bad, True)
