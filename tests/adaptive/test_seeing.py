"""What people see of an adaptive run: live, afterwards, and as JSON."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from rich.console import Console

from adjourn.cli.adaptive_view import Attempts, adaptive_line
from adjourn.cli.main import run_command
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import Strategy, Task
from adjourn.state.adaptive import has_attempts


def poor(task: Task) -> Any:
    return {"confidence": 0.2, "words": "\x1b[31mred"}


def broken(task: Task) -> Any:
    raise ValueError("no luck")


def good(task: Task) -> Any:
    return {"confidence": 0.9}


async def seen() -> tuple[Any, str]:
    strategies = {"quick": poor, "other": Strategy(good, lambda _: "it sleeps"), "broken": broken, "careful": good}
    events, state = [], None
    graph = build(strategies=strategies, memory=None).compile()
    async for mode, part in graph.astream({"main_task": "x"}, stream_mode=["custom", "values"]):
        if mode == "custom":
            events.append(part)
        else:
            state = part
    lines = [line.plain for event in events if (line := adaptive_line(event)) is not None]
    return state, "\n".join(" ".join(line.split()) for line in lines)


def drawn(state: Any, encoding: str = "utf-8") -> str:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), width=140)
    with console.capture() as capture:
        console.print(Attempts(state))
    return "\n".join(" ".join(line.split()) for line in capture.get().splitlines())


async def test_attempts_metrics_and_why_it_changed_are_told_while_it_happens() -> None:
    _, text = await seen()
    for said in (
        "strategy quick, the first in order",
        "attempt 1 quick",
        "response_time 1.00, accuracy 0.20 < 0.7, completeness 1.00",
        "low_accuracy: change to broken not other: it sleeps",
        "attempt 2 broken",
        "ValueError: no luck",
        "multiple_performance_issues: change to careful",
        "result careful good in everything",
    ):
        assert said in text, f"{said!r} is missing in\n{text}"


async def test_attempts_metrics_and_why_it_changed_are_shown_afterwards() -> None:
    state, _ = await seen()
    text = drawn(state)
    for said in (
        "began with quick: the first in order",
        "✗ 1 quick",
        "accuracy 0.20 < 0.7",
        "low_accuracy → broken",
        "✗ 2 broken",
        "ValueError: no luck",
        "multiple_performance_issues → careful",
        "✓ 3 careful",
    ):
        assert said in text, f"{said!r} is missing in\n{text}"
    assert "low_accuracy -> broken" in drawn(state, "ascii")
    known = {**state, "start": {"strategy": "quick", "why": "best_record",
             "records": {"quick": {"attempts": 3, "mean": 0.9, "at_least": 0.5, "at_most": 1.0}}}}  # fmt: skip
    assert "the best record of 3 attempts, 0.90 in the mean, 0.50 at least" in drawn(known)


def test_an_event_of_somebody_else_is_no_line_and_a_broken_one_no_error() -> None:
    for data in (None, "x", {"type": "other"}, {"type": "adaptive"}, {"type": "adaptive", "event": "measured"}):
        assert adaptive_line(data) is None
    assert not has_attempts({"attempts": [{"number": 1}]})
    assert not has_attempts({"attempts": []})
    assert not has_attempts(None)


def test_the_command_shows_the_run_live_and_afterwards(
    adaptive_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", adaptive_database)
    monkeypatch.setenv("COLUMNS", "140")

    def said(*arguments: str) -> Any:
        capsys.readouterr()
        code = run_command(arguments)
        return (int(code), *capsys.readouterr())

    given = tmp_path / "given.json"
    # with rules no text is ever this certain, so a person is asked
    task = {"main_task": "?", "material": "All is well.", "quality_thresholds": {"accuracy": 1.0}}
    given.write_text(json.dumps(task))
    code, out, err = said("run", "adaptive", "--input", f"@{given}", "--thread", "seen")
    assert code == 10
    assert "attempt 1    standard_processing" in err
    assert "low_accuracy: change to human_in_loop" in err
    assert "Attempts" in out
    assert "accuracy 0." in out
    code, out, _ = said("resume", "seen", "respond", "It is well.", "--by", "dana")
    assert (code, "Completed: adaptive, human_in_loop, decided by dana" in out) == (0, True)
    _, shown, _ = said("show", "seen")
    assert "low_accuracy" in shown
    assert "quality_thresholds" not in shown  # what the attempts say already
    _, _, told = said("show", "seen", "--follow")
    assert "low_accuracy: change to human_in_loop" in told
    state = json.loads(said("show", "seen", "--json")[1])["state"]
    assert state["adaptation_history"][0]["reason"] == "low_accuracy"
    assert state["attempts"][0]["performance_metrics"]["completeness"] == 1.0
    code, _, err = said("run", "adaptive", "--set", "main_task=x", "--set", "current_strategy=parallel")
    assert (code, "There is no strategy 'parallel'; known: standard_processing, parallel_execution" in err) == (2, True)
    code, drawn, _ = said("graph", "adaptive")
    assert (code, "adapt" in drawn) == (0, True)
    structlog.reset_defaults()
