"""The benchmark works; what it measures is not asserted here. Its processes are forked, which saves their imports."""

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from support.forking import fork_server

ROOT = Path(__file__).parents[2]


def test_a_short_benchmark_prints_its_targets_and_writes_its_figures(server: str, tmp_path: Path) -> None:
    python = str(fork_server() / "python")
    command = [python, "-m", "benchmarks.store", "--quick", "--url", server, "--out", str(tmp_path)]
    environment = {**os.environ, "FORKED_EXECUTABLE": python}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "throughput against AsyncPostgresSaver" in done.stdout
    assert "bytes on disk for a run of four steps" in done.stdout
    written = json.loads((tmp_path / "store.json").read_text())
    measured = {(row["name"], row["durability"], row["at_once"]) for row in written["figures"]}
    assert {
        (name, how, n) for name in ("ours", "stock", "memory") for how in ("sync", "async", "exit") for n in (1, 4)
    } <= measured
    assert all(row["runs_per_second"] > 0 for row in written["figures"])
    assert 0 < written["bytes_per_run"]["ours, pruned"] < written["bytes_per_run"]["ours"]
    assert {"what", "reached", "target", "met"} == set(written["targets"][0])
    assert "| target | reached |" in (tmp_path / "store.md").read_text()
    assert (tmp_path / "store.png").exists() == bool(find_spec("matplotlib"))
