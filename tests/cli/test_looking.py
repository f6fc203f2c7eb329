"""show, list, history."""

from collections.abc import Iterator

import pytest

from .conftest import Command


def ids(said: str) -> list[str]:
    return [line.split()[0] for line in said.splitlines() if line.startswith("  run-")]


@pytest.fixture
def several(cli: Command) -> Iterator[None]:
    for number in range(3):
        cli("run", "counting", "--set", f"count:={number}", "--set", "text=x", "--thread", f"run-{number}")
    cli("run", "colour", "--thread", "run-3")
    return


def test_an_empty_database_has_no_runs(cli: Command) -> None:
    assert (cli("list").out, cli("list").code) == ("No runs.\n", 0)


def test_runs_are_listed_newest_first_and_page_by_page(cli: Command, several: None) -> None:
    first = cli("list", "--limit", "3", "--workflow", "counting")
    assert ids(first.out) == ["run-2", "run-1", "run-0"]
    page = cli("list", "--limit", "2")
    assert ids(page.out) == ["run-3", "run-2"]
    assert "list --limit 2 --after run-2" in page.out
    rest = cli("list", "--limit", "2", "--after", "run-2", "--json").json
    assert ([run["thread_id"] for run in rest["items"]], rest["after"]) == (["run-1", "run-0"], None)


def test_a_listing_is_filtered_by_status(cli: Command, several: None) -> None:
    assert ids(cli("list", "--status", "paused").out) == ["run-3"]
    refused = cli("list", "--status", "open")
    assert refused.code == 2
    assert "'paused'" in refused.err


def test_a_narrow_listing_keeps_thread_ids_whole(cli: Command, several: None, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = cli("run", "colour", "--json").json["thread_id"]
    monkeypatch.setenv("COLUMNS", "40")
    lines = cli("list").out.splitlines()
    assert lines[:2] == [thread, f"  paused · colour · {lines[1].split(' · ')[2]} · just now"]
    assert max(map(len, lines)) <= 40


def test_show_tells_origin_and_state_and_the_long_values_on_request(cli: Command) -> None:
    long = "many words " * 100
    cli("run", "counting", "--set", "count:=1", "--set", f"text={long}", "--thread", "t")
    short, full = cli("show", "t").out, cli("show", "t", "--full").out
    assert "the entry point cli_samples:counting" in short
    assert "(1,100 characters)" in short
    assert " ".join(full.split()).count("many words") >= 100


def test_a_run_is_shown_without_the_code_of_its_workflow(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    cli("run", "colour", "--thread", "c")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.endswith("installed")])
    assert cli("show", "c").code == 0
    refused = cli("resume", "c", "--value", '"red"')
    assert (refused.code, "registered by the entry point cli_samples:colour" in refused.err) == (4, True)


def test_history_shows_each_step_with_a_bar_and_marks_waiting(cli: Command) -> None:
    cli("run", "colour", "--thread", "c")
    waiting = cli("history", "c").out
    assert "waiting now" in waiting
    cli("resume", "c", "--value", '"red"')
    lines = cli("history", "c").out.splitlines()
    assert lines[0].startswith("colour · completed · ")
    assert "waiting for people" in lines[0]
    asked = next(line for line in lines if "ask_colour" in line)
    assert "░" in asked
    assert asked.rstrip().endswith("answer")
