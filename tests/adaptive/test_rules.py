"""The rules of adaptive runs, without a database: when to change, why, to what, and with what to begin."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.errors import InvalidInput
from adjourn.nodes.adaptive import Rules
from adjourn.nodes.adaptive.records import GOOD, bounds, by_record, standings
from adjourn.nodes.adaptive.rules import MULTIPLE, poor_metrics, reason_of, remedies_of, score
from benchmarks.adaptive import NAMES, TARGET, attempts_of, on_paper, world_of

ORDER = [*NAMES, "human_in_loop"]
SHARES = st.floats(0, 1)


def test_a_metric_below_its_threshold_is_poor_and_the_furthest_below_comes_first() -> None:
    metrics = {"response_time": 0.69, "accuracy": 0.7, "completeness": 0.2}
    assert poor_metrics(metrics, {}) == ["completeness", "response_time"]
    assert poor_metrics({"a": 0.6, "b": 0.1, "c": 0.6}, {}) == ["b", "a", "c"]
    assert poor_metrics(metrics, {"completeness": 0.2, "response_time": 0.5}) == []
    assert poor_metrics(metrics, {}, Rules(threshold=0.1)) == []


@pytest.mark.parametrize(
    ("poor", "reason"),
    [
        (["response_time"], "slow_response"),
        (["accuracy"], "low_accuracy"),
        (["completeness", "response_time"], "low_accuracy"),
        (["response_time", "accuracy"], "slow_response"),
        (["response_time", "accuracy", "completeness"], MULTIPLE),
        (["cost"], "poor_cost"),
    ],
)
def test_the_reason_is_that_of_the_worst_unless_more_than_two_are_poor(poor: list[str], reason: str) -> None:
    assert reason_of(poor) == reason


def test_an_attempt_that_failed_is_poor_in_everything_and_nothing_poor_is_no_reason() -> None:
    assert reason_of(["accuracy"], failed=True) == MULTIPLE
    assert reason_of(["a", "b"], Rules(many=1)) == MULTIPLE
    with pytest.raises(InvalidInput, match="no reason to adapt"):
        reason_of([])


def test_each_reason_has_its_remedies_in_their_order_and_then_come_the_others() -> None:
    slow = list(remedies_of("slow_response", "standard_processing", ORDER, []))
    assert slow[:3] == ["parallel_execution", "simplified_processing", "cached_responses"]
    wrong = list(remedies_of("low_accuracy", "parallel_execution", ORDER, ["standard_processing"]))
    assert wrong[:3] == ["human_in_loop", "multi_model_ensemble", "detailed_analysis"]
    # the next in order, behind the current one and then from the beginning
    assert list(remedies_of(MULTIPLE, "b", ["a", "b", "c"], [])) == ["c", "a"]
    assert list(remedies_of("slow_response", "a", ["a", "cached_responses", "b"], [])) == ["cached_responses", "b"]
    own = Rules(remedies={"poor_cost": ["c"]})
    assert list(remedies_of("poor_cost", "a", ["a", "b", "c"], [], own)) == ["c", "b"]


@given(
    metrics=st.dictionaries(st.sampled_from(["response_time", "accuracy", "completeness", "x"]), SHARES, min_size=1),
    tried=st.lists(st.sampled_from(ORDER), unique=True),
    current=st.sampled_from(ORDER),
    order=st.lists(st.sampled_from(ORDER), unique=True, min_size=1),
)
def test_nothing_is_ever_tried_twice_and_every_strategy_left_comes_into_question(
    metrics: dict[str, float], tried: list[str], current: str, order: list[str]
) -> None:
    poor = poor_metrics(metrics, {})
    names = list(remedies_of(reason_of(poor, failed=not poor), current, order, tried))
    assert len(names) == len(set(names))
    assert set(names) == set(order) - set(tried) - {current}


@given(good=st.lists(SHARES, min_size=1), poor=st.lists(SHARES, min_size=1))
def test_any_good_attempt_scores_above_any_poor_one(good: list[float], poor: list[float]) -> None:
    above = score({str(n): each for n, each in enumerate(good)}, good=True)
    below = score({str(n): each for n, each in enumerate(poor)}, good=False)
    assert 0 <= below <= GOOD <= above <= 1


@pytest.mark.parametrize("value", [1.01, -0.01, math.nan, math.inf, True, "0.9", None, [0.5]])
def test_a_metric_that_is_no_share_is_refused_by_its_name_with_what_would_be_right(value: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"The metric 'accuracy' must be a number from 0 \(poor\) to 1 \(good\), not the"
    ):
        poor_metrics({"response_time": 0.5, "accuracy": value}, {})


@pytest.mark.parametrize("value", [1.5, -1, math.nan, True, "high"])
def test_a_threshold_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a number from 0 to 1"):
        poor_metrics({"accuracy": 0.5}, {"accuracy": value})
    with pytest.raises(InvalidInput, match="threshold must be a number from 0 to 1"):
        Rules(threshold=value)
    with pytest.raises(InvalidInput, match="There are no performance_metrics"):
        poor_metrics({}, {})


@given(mean=SHARES, attempts=st.integers(1, 1000))
def test_the_bounds_of_a_record_hold_its_mean_and_close_in(mean: float, attempts: int) -> None:
    low, high = bounds(mean, attempts)
    narrower = bounds(mean, attempts * 4)
    assert 0 <= low <= narrower[0] <= mean <= narrower[1] <= high <= 1


@pytest.mark.parametrize(("true", "attempts"), [(0.2, 3), (0.5, 1), (0.5, 10), (0.9, 5), (0.95, 30)])
def test_the_true_mean_is_beyond_a_bound_as_seldom_as_promised(true: float, attempts: int) -> None:
    # the probabilities are added up, not drawn: scores of 0 and 1 are the widest that there are
    below = above = 0.0
    for ones in range(attempts + 1):
        probability = math.comb(attempts, ones) * true**ones * (1 - true) ** (attempts - ones)
        low, high = bounds(ones / attempts, attempts)
        below += probability * (true < low - 1e-12)
        above += probability * (true > high + 1e-12)
    assert below <= 0.1
    assert above <= 0.1


def runs_of(**scores: list[float]) -> list[dict[str, Any]]:
    return [{"attempts": [{"strategy": name, "score": each}]} for name, found in scores.items() for each in found]


def first(order: list[str], **scores: list[float]) -> str:
    return by_record(standings(runs_of(**scores)), order)[0]


def test_the_best_record_is_what_can_be_relied_on() -> None:
    assert first(["a", "b"]) == "a"
    assert first(["a", "b"], a=[0.3], b=[0.95]) == "b"
    assert first(["a", "b"], a=[0.9] * 30, b=[0.95]) == "a"  # one success is luck, thirty are not
    assert first(["a", "b"], a=[0.6] * 30, b=[0.95] * 10) == "b"
    assert first(["a", "b", "c"], a=[0.9]) == "a"  # as long as something works, nothing is tried out


def test_when_nothing_known_is_good_enough_what_still_could_be_comes_first() -> None:
    assert first(["a", "b", "c"], a=[0.3]) == "b"
    assert first(["a", "b"], a=[0.4], b=[0.45] * 50) == "a"  # it had bad luck once; the other is known to be poor
    assert by_record(standings(runs_of(a=[0.3], b=[0.8])), ["a", "b", "c"]) == ["b", "c", "a"]


def test_what_cannot_be_read_in_a_record_is_left_out() -> None:
    odd: list[Any] = [{"attempts": [{"strategy": "a", "score": each} for each in (None, "1", True, 7, 0.5)]}, {}]
    assert standings(odd)["a"].attempts == 1


def test_remembering_reaches_the_best_strategy_in_fewer_attempts_than_the_fixed_order() -> None:
    found = on_paper(range(15), 35)
    for kind, each in found.items():
        assert each["ratio"] <= TARGET, kind
        assert each["reaches the best, remembering"] > each["reaches the best, fixed"], kind
    # where one strategy is good, nearly every run begins with it
    assert found["one good strategy"]["attempts, remembering"] < 1.1
    assert found["one good strategy"]["attempts, fixed"] > 2.5
    assert on_paper(range(3), 5) == on_paper(range(3), 5), "the worlds are seeded"


def test_in_no_world_does_remembering_cost_much() -> None:
    for seed in range(6):
        for mixed in (False, True):
            world = world_of(seed, mixed=mixed)
            with_memory, without = (
                sum(count for count, _ in attempts_of(world, 60, seed, remembers=each)) for each in (True, False)
            )
            assert with_memory <= 1.15 * without, (seed, mixed)


def test_a_world_that_changes_is_noticed() -> None:
    known, begun = runs_of(a=[0.95] * 40), []
    while len(begun) < 60:
        begun.append(by_record(standings(known[-100:]), ["a", "b"])[0])
        # what was good is poor now; the other one is, whenever it gets its chance
        known += runs_of(a=[0.3], b=[0.95]) if begun[-1] == "a" else runs_of(b=[0.95])
    assert begun.index("b") < 40, "as many poor attempts as there were good ones are more than enough"
    assert set(begun[begun.index("b") :]) == {"b"}
