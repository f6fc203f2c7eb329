from pathlib import Path

import pytest

from support.crashing import LEDGER

TESTS = Path(__file__).parents[1]


@pytest.fixture
def ledger_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and its children write down what they did."""
    path = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(path))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return path
