"""erase: nothing goes without a yes, and what stays can be seen."""

import sys
from typing import Any

import pytest

from support.postgres import dump

from .conftest import Command


@pytest.fixture
def ended(cli: Command) -> None:
    """A run `c` that has completed."""
    cli("run", "colour", "--thread", "c")
    cli("resume", "c", "--value", '"ANSWERSECRET"')


def test_what_a_run_was_about_is_erased_after_a_yes(
    cli: Command, ended: None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def says(question: str, **_: Any) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", says)
    declined = cli("erase", "c")
    assert (declined.code, declined.err) == (4, "Nothing was erased.\n")
    assert b"ANSWERSECRET" in dump(database)
    said = cli("erase", "c", "--by", "dana")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Erased: what the run c was about\n")
    assert said.out.splitlines()[-1].endswith("audit c")
    assert asked == ["Erase what the run c (colour, completed) was about, for good?"] * 2
    assert b"ANSWERSECRET" not in dump(database)
    last = cli("audit", "c", "--json").json["items"][-1]
    assert (last["kind"], last["by"], last["channel"]) == ("erased", "dana", "cli")


def test_without_a_terminal_a_yes_is_needed(cli: Command, ended: None, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = cli("erase", "c")
    assert (refused.code, "show c`, then say --yes" in refused.err) == (2, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert cli("erase", "c", "--json").code == 2, "whoever reads JSON cannot be asked"
    assert cli("show", "c", "--json").json["state"] != {}
    run = cli("erase", "c", "--yes", "--json").json
    assert (run["thread_id"], run["status"], run["state"]) == ("c", "completed", {})


def test_a_run_that_has_not_ended_is_kept_and_nobody_is_asked(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("run", "colour", "--thread", "c")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: pytest.fail("asked"))
    refused = cli("erase", "c")
    assert (refused.code, "is paused and needs its content" in refused.err) == (4, True)
