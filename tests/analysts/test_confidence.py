"""The formulas that turn evidence into a confidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.nodes.analysts.confidence import Scale, lead, within

SCALE = Scale(("low", "medium", "high"), (0.0, 3.0, 7.0, 10.0))
amounts = st.floats(0, 500)


@given(st.lists(amounts, min_size=2, max_size=6))
def test_a_lead_is_a_probability(counts):
    evidence = {str(at): count for at, count in enumerate(counts)}
    assert all(0.0 <= lead(evidence, name) <= 1.0 for name in evidence)


@given(own=st.floats(0.5, 200), rival=amounts)
def test_twice_the_evidence_for_the_leader_is_never_less_convincing(own, rival):
    rival = min(rival, own)
    once = lead({"a": own, "b": rival}, "a")
    assert lead({"a": 2 * own, "b": 2 * rival}, "a") >= once
    assert lead({"a": 2 * own, "b": rival}, "a") >= once


@given(own=st.floats(1, 30), part=st.floats(0.1, 1))
def test_evidence_for_a_rival_lowers_the_lead(own, part):
    assert lead({"a": own, "b": own * part}, "a") < lead({"a": own, "b": 0.0}, "a")


def test_equal_evidence_is_worth_a_toss_of_a_coin():
    assert lead({"a": 40.0, "b": 40.0}, "a") == pytest.approx(0.5)


def test_without_evidence_a_name_is_no_more_than_a_blind_guess():
    assert lead({"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}, "a") <= 0.25


@given(st.floats(0, 10), st.floats(0.1, 20), amounts)
def test_a_place_on_a_scale_has_a_probability(score, spread, evidence):
    assert 0.0 <= within(SCALE, score, spread=spread, evidence=evidence) <= 1.0


@given(st.sampled_from([0.0, 1.0, 5.0, 9.0, 10.0]), st.floats(0.1, 20), st.floats(0.01, 500))
def test_twice_the_observations_never_lower_the_confidence_in_a_clear_score(score, spread, evidence):
    once = within(SCALE, score, spread=spread, evidence=evidence)
    assert within(SCALE, score, spread=spread, evidence=2 * evidence) >= once - 1e-12


def test_without_observations_a_band_is_worth_its_part_of_the_scale():
    assert within(SCALE, 5.0, spread=1.0, evidence=0.0) == pytest.approx(0.4, abs=0.01)


def test_observations_that_scatter_are_worth_less():
    assert within(SCALE, 5.0, spread=4.0, evidence=5.0) < within(SCALE, 5.0, spread=1.0, evidence=5.0)


def test_a_score_beside_an_edge_is_worth_less_than_one_in_the_middle():
    assert within(SCALE, 3.1, spread=2.0, evidence=4.0) < within(SCALE, 5.0, spread=2.0, evidence=4.0)


@pytest.mark.parametrize(
    ("score", "label"), [(0.0, "low"), (2.99, "low"), (3.0, "medium"), (7.0, "high"), (10.0, "high")]
)
def test_an_edge_belongs_to_the_band_above_it(score, label):
    assert SCALE.label(score) == label
