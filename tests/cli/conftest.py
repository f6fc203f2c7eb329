import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer.main

from adjourn import Engine
from adjourn.cli.main import run_command
from support.forking import fork_server

INSTALLED = Path(__file__).parent / "installed"
PROGRAM = Path(sys.executable).with_name("adjourn")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.out)


Command = Callable[..., Said]

# Typer makes all commands anew for each call of one.
_made_commands = functools.cache(typer.main.get_command)


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflows of cli_samples are installed, for this process and its children."""
    monkeypatch.syspath_prepend(str(INSTALLED))
    monkeypatch.setenv("PYTHONPATH", str(INSTALLED))


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def cli(
    samples: None, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run the command inside this process, on a database of the test's own."""
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(typer.main, "get_command", _made_commands)

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = run_command(arguments)
        return Said(int(code), *capsys.readouterr())

    yield run
    structlog.reset_defaults()  # it holds the standard error of this test


@pytest.fixture
def engine(cli: Command, database: str) -> Iterator[Engine]:
    """An engine of the test's own beside the command, on the same database."""
    with Engine.open(database) as opened:
        yield opened


@pytest.fixture
def program(samples: None, database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the program in a process of its own, forked from one that has imported it, on a database of the test's own."""
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    monkeypatch.setenv("FORKED_EXECUTABLE", str(fork_server() / "python"))

    def run(*arguments: str, **environment: str) -> Said:
        done = subprocess.run(
            [fork_server() / "adjourn", *arguments],
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def stored(database: str) -> Callable[[], int]:
    """How many runs the database holds."""

    def count() -> int:
        with Engine.open(database) as engine:
            return len(engine.runs())

    return count
