"""Bad input: one clear line, the right exit code, and nothing stored."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Command

RISKY = "The supplier is liable without any limit, and the agreement cannot be terminated."


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "reveiw"], 4, "There is no workflow 'reveiw'; known: adaptive, colour, council, counting,"),
        (["run", "reveiw"], 4, "Did you mean 'review'?"),
        (["run", "review"], 2, "The input lacks the key 'input_text' (str)."),
        (["run", "review", "--set", "input_txt=x"], 2, "Did you mean 'input_text'?"),
        (["run", "review", "--set", "input_text:=3"], 2, "The input key 'input_text' must be str"),
        (["run", "review", "--input", '"text"'], 2, "it must be a dictionary with input_text (str)"),
        (["run", "counting", "--set", "count=3", "--set", "text=x"], 2, "write count:=… to give JSON"),
        (["run", "review", "--input", '{"input_text": }'], 2, "--input is not valid JSON"),
        (["run", "review", "--input", "@none.json"], 2, "there is no file 'none.json'"),
        (["run", "review", "--set", "input_text=@none.txt"], 2, "there is no file 'none.txt'"),
        (["run", "review", "--set", "input_text=a\udcffb"], 2, "is not valid Unicode text"),
        (["run", "review", "--set", "input_text=x", "--thread", "a\nb"], 2, "A thread id is 1 to 200 printable"),
        (["show", "nope"], 4, "There is no run 'nope' here"),
        (["resume", "nope", "approve"], 4, "There is no run 'nope' here"),
        (["history", "nope"], 4, "There is no run 'nope' here"),
        (["retry", "nope"], 4, "There is no run 'nope' here"),
        (["cancel", "nope", "--reason", "x"], 4, "There is no run 'nope' here"),
        (["erase", "nope", "--yes"], 4, "There is no run 'nope' here"),
        (["cancel", "nope"], 2, "Missing option '--reason'"),
        (["lst"], 2, "No such command 'lst'. Did you mean 'list'?"),
        (["list", "--limt", "3"], 2, "No such option"),
        (["run", "adaptive", "--set", "main_task= "], 2, "The input key 'main_task' does not fit: it says nothing;"),
        (["run", "adaptive", "--set", "main_task=x", "--set", "strategy=x"], 2, "current_strategy (str), fallback_"),
        (["run", "delegation", "--set", "pan=x"], 2, "plan (dict | str)"),
        (["list", "--status", "bad"], 2, "Invalid value for '--status': 'bad' is not one of 'queued'"),
        (["run"], 2, "Missing argument 'WORKFLOW'. See: adjourn run --help"),
    ],
)
def test_is_refused_and_nothing_is_stored(
    cli: Command, stored: Callable[[], int], arguments: list[str], code: int, said: str
) -> None:
    refused = cli(*arguments)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err
    assert refused.err.startswith("Error: ")
    assert refused.err.count("\n") == 1
    assert stored() == 0


def test_input_over_the_limit_is_refused(
    cli: Command, stored: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADJOURN_MAX_INPUT_BYTES", "1000")
    (tmp_path / "large.txt").write_text("word " * 300)
    refused = cli("run", "review", "--set", f"input_text=@{tmp_path / 'large.txt'}")
    assert (refused.code, stored()) == (2, 0)
    assert "more than the 1,000 that ADJOURN_MAX_INPUT_BYTES allows" in refused.err


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (["aprove"], 2, "Did you mean approve?"),
        (["edit", "--set", "risk_level=enormous"], 2, "'enormous' is not one of ['low', 'medium', 'high']"),
        (["edit", "--set", "risk=low"], 2, "'risk' was unexpected"),
        (["edit", "--set", 'topics=["law"]'], 2, "write topics:=… to give JSON"),
        (["--value", "3"], 2, "is not a decision. Possible: approve, edit, reject, respond"),
        (["approve", "--review", "nope"], 4, "Run r has no review nope"),
    ],
)
def test_an_answer_that_does_not_fit_leaves_the_question_open(
    cli: Command, answer: list[str], code: int, said: str
) -> None:
    cli("run", "review", "--set", f"input_text={RISKY}", "--thread", "r")
    before = cli("show", "r", "--json").json
    refused = cli("resume", "r", *answer)
    assert refused.code == code
    assert said in refused.err
    assert cli("show", "r", "--json").json == before
    assert cli("resume", "r", "approve").code == 0


def test_a_decision_where_a_plain_value_is_asked_for_is_refused(cli: Command) -> None:
    cli("run", "colour", "--thread", "c")
    refused = cli("resume", "c", "approve")
    assert refused.code == 2
    assert "this question asks for a plain value" in refused.err


def test_of_several_questions_one_must_be_named(cli: Command) -> None:
    cli("run", "pair", "--thread", "p")
    refused = cli("resume", "p", "--value", "1")
    assert refused.code == 4
    assert "Name one with --review ID" in refused.err


def test_what_the_state_of_a_run_forbids_is_refused(cli: Command) -> None:
    cli("run", "colour", "--thread", "c")
    assert (cli("retry", "c").code, "it waits for an answer" in cli("retry", "c").err) == (4, True)
    other = cli("run", "counting", "--set", "count:=1", "--set", "text=x", "--thread", "c")
    assert (other.code, "The thread id 'c' is taken" in other.err) == (4, True)
    cli("resume", "c", "--value", "1")
    again = cli("resume", "c", "--value", "2")
    assert (again.code, "it has completed" in again.err) == (4, True)
    assert cli("cancel", "c", "--reason", "x").code == 4


def other_password(url: str) -> str:
    head, _, tail = url.partition("@")
    return f"{head.rpartition(':')[0]}:wrong@{tail}"


def test_a_wrong_password_is_a_storage_error_that_does_not_show_it(cli: Command, database: str) -> None:
    refused = cli("list", "--database", other_password(database))
    assert refused.code == 3
    assert "password" in refused.err
    assert "wrong" not in refused.err
    assert refused.err.count("\n") == 1


def test_a_database_that_cannot_be_reached_is_a_storage_error(cli: Command) -> None:
    refused = cli("list", "--database", "postgresql://kim:secret@127.0.0.1:1/work")
    assert refused.code == 3
    assert "127.0.0.1" in refused.err
    assert "secret" not in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADJOURN_DATABASE_URL", "nonsense", "postgresql://user:password@host:5432/database"),
        ("ADJOURN_POOL_SIZE", "many", "ADJOURN_POOL_SIZE is not usable"),
        ("ADJOURN_MODEL", "openai:gpt-5-mini", "ADJOURN_MODEL"),
        ("ADJOURN_MODEL", "nonsense", "ADJOURN_MODEL"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    cli: Command, monkeypatch: pytest.MonkeyPatch, stored: Callable[[], int], name: str, value: str, said: str
) -> None:
    with monkeypatch.context() as set_wrong:
        set_wrong.setenv(name, value)
        refused = cli("run", "review", "--set", f"input_text={RISKY}")
    assert refused.code == 2
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert stored() == 0


def test_a_home_that_cannot_be_written_is_named(cli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("ADJOURN_DATABASE_URL")
    monkeypatch.setenv("ADJOURN_HOME", str(tmp_path / "file" / "home"))
    refused = cli("list")
    assert refused.code == 2
    assert "Set ADJOURN_HOME to a folder that you may write to" in refused.err


def test_a_traceback_comes_only_on_request(cli: Command) -> None:
    assert "Traceback" not in cli("show", "nope").err
    debugged = cli("show", "nope", "--debug")
    assert "Traceback" in debugged.err
    assert (debugged.code, "Error: There is no run" in debugged.err) == (4, True)
