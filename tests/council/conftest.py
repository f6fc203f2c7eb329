from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.crashing import LEDGER
from support.postgres import Copies

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def council_database(server_of: Callable[[int | None], str], copies_of: Callable[[str], Copies]) -> Iterator[str]:
    """One database for all tests of a module, whose runs have ids of their own."""
    with copies_of(server_of(None)).copy() as url:
        yield url


@pytest.fixture
def ledger_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and its children write down what they did."""
    path = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(path))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return path
