"""The example works on real files over real HTTP; and the benchmark runs."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from adjourn.examples import adaptive_pages
from adjourn.examples.adaptive_pages import check, serving, show
from benchmarks.adaptive import main

ROOT = Path(__file__).parents[2]
# sixteen pages one by one take 1.6 s of a target of one second; sixteen at once have 1.4 s for what takes a tenth of one
PAGES = sorted((ROOT / "docs").rglob("*.md"))[:16]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some pages of this documentation."""
    for page in PAGES:
        (tmp_path / "here" / page.name).parent.mkdir(exist_ok=True)
        (tmp_path / "here" / page.name).write_bytes(page.read_bytes())
    return tmp_path / "here"


def test_pages_are_checked_at_the_same_time_when_one_by_one_is_too_slow_and_the_next_check_begins_with_that(
    folder: Path, adaptive_database: str
) -> None:
    there = folder.parent / "there"
    there.mkdir()
    first, second, *others = (page.name for page in PAGES)
    for name in others:
        (there / name).write_bytes((folder / name).read_bytes())
    (there / second).write_text("somebody has changed this\n")
    with serving(there) as server:
        run = check(folder, server, adaptive_database)
        again = check(folder, server, adaptive_database)
    assert run.status == "completed", run.reviews
    assert [each["strategy"] for each in run.state["attempts"]] == ["standard_processing", "parallel_execution"]
    assert run.state["adaptation_history"][0]["reason"] == "slow_response"
    result = run.state["final_result"]["result"]
    assert (result["pages"], result["missing"], result["different"]) == (16, [first], [second])
    assert again.state["start"]["why"] == "best_record"
    assert [each["strategy"] for each in again.state["attempts"]] == ["parallel_execution"]
    with redirect_stdout(io.StringIO()) as shown:
        show(run)
    assert "slow_response → parallel_execution" in shown.getvalue()


def test_a_short_benchmark_shows_that_remembering_needs_fewer_attempts(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["adaptive", "--quick", "--url", server, "--out", str(tmp_path)])
    main()
    written = json.loads((tmp_path / "adaptive.json").read_text())
    assert all(each["ratio"] <= written["target"] for each in written["on_paper"].values())
    assert written["really"]["remembering"] < written["really"]["fixed"]
    assert "| one, through the engine |" in (tmp_path / "adaptive.md").read_text()


def test_the_example_says_how_it_is_called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for given in ([], ["no-such-folder"], [".", "http://127.0.0.1:1", "more"]):
        monkeypatch.setattr("sys.argv", ["adaptive_pages", *given])
        assert adaptive_pages.main() == 2
        assert "FOLDER [ADDRESS]" in capsys.readouterr().err
