"""What a notice says."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.engine.notices import Notice, commands, in_short, payload, subject, text


def test_the_text_says_what_who_until_when_and_the_next_commands(notice: Notice) -> None:
    assert text(notice).splitlines() == [
        "An answer is needed.",
        "",
        "Asked:     pay: 10 to ACME?",
        "Workflow:  payments",
        "Thread:    order 7",
        "Review:    r-1",
        "Who:       finance, legal",
        "Due:       2026-11-23 09:30 UTC",
        "",
        "    adjourn review r-1",
        "    adjourn resume 'order 7' approve --review r-1",
        "    adjourn resume 'order 7' reject REASON --review r-1",
    ]


def test_the_payload(notice: Notice) -> None:
    assert payload(notice) == {
        "type": "review.asked",
        "timestamp": "2026-11-21T12:00:05Z",
        "data": {
            "thread_id": "order 7",
            "review_id": "r-1",
            "workflow": "payments",
            "number": 0,
            "roles": ["finance", "legal"],
            "decisions": ["approve", "reject"],
            "due_at": "2026-11-23T09:30:00Z",
            "asked": "pay: 10 to ACME?",
            "outcome": None,
            "commands": {
                "look": "adjourn review r-1",
                "approve": "adjourn resume 'order 7' approve --review r-1",
                "reject": "adjourn resume 'order 7' reject REASON --review r-1",
            },
        },
    }


def test_without_content_nothing_of_the_question_is_said(notice: Notice) -> None:
    bare = replace(notice, asked=None)
    assert "ACME" not in text(bare) + subject(bare) + str(payload(bare))


def test_a_question_for_a_plain_value_is_answered_with_one(notice: Notice) -> None:
    assert commands(replace(notice, decisions=()))["answer"] == "adjourn resume 'order 7' --value JSON --review r-1"


@pytest.mark.parametrize("kind", ["decided", "expired"])
def test_a_closed_review_shows_its_outcome_and_asks_for_nothing(notice: Notice, kind: str) -> None:
    closed = replace(notice, kind=kind, outcome="decided by system:deadline")
    assert list(commands(closed)) == ["look"]
    assert "Outcome:   decided by system:deadline" in text(closed)
    assert "Due:" not in text(closed)


def test_the_id_is_of_the_event_and_of_nothing_else(notice: Notice) -> None:
    same = [notice, replace(notice, asked=None, due_at=None, roles=(), workflow="x", decisions=())]
    others = [
        replace(notice, kind="reminded"),
        replace(notice, number=1),
        replace(notice, review_id="r-2"),
        replace(notice, thread_id="order 8"),
    ]
    assert len({each.event_id for each in same}) == 1
    assert len({each.event_id for each in (notice, *others)}) == 5
    assert "." not in notice.event_id  # it is joined to the rest by dots when it is signed


@settings(max_examples=50)
@given(st.text())
def test_any_text_becomes_one_short_printable_line(given_text: str) -> None:
    line = in_short(given_text)
    assert len(line) <= 200
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1))
def test_any_thread_id_is_one_word_of_the_command(thread_id: str) -> None:
    one = Notice("asked", thread_id, "r", "w", at=None)  # type: ignore[arg-type]
    words = shlex.split(commands(one)["answer"])
    options = ["--value", "JSON", "--review", "r"]
    named = [*options, "--", thread_id] if thread_id.startswith("-") else [thread_id, *options]
    assert words == ["adjourn", "resume", *named]


def test_a_thread_id_is_never_an_option(notice: Notice) -> None:
    found = commands(replace(notice, thread_id="--debug"))
    assert found["reject"] == "adjourn resume --review r-1 -- --debug reject REASON"
