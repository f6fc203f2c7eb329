"""The examples and the benchmark work; what the benchmark measures is not asserted here."""

import json
import subprocess
from pathlib import Path

import pytest

from adjourn.examples import council, council_contract
from support.forking import fork_server

ROOT = Path(__file__).parents[2]


def test_the_council_on_the_incident_finds_the_cause(council_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", council_database)
    final = council.main().state["final_result"]
    assert (final["decision"], final["decided_by"]) == ("backups filled the disk of the primary", "vote")


def test_the_council_on_the_contract_argues_and_decides(council_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", council_database)
    state = council_contract.main().state
    assert {name: each["agent"] for name, each in state["agent_assignments"].items()} == {
        "find risks client": "client's counsel",
        "find duties provider": "provider's counsel",
        "add money named means": "bookkeeper",
    }
    assert state["disputes"][0]["settled"]
    assert state["final_result"]["decision"] == "negotiate"


def test_a_short_benchmark_shows_a_round_beside_its_slowest_agent(server: str, tmp_path: Path) -> None:
    command = [fork_server() / "python", "-m", "benchmarks.council", "--quick", "--url", server, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ratios = json.loads((tmp_path / "council.json").read_text())["ratios"]
    for name, each in ratios.items():
        assert name in done.stdout
        assert min(each["of the slowest"]) > 1
