"""The nodes of `review` by themselves: pure functions of the state, with the time passed in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adjourn.nodes.finalisation import factors, final_decision
from adjourn.nodes.human_review import ask_about_analysis, read_decision
from adjourn.nodes.validation import check, high_risk, validation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def state(**changes: Any) -> Any:
    base = {
        "input_text": "A text.",
        "analysis_results": {"sentiment": "neutral", "risk_level": "low"},
        "confidence_scores": {"sentiment": 0.5, "risk_level": 0.9},
        "validation_results": {
            "passed": False,
            "low_confidence_areas": [],
            "requires_human_review": True,
            "reasons": [],
        },
        "execution_log": [
            {"step": "analyze", "started": NOON.isoformat(), "ended": NOON.isoformat(), "status": "done"}
        ],
    }
    return {**base, **changes}


def answer(kind: str, **parts: Any) -> Any:
    return {"kind": kind, "args": None, "message": None, "stamp": None, **parts}


def test_the_waiting_time_is_from_the_question_to_the_answer() -> None:
    answered = NOON + timedelta(days=14)
    update = read_decision(
        state(), answer("approve", stamp={"by": "dana", "at": answered.isoformat()}), answered + timedelta(hours=1)
    )
    (interaction,) = update["human_interactions"]
    assert interaction["waited_seconds"] == timedelta(days=14).total_seconds()
    assert (interaction["by"], interaction["at"]) == ("dana", answered.isoformat())


def test_an_answer_that_no_engine_delivered_is_by_nobody_known() -> None:
    (interaction,) = read_decision(state(), answer("approve"), NOON)["human_interactions"]
    assert (interaction["by"], interaction["waited_seconds"]) == ("unknown", 0.0)


def test_what_a_person_wrote_is_certain() -> None:
    update = read_decision(state(), answer("edit", args={"sentiment": "negative", "risk_level": "low"}), NOON)
    assert update["human_modifications"] == {"sentiment": "negative"}
    assert update["confidence_scores"] == {"sentiment": 1.0, "risk_level": 0.9}


def test_a_rejection_without_a_reason_still_counts_as_one() -> None:
    update = read_decision(state(), answer("reject"), NOON)
    assert update["rejection_reason"] == "no reason was given"
    assert check({**state(), **update}, [], 0.0)["reasons"] == ["an earlier result was rejected"]


def test_asking_has_no_effect_and_gives_the_same_question_each_time() -> None:
    ask, given = ask_about_analysis(2), state()
    before = repr(given)
    assert ask(given) == ask(given)
    assert repr(given) == before


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, "accepted"),
        ({"human_decision": "approve"}, "approved"),
        ({"human_decision": "edit", "human_modifications": {"sentiment": "negative"}}, "approved_with_edits"),
        ({"human_decision": "edit", "human_modifications": {}}, "approved"),
        ({"human_decision": "approve", "human_modifications": {"sentiment": "negative"}}, "approved_with_edits"),
        ({"human_decision": "reject"}, "rejected"),
    ],
)
def test_the_final_decision(changes: dict[str, Any], decision: str) -> None:
    assert final_decision(state(**changes)) == decision


def test_time_at_work_leaves_out_the_waiting() -> None:
    log = [
        {"step": "analyze", "started": NOON.isoformat(), "ended": (NOON + timedelta(seconds=3)).isoformat()},
        {"step": "human_review", "started": NOON.isoformat(), "ended": (NOON + timedelta(hours=1)).isoformat()},
    ]
    found = factors(state(execution_log=log), NOON + timedelta(hours=2))
    assert (found["working_seconds"], found["total_seconds"]) == (3.0, 7200.0)


def test_high_risk_and_low_confidence_both_give_reasons() -> None:
    risky = state(analysis_results={"sentiment": "neutral", "risk_level": "high"})
    assert check(risky, [high_risk], 0.8)["reasons"] == [
        "confidence in sentiment is 0.50, below 0.80",
        "the risk is high",
    ]


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_outside_zero_and_one_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        validation(min_confidence=threshold)
