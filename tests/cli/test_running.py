"""run, resume, retry, cancel: what they do, say and return."""

from pathlib import Path

import pytest

from .conftest import Command

RISKY = "The supplier is liable without any limit, and the agreement cannot be terminated."


@pytest.fixture
def paused(cli: Command) -> str:
    """A run of `review` that waits for a person."""
    assert cli("run", "review", "--set", f"input_text={RISKY}", "--thread", "r", "--by", "kim").code == 10
    return "r"


def test_a_pause_shows_the_question_and_the_commands_that_answer_it(cli: Command) -> None:
    said = cli("run", "review", "--set", f"input_text={RISKY}", "--thread", "r")
    assert said.code == 10
    assert "Paused: review asks a person" in said.out
    assert "Please check this analysis" in said.out
    assert "risk_level" in said.out
    for answer in ("approve", "edit --set sentiment=", "reject 'why ", "respond 'what "):
        assert f"resume r {answer}" in said.out


def test_progress_goes_to_standard_error_a_line_for_each_node(cli: Command) -> None:
    said = cli("run", "review", "--set", f"input_text={RISKY}")
    lines = [line.split() for line in said.err.splitlines()]
    assert [line[0] for line in lines] == ["analyze", "validate", "human_review"]
    assert lines[0][2] in ("ms", "s")
    assert "analyze" not in said.out.split("Answer with")[0]


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (["approve", "--by", "dana"], "approved"),
        (["edit", "--set", "risk_level=high"], "approved_with_edits"),
        (["edit", "--edit", '{"topics": ["law"]}'], "approved_with_edits"),
    ],
)
def test_an_answer_drives_the_run_to_its_decision(cli: Command, paused: str, answer: list[str], decision: str) -> None:
    said = cli("resume", paused, *answer)
    assert said.code == 0
    assert f"Completed: {decision}" in said.out
    assert "decided by" in said.out


def test_a_rejection_asks_again_and_the_reason_reaches_the_workflow(cli: Command, paused: str) -> None:
    assert cli("resume", paused, "reject", "The risk is overstated.").code == 10
    run = cli("show", paused, "--json").json
    assert run["state"]["rejection_reason"] == "The risk is overstated."
    assert "an earlier result was rejected" in run["reviews"][0]["description"]


def test_whoever_answers_is_recorded(cli: Command, paused: str) -> None:
    cli("resume", paused, "approve", "--by", "dana")
    run = cli("show", paused, "--json").json
    assert (run["requested_by"], run["state"]["human_interactions"][0]["by"]) == ("kim", "dana")


def test_a_run_that_exists_is_shown_and_not_driven_again(cli: Command, paused: str) -> None:
    said = cli("run", "review", "--set", f"input_text={RISKY}", "--thread", paused)
    assert said.code == 10
    assert said.err == "This run was started before; it is shown as it stands.\n"


def test_a_plain_question_is_answered_with_a_json_value(cli: Command) -> None:
    said = cli("run", "colour", "--thread", "c")
    assert "Which colour?" in said.out
    assert "resume c --value '\"your answer\"'" in said.out
    assert cli("resume", "c", "--value", '"grün"').code == 0
    assert cli("show", "c", "--json").json["state"]["answer"] == "grün"


def test_of_several_questions_each_shows_its_own_command(cli: Command) -> None:
    said = cli("run", "pair", "--thread", "p")
    assert "Paused: pair asks 2 questions" in said.out
    first, second = cli("show", "p", "--json").json["reviews"]
    for review in (first, second):
        assert f"--review {review['id']}" in said.out
    assert cli("resume", "p", "--value", '"yes"', "--review", first["id"]).code == 10
    assert cli("resume", "p", "--value", '"no"').code == 0  # one is left, so it need not be named


def test_typed_input_and_state_of_any_workflow_are_shown(cli: Command) -> None:
    said = cli("run", "counting", "--set", "count:=2", "--set", "text=a")
    assert said.code == 0
    assert "Completed: counting" in said.out
    assert ["count", "3"] in [line.split() for line in said.out.splitlines()]


def test_a_failure_names_the_node_and_the_error_and_how_to_go_on(cli: Command, tmp_path: Path) -> None:
    file = tmp_path / "late.txt"
    said = cli("run", "failing", "--set", f"file={file}", "--thread", "f")
    assert said.code == 1
    assert "Failed: in need_file: FileNotFoundError:" in said.out.replace("\n", " ")
    assert "retry f" in said.out
    assert "Traceback" not in said.out + said.err
    assert cli("retry", "f").code == 1
    file.write_text("here")
    assert cli("retry", "f").code == 0


def test_a_cancelled_run_says_by_whom_and_why(cli: Command, paused: str) -> None:
    said = cli("cancel", paused, "--reason", "the deal is off", "--by", "kim")
    assert said.code == 0
    assert "Cancelled: by kim: the deal is off" in said.out


def test_the_context_reaches_the_engine_as_json(cli: Command) -> None:
    assert cli("run", "colour", "--context", '{"unit": "x"}').code == 10
    assert "--context is not valid JSON" in cli("run", "colour", "--context", "x").err


def test_a_database_that_was_named_stands_in_the_commands_without_its_password(cli: Command, database: str) -> None:
    said = cli("run", "colour", "--thread", "c", "--database", database)
    password = database.partition("@")[0].rpartition(":")[2]
    assert f"--database '{database.replace(f':{password}@', ':***@')}'" in said.out
    assert password not in said.out
    assert cli("--database", database, "show", "c").code == 0
