"""What people see of a plan: the tree, live and afterwards, its picture, and what is refused."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from adjourn import Run
from adjourn.cli.main import run_command
from adjourn.cli.plan_tree import plan_tree
from adjourn.cli.progress import Progress
from adjourn.cli.render import outcome
from adjourn.engine.events import Custom
from adjourn.engine.plan_view import PlanView, plan_in_file, plan_of_run

PLAN = """
main_task: The report
subtasks:
  - {id: read, expected_seconds: 2, capabilities: [analyse], input_data: {text: All is well.}}
  - id: page
    dependencies: [read]
    plan:
      subtasks:
        - {id: text, capabilities: [combine], expected_seconds: 3}
        - {id: links, capabilities: [combine]}
  - {id: other, capabilities: [combine]}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def drawn(view: PlanView, **options: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=options.get("width", 100))
    now = datetime(2026, 5, 1, 12, 0, 10, tzinfo=UTC)
    console.print(plan_tree(view, now, unicode=options.pop("unicode", True), **options))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_plan_is_a_tree_with_its_critical_path_marked(plan_file: Path) -> None:
    assert drawn(plan_in_file(plan_file)) == [
        "The report",
        "├─ · read ★     pending",
        "├─ · other      pending",
        "└─ · page ★     pending",
        "   ├─ · text ★  pending  ← read",
        "   └─ · links   pending  ← read",
        "5 subtasks: 5 pending (★ is on the critical path)",
    ]
    assert drawn(plan_in_file(plan_file), unicode=False)[1] == "|- . read *     pending"


def test_events_bring_the_tree_up_to_date_and_a_long_one_shows_what_matters(plan_file: Path) -> None:
    view = plan_in_file(plan_file)
    told = {"task_id": "read", "status": "in_progress", "assigned_agent": "ada", "retry_count": 2, "end_time": None,
            "start_time": "2026-05-01T12:00:00+00:00", "error_message": None}  # fmt: skip
    assert view.take({"delegation": {"subtask": told}}) is view.rows["read"]
    assert "├─ ▸ read ★     at work · ada · 10.0 s · 2 retries" in drawn(view)
    short = drawn(view, most=1)
    assert "read" in short[1]
    assert short[2] == "… and 4 more"
    failed = {**told, "status": "failed", "error_message": "no\x1b[31m luck", "end_time": "2026-05-01T12:00:03+00:00"}
    view.take({"delegation": {"subtask": failed}})
    assert "├─ ✗ read ★     failed · ada · 3.0 s · 2 retries · no luck" in drawn(view)
    assert view.take({"something": "else"}) is None
    assert view.take("text") is None


def test_where_there_is_little_room_names_are_whole_and_errors_are_cut(plan_file: Path) -> None:
    view = plan_in_file(plan_file)
    told = {"task_id": "other", "status": "failed", "assigned_agent": "ada", "retry_count": 1, "start_time": None,
            "end_time": None, "error_message": "there is no such file or directory, and nobody knows why " * 3}  # fmt: skip
    view.take({"delegation": {"subtask": told}})
    lines = drawn(view, width=60)
    assert lines[2].startswith("├─ ✗ other")
    assert lines[2].endswith("…")
    assert lines[4].startswith("   ├─ · text ★")


def test_without_a_terminal_each_subtask_that_ends_is_a_line() -> None:
    console = Console(file=io.StringIO(), width=100)
    row = {"task_id": "a", "status": "pending", "assigned_agent": None, "start_time": None, "end_time": None,
           "retry_count": 0, "error_message": None, "dependencies": [], "expected_seconds": 1}  # fmt: skip
    done = {**row, "status": "completed", "assigned_agent": "ada", "start_time": "2026-05-01T12:00:00+00:00",
            "end_time": "2026-05-01T12:00:03+00:00"}  # fmt: skip
    with Progress(console, lambda _: None) as progress:
        progress(Custom("t", (), {"delegation": {"plan": [row], "title": "T"}}))
        progress(Custom("t", (), {"delegation": {"subtask": done}}))
        progress(Custom("t", (), {"unknown": 1}))
    assert console.file.getvalue().split() == ["a", "completed", "·", "ada", "·", "3.0", "s"]  # type: ignore[attr-defined]


def test_a_state_that_only_looks_like_a_plan_is_none() -> None:
    assert plan_of_run({"subtasks": ["a"], "dependencies": {"a": []}}) is None
    assert plan_of_run({"subtasks": {"a": {"description": "x"}}, "dependencies": {"a": []}}) is None
    assert plan_of_run({}) is None


def test_pictures_schema_and_refusals_are_one_command_each(
    plan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["plan", str(plan_file), "--output", str(tmp_path / "plan.svg")]) == 0
    assert ET.parse(tmp_path / "plan.svg").getroot().tag.endswith("svg")
    capsys.readouterr()
    assert run_command(["plan", str(plan_file), "--format", "mermaid"]) == 0
    mermaid = capsys.readouterr().out
    assert mermaid.startswith("flowchart TD\n")
    assert 't0["read · 2.0 s *"]:::pending' in mermaid
    assert "t0 ==> t2" in mermaid
    assert run_command(["plan", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"subtasks": [{"id": "a", "error_recovery_strategy": "skip"}]})
    assert not validator.is_valid({"subtasks": [{"id": 7}]})
    plan_file.write_text("subtasks:\n  - {id: a, dependencies: [b]}\n")
    assert run_command(["plan", str(plan_file)]) == 2
    assert "line 2, `subtasks[0].dependencies[0]`: 'a' depends on 'b'" in capsys.readouterr().err


def test_run_and_show_draw_the_plan(
    plan_file: Path, database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    monkeypatch.chdir(plan_file.parent)
    assert run_command(["run", "delegation", "--set", f"plan=@{plan_file}", "--thread", "r"]) == 0
    told = capsys.readouterr()
    assert "completed · analyst" in told.err
    assert "✓ read" in told.out or "+ read" in told.out
    assert run_command(["show", "r"]) == 0
    shown = capsys.readouterr().out
    assert "critical path" in shown
    assert "subtasks" in shown
    assert run_command(["plan", "r", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["critical_path"][0] in ("read", "other"), "in real times either may be the longer way"
    assert {each["id"] for each in found["subtasks"]} == {"read", "page", "page/text", "page/links", "other"}
    assert {each["status"] for each in found["subtasks"]} == {"completed"}


def test_a_run_that_undoes_another_says_so() -> None:
    subtask = {"task_id": "a", "status": "completed", "assigned_agent": None, "start_time": None, "end_time": None,
               "retry_count": 0, "error_message": None, "parent": None, "expected_seconds": 1, "nested": False,
               "plan": None, "workflow": None}  # fmt: skip
    state: dict[str, Any] = {"subtasks": {"a": subtask}, "dependencies": {"a": []}, "undone_run": "june"}
    now = datetime(2026, 5, 1, tzinfo=UTC)
    run = Run(thread_id="t", workflow="w", version="1", source="a test", status="completed", requested_by="kim",
              tenant="default", created_at=now, updated_at=now, state=state)  # fmt: skip
    console = Console(file=io.StringIO(), width=100)
    console.print(outcome(run, lambda *words: " ".join(["adjourn", *words])))
    assert "Completed: w, undoing what run june did" in console.file.getvalue()  # type: ignore[attr-defined]
