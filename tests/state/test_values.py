"""JSON-safe values and their digest."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from adjourn.state.values import canonical_json, digest, json_problem, storable_text

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NUMBER = some.floats(allow_nan=False, allow_infinity=False)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63 - 1) | NUMBER | TEXT,
    lambda inner: some.lists(inner) | some.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(some.text(some.characters(exclude_categories=[])))
def test_any_text_can_be_made_storable_and_what_is_storable_stays(text: str) -> None:
    stored = storable_text(text)
    assert json_problem(stored) is None
    assert storable_text(stored) == stored
    assert stored == text or json_problem(text) is not None


def test_what_cannot_be_stored_is_written_as_escapes() -> None:
    assert storable_text("a\x00b\ud800c") == "a\\x00b\\ud800c"


@given(JSON)
def test_every_json_value_is_safe_and_survives_its_canonical_form(value: Any) -> None:
    assert json_problem(value) is None
    assert json.loads(canonical_json(value)) == value


@given(JSON)
@example({"a": {"b": 1, "c": [{"d": 2, "e": 3}]}, "f": None})
def test_the_digest_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    assert digest(value) == digest(reordered(value))


def reordered(value: Any) -> Any:
    """The value with the keys of all its objects the other way round."""
    if isinstance(value, dict):
        return {key: reordered(inner) for key, inner in reversed(value.items())}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


def test_the_digest_is_the_sha256_of_the_canonical_text() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, {"when": datetime(2026, 1, 1, tzinfo=UTC)}]}, "value.a[1].when is a datetime"),
        ({1: "a"}, "value has the key 1, which is not text"),
        ((1, 2), "value is a tuple"),
        ({"a": float("nan")}, "value.a is not a finite number"),
        ([2**63], "value[0] is a whole number of more than 64 bits"),
        ("a\x00", "value contains the character U+0000"),
        ({"\ud800": 1}, "a key of value is not valid Unicode text"),
        (b"", "value is a bytes"),
    ],
)
def test_what_is_not_json_safe_is_named_with_its_place(value: Any, problem: str) -> None:
    assert json_problem(value) == problem


def test_a_value_that_is_nested_too_deep_is_refused_and_not_followed() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert "nested more than 100 levels" in str(json_problem(deep))
