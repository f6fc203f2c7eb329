"""The engine's benchmark works; what it measures is not asserted here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.forking import fork_server

ROOT = Path(__file__).parents[2]


def test_a_short_benchmark_prints_its_targets_and_writes_its_figures(server: str, tmp_path: Path) -> None:
    command = [fork_server() / "python", "-m", "benchmarks.engine", "--quick", "--url", server, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "engine.json").read_text())
    assert set(written["ratios"]) == set(written["targets"])
    for name in written["targets"]:
        assert name in done.stdout


def test_a_short_benchmark_of_the_inbox_names_the_index_of_each_page(server: str, tmp_path: Path) -> None:
    command = [fork_server() / "python", "-m", "benchmarks.inbox", "--quick", "--url", server, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "inbox.json").read_text())
    for name, page in written["pages"].items():
        assert page["shown"] > 0, name
        assert page["indexes"], name
        assert not any(index.startswith("all of") for index in page["indexes"]), name


@pytest.mark.soak
def test_a_short_benchmark_of_workers_prints_its_targets_and_writes_its_figures(server: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.workers", "--quick", "--url", server, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "workers.json").read_text())
    assert set(written["ratios"]) == set(written["targets"])
    for name in written["targets"]:
        assert name in done.stdout
