"""Which results contradict each other."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.errors import InvalidInput
from adjourn.nodes.conflicts import find_conflicts


def paths(one, other, **more):
    return [conflict["path"] for conflict in find_conflicts({"a": one, "b": other}, **more)]


def test_results_that_say_different_things_at_one_key_are_in_conflict():
    found = find_conflicts({"ada": {"cause": "disk", "since": 3}, "bo": {"cause": "network", "since": 3}, "cy": {}})
    assert found == [{"path": ["cause"], "between": ["ada", "bo"], "values": ["disk", "network"]}]


def test_what_is_not_said_is_no_conflict():
    assert paths({"x": 1, "y": None}, {"y": 2, "z": 3}) == []


def test_mappings_are_compared_inside_and_lists_item_by_item():
    assert paths({"x": {"y": {"z": 1, "u": 1}}}, {"x": {"y": {"z": 2, "v": 1}}}) == [["x", "y", "z"]]
    assert paths({"x": [1, 2]}, {"x": [1, 2.0]}) == []
    assert paths({"x": [1, 2]}, {"x": [2, 1]}) == [["x"]]
    assert paths({"x": [1]}, {"x": [1, 2]}) == [["x"]]


@pytest.mark.parametrize(("one", "other"), [(True, 1), ("1", 1), ("A", "a"), ({"y": 1}, "y"), ([1], 1), (0, False)])
def test_values_of_different_kinds_are_different(one, other):
    assert paths({"x": one}, {"x": other}) == [["x"]]


def test_numbers_may_lie_apart_by_the_tolerance():
    assert paths({"x": 100}, {"x": 101}, tolerance=0.01) == []
    assert paths({"x": 100}, {"x": 102}, tolerance=0.01) == [["x"]]
    assert paths({"x": 0}, {"x": 0.0}) == []


@settings(max_examples=40, deadline=None)
@given(some.dictionaries(some.sampled_from("abcd"), some.dictionaries(some.sampled_from("xyz"), some.integers(0, 2))),
       some.integers(0, 50))  # fmt: skip
def test_the_order_of_results_and_keys_changes_nothing(results, seed):
    order = random.Random(seed)
    shuffled = [(name, list(result.items())) for name, result in results.items()]
    order.shuffle(shuffled)
    for _, items in shuffled:
        order.shuffle(items)
    found = find_conflicts(results)
    assert find_conflicts({name: dict(items) for name, items in shuffled}) == found
    for conflict in found:
        assert conflict["values"][0] != conflict["values"][1]


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidInput, match="tolerance must be"):
        find_conflicts({}, tolerance=-1)
    with pytest.raises(InvalidInput, match="result of 'a' must be a mapping"):
        find_conflicts({"a": [1]})
