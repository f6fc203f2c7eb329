"""The shapes of `--json`, as docs/reference/command-line.md promises them."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import pytest

from adjourn.cli.json_out import dumps, plain

from .conftest import Command

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
RUN = {
    "thread_id", "workflow", "version", "source", "status", "requested_by", "tenant", "created_at", "updated_at",
    "ended_at", "error", "forked_from", "parent",
}  # fmt: skip
REVIEW = {
    "id", "thread_id", "workflow", "status", "action", "args", "description", "allowed", "edit_schema",
    "response_schema", "context", "value", "policy", "requested_by", "roles", "stage", "version", "digest", "asked_at",
    "due_at", "overdue", "votes", "missing", "closed_by", "closed_at",
}  # fmt: skip
VOTE = {
    "by", "kind", "at", "message", "answer", "counts", "version", "shown", "proposal", "source", "channel", "roles",
}  # fmt: skip
STEP = {"number", "checkpoint_id", "nodes", "changed", "at", "took_seconds", "waited"}
TIMELINE = {"thread_id", "status", "total_seconds", "working_seconds", "waiting_seconds", "items", "after"}


@pytest.fixture
def paused(cli: Command) -> Iterator[str]:
    cli("run", "hostile", "--thread", "h")
    return "h"


def test_a_run_has_these_keys_whatever_command_shows_it(cli: Command) -> None:
    first = cli("run", "hostile", "--thread", "h", "--json")
    assert (first.code, first.err) == (10, "")
    shown = cli("show", "h", "--json").json
    answered = cli("resume", "h", "approve", "--json").json
    for run in (first.json, shown, answered):
        assert set(run) == RUN | {"state", "reviews", "children"}
    assert set(shown["reviews"][0]) == REVIEW
    assert datetime.fromisoformat(shown["created_at"]).tzinfo is not None


def test_a_listing_has_items_and_after(cli: Command, paused: str) -> None:
    page = cli("list", "--json").json
    assert set(page) == {"items", "after"}
    assert set(page["items"][0]) == RUN


def test_a_review_has_these_keys_and_so_has_a_decision(cli: Command, paused: str) -> None:
    page = cli("inbox", "--json").json
    assert set(page) == {"items", "after"}
    assert set(page["items"][0]) == REVIEW
    cli("resume", paused, "approve")
    assert [set(vote) for vote in cli("review", paused, "--json").json["votes"]] == [VOTE]


def test_a_history_has_items_and_totals(cli: Command, paused: str) -> None:
    timeline = cli("history", paused, "--json").json
    assert set(timeline) == TIMELINE
    assert set(timeline["items"][0]) == STEP


def test_retry_and_cancel_print_the_run(cli: Command) -> None:
    failed = cli("run", "failing", "--set", "file=/does/not/exist", "--thread", "f", "--json")
    assert (failed.code, failed.json["status"], failed.json["error"]["node"]) == (1, "failed", "need_file")
    assert set(cli("retry", "f", "--json").json) == RUN | {"state", "reviews", "children"}
    assert cli("cancel", "f", "--reason", "no", "--json").json["error"]["message"] == "no"


@pytest.mark.parametrize(
    ("arguments", "kind", "thread"),
    [
        (["show", "nope"], "UnknownThread", "nope"),
        (["run", "nope"], "UnknownWorkflow", None),
        (["run"], "UsageError", None),
        (["list", "--limit", "many"], "UsageError", None),
        (["run", "review", "--input", "{"], "InvalidInput", None),
    ],
)
def test_an_error_is_an_object_too(cli: Command, arguments: list[str], kind: str, thread: str | None) -> None:
    said = cli(*arguments, "--json")
    assert set(said.json) == {"error"}
    assert set(said.json["error"]) == {"type", "message", "thread_id"}
    assert (said.json["error"]["type"], said.json["error"]["thread_id"]) == (kind, thread)
    assert said.err == ""


def test_letters_are_kept_and_nothing_reaches_the_terminal_that_it_would_obey(cli: Command, paused: str) -> None:
    text = cli("show", paused, "--json").out
    assert "ä" in text
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
    assert json.loads(text)["reviews"][0]["args"]["to"].startswith("\x1b[31mred")


def test_values_that_json_lacks_find_a_form() -> None:
    @dataclass
    class Point:
        x: int

    class Colour(Enum):
        RED = "red"

    class Kind(int, Enum):
        ONE = 1

    at = datetime(2026, 11, 20, tzinfo=UTC)
    given = {
        1: at,
        "took": timedelta(seconds=1.5),
        "set": {1},
        "point": Point(2),
        "bytes": b"\xff",
        "nan": math.nan,
    }
    assert plain(given) == {
        "1": "2026-11-20T00:00:00+00:00", "took": 1.5, "set": [1], "point": {"x": 2}, "bytes": "/w==", "nan": None,
    }  # fmt: skip
    assert plain([Colour.RED, Kind.ONE, Exception("text")]) == ["red", 1, "text"]


def test_a_reader_of_ascii_gets_ascii() -> None:
    assert dumps({"a": "ä"}, ascii_only=True) == '{\n  "a": "\\u00e4"\n}'
    assert json.loads(dumps("\x9b\u202e\ud800")) == "\x9b\u202e\ud800"


def test_the_page_names_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [key for key in RUN | REVIEW | VOTE | STEP | TIMELINE if f'"{key}"' not in page] == []
