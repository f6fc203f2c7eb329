"""What people see of a council: events while it sits, and its minutes."""

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from adjourn.cli.council_view import council_line
from adjourn.cli.main import run_command
from adjourn.graphs.council import build
from adjourn.nodes.council import member
from adjourn.state.minutes import has_minutes, minutes
from support.councils import Voter

INCIDENT = Path(__file__).parents[2] / "examples" / "incident.md"


def quarrelling() -> Any:
    ada = Voter(work={"cause": "disk"}, argue={"keeps": True, "reason": "The log."}, draft="D", vote=["yes", "yes"])
    bo = Voter(work=[OSError("gone"), {"cause": "net"}], argue="?", draft=OSError("no pen"), vote=["no", "yes"])
    cy = Voter(work="Nothing.", draft="# not\na | heading", vote=[{"decision": "?"}, "yes"])
    return build([member(name, act, capabilities=[name[0]]) for name, act in {"ada": ada, "bo": bo, "cy": cy}.items()])


GIVEN = {
    "main_task": "Was it the | disk?",
    "options": ["yes", "no"],
    "subtasks": [{"id": each, "capabilities": [each]} for each in "abc"],
}


async def sat() -> tuple[Any, list[Any]]:
    events: list[Any] = []
    final: Any = None
    async for mode, part in quarrelling().compile().astream(GIVEN, stream_mode=["custom", "values"]):
        if mode == "custom":
            events.append(part)
        else:
            final = part
    return final, events


async def test_every_event_of_a_council_is_a_line_and_each_tells_who_did_what() -> None:
    _, events = await sat()
    lines = [line.plain for event in events if (line := council_line(event)) is not None]
    silent = {"drafting", "working", "helping"}
    assert len(lines) == sum(event["event"] not in silent for event in events)
    text = "\n".join(" ".join(line.split()) for line in lines)
    for said in (
        "plan 3 subtasks a, b, c", "ada gets a", "bo fails at b OSError: gone", "bo gets b (try 2)", "ada has done a in",
        "results 1 contradiction", "cause left open ada keeps to it; bo keeps to it", "ada proposes D",
        "bo writes no draft OSError: no pen", "round 1 3 agents vote", "ada votes yes ada says yes",
        "cy abstains the decision ? is not one of the options: yes, no", "round 1 level 0.50",
        "round 2 level 1.00", "consensus yes", "answer Decision: yes.",
    ):  # fmt: skip
        assert said in text, f"{said!r} is missing in\n{text}"


def test_an_event_of_somebody_else_is_no_line_and_a_broken_one_no_error() -> None:
    for data in (
        None,
        "text",
        {"type": "other"},
        {"type": "council", "event": "vote"},
        {"type": "council", "event": 7},
    ):
        assert council_line(data) is None


async def test_minutes_say_who_proposed_voted_and_decided_and_agents_cannot_forge_them() -> None:
    state, _ = await sat()
    text = minutes(state)
    assert text.startswith("# Minutes: Was it the \\| disk?\n")
    for said in (
        "- Decided: **yes**, by vote",
        "- Dissent: none",
        "| b | bo | completed (try 2) |",
        "- bo failed at b: OSError: gone",
        "- cause: a says disk, b says net; left open",
        "  - bo keeps to it: its answer does not say",
        "- **cy**: \\# not a \\| heading",
        "- **bo**: none; OSError: no pen",
        "## Round 1",
        "| ada | yes | 1 | - | ada says yes |",
        "| cy | abstains | 1 | - | the decision ? is not one of the options: yes, no |",
        "## Round 2",
        "| build\\_consensus | 9 | 0 | 0 | 0 |",
    ):
        assert said in text, f"{said!r} is missing in\n{text}"


def test_only_councils_have_minutes() -> None:
    assert not has_minutes({"subtasks": {}, "main_task": "x"})
    assert not has_minutes(None)
    assert not has_minutes({"consensus_results": "yes"})
    assert has_minutes({"subtasks": {}, "agent_assignments": {}})


def test_the_command_shows_the_council_live_and_its_minutes_in_words_and_as_markdown(
    council_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", council_database)
    monkeypatch.setenv("COLUMNS", "120")

    def said(*arguments: str) -> Any:
        capsys.readouterr()
        code = run_command(arguments)
        return (int(code), *capsys.readouterr())

    options = ["--set", 'options:=["disk full of backup copies", "a failure of the network"]']
    task = ["--set", "main_task=What was the root cause of the outage?", "--set", f"material=@{INCIDENT}"]
    code, out, err = said("run", "council", *task, *options, "--thread", "seen")
    assert code == 0
    assert "analyst      has done facts" in err
    assert "Completed: disk full of backup copies" in out
    assert "Decided: disk full of backup copies, by agreement" in out
    _, shown, _ = said("show", "seen")
    assert "Minutes: What was the root cause of the outage?" in shown
    _, markdown, _ = said("show", "seen", "--markdown")
    assert markdown.startswith("# Minutes: What was the root cause of the outage?\n")
    assert "| sceptic | disk full of backup copies |" in markdown
    _, _, told = said("show", "seen", "--follow")
    assert "analyst      has done facts" in told
    assert (
        json.loads(said("show", "seen", "--json")[1])["state"]["final_result"]["decision"]
        == "disk full of backup copies"
    )
    code, _, err = said("run", "review", "--set", "input_text=All is well today.", "--thread", "plain")
    code, _, err = said("show", "plain", "--markdown")
    assert (code, "is no council" in err) == (2, True)
    code, drawn, _ = said("graph", "council")
    assert (code, "build_consensus" in drawn) == (0, True)
    structlog.reset_defaults()
