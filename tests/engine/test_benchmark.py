"""The engine's benchmark works; what it measures is not asserted here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.forking import fork_server

ROOT = Path(__file__).parents[2]


def measured(name: str, server: str, folder: Path, python: str | Path) -> tuple[dict[str, Any], str]:
    """Run a benchmark for a short time; returns what it has written and printed."""
    command = [python, "-m", f"benchmarks.{name}", "--quick", "--url", server, "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / f"{name}.json").read_text()), done.stdout


def test_a_short_benchmark_prints_its_targets_and_writes_its_figures(server: str, tmp_path: Path) -> None:
    written, printed = measured("engine", server, tmp_path, fork_server() / "python")
    assert set(written["ratios"]) == set(written["targets"])
    assert [name for name in written["targets"] if name not in printed] == []


def test_a_short_benchmark_of_the_inbox_names_the_index_of_each_page(server: str, tmp_path: Path) -> None:
    written, _ = measured("inbox", server, tmp_path, fork_server() / "python")
    for name, page in written["pages"].items():
        assert page["shown"] > 0, name
        assert page["indexes"], name
        assert not any(index.startswith("all of") for index in page["indexes"]), name


@pytest.mark.soak
def test_a_short_benchmark_of_workers_prints_its_targets_and_writes_its_figures(server: str, tmp_path: Path) -> None:
    written, printed = measured("workers", server, tmp_path, sys.executable)
    assert set(written["ratios"]) == set(written["targets"])
    assert [name for name in written["targets"] if name not in printed] == []
