"""What `adjourn` exports, and what importing it costs."""

import subprocess
import sys
from pathlib import Path

import adjourn
from adjourn import errors

ROOT = Path(__file__).parents[2]


def python(code: str, folder: Path | None = None) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()


def test_every_public_name_can_be_imported() -> None:
    for name in adjourn.__all__:
        assert getattr(adjourn, name) is not None


def test_the_public_names_are_these() -> None:
    assert set(adjourn.__all__) == {
        "AsyncEngine", "Engine", "AuditEntry", "AuditReport", "Child",
        "Event", "Page", "Principal", "Review", "Run", "Step", "Timeline",
        "Decision", "approve", "edit", "reject", "respond",
        "DefaultValue", "ReviewPolicy", "Stage", "Swept", "Vote",
        "Limit", "LimitStatus", "Schedule", "Timetable",
        "Case", "Settings",
        "Breaker", "Budget", "Cache", "Coping", "Loops", "Price", "Rate", "Retry", "ToolRules",
        *errors.__all__,
    }  # fmt: skip


def test_the_error_tree_is_exported_whole() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)


def test_the_head_of_errors_draws_every_error() -> None:
    for name in errors.__all__:
        assert f"{name} " in str(errors.__doc__) or f"{name}\n" in str(errors.__doc__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(adjourn, "no_such_name")


def test_importing_adjourn_loads_neither_langgraph_nor_langchain(tmp_path: Path) -> None:
    heavy = python(
        "import sys, adjourn\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('langgraph', 'langchain', 'langchain_core', "
        "'psycopg', 'pydantic', 'typer', 'rich')])",
        tmp_path,
    )
    assert heavy == "[]"


def test_the_readme_import_works_from_any_folder(tmp_path: Path) -> None:
    code = "from adjourn import Engine, AsyncEngine, approve, edit, reject, respond; print(Engine.__name__)"
    assert python(code, tmp_path) == "Engine"


def test_errors_keep_their_attributes_between_processes() -> None:
    import pickle

    error = errors.ReviewClosed("closed", outcome={"by": "dana"}, thread_id="t")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.outcome, again.thread_id) == (
        errors.ReviewClosed, "closed", {"by": "dana"}, "t",
    )  # fmt: skip
