import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from adjourn.settings import load_settings
from support.crashing import LEDGER
from support.postgres import fresh_database, make_template
from support.servers import Server, own_server

TESTS = Path(__file__).parents[1]


@pytest.fixture
def ledger_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and its children write down what they did."""
    path = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(path))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return path


@pytest.fixture(scope="session")
def made_server() -> Iterator[Server]:
    with own_server() as server:
        asyncio.run(make_template(server.url, load_settings()))
        yield server


@pytest.fixture
def restarting(made_server: Server) -> Iterator[tuple[Server, str]]:
    """A server that may be stopped, and a migrated database on it."""
    made_server.start()
    with fresh_database(made_server.url) as url:
        yield made_server, url
        made_server.start()
