"""The real command `adjourn studio` with LangGraph's real server in it, once for each project and test process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine
from support.postgres import TEMPLATE, fresh_database

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAM = Path(sys.executable).with_name("adjourn")
# What another machine could be told about this one is switched off, and the guard notices what is left.
QUIET = {"LANGSMITH_TRACING": "false", "PYTHONPATH": str(HERE / "guard")}
# Leases of the server: renewed every second, so that tests of kills and cancelling need not wait for long.
LEASE_SECONDS = 3.0


@dataclass
class Studio:
    """A running `adjourn studio`."""

    process: "subprocess.Popen[str]"
    announced: dict[str, Any]
    database: str
    folder: Path
    errors: list[str]

    @property
    def url(self) -> str:
        return str(self.announced["url"])

    @property
    def foreign_hosts(self) -> list[str]:
        file = self.folder / "foreign-hosts"
        return file.read_text().splitlines() if file.exists() else []

    def interrupt(self, timeout: float = 20.0) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout)


def environment(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "ADJOURN_"))}
    ours = {"ADJOURN_LEASE_SECONDS": str(LEASE_SECONDS), "ADJOURN_NOTIFY_LOG": "true"}
    return {**inherited, **QUIET, **ours, "FOREIGN_HOSTS": str(folder / "foreign-hosts")}


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@contextmanager
def running_studio(folder: Path, database: str, *options: str) -> Iterator[Studio]:
    """Start the command in a folder, wait until it says that it is ready, and end it with everything it started."""
    arguments = ["studio", "--no-browser", "--json", "--port", str(free_port()), "--database", database, *options]
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    said = ""
    while line := process.stdout.readline():
        said += line
        if line == "}\n":
            break
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    try:
        assert said, "".join(errors)
        yield Studio(process, json.loads(said), database, folder, errors)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        _, alive = psutil.wait_procs(started, timeout=5)
        for child in alive:
            child.kill()
        reader.join(5)
        process.stdout.close()
        process.stderr.close()
        process.wait()


def copied_project(folder: Path) -> Path:
    shutil.copytree(HERE / "project", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def stranger(tmp_path: Path) -> Callable[[], Path]:
    """Make the folder of a stranger's project."""
    return lambda: copied_project(tmp_path / "stranger")


@pytest.fixture(scope="session")
def studio(server_of: Callable[[int | None], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Studio on adjourn's own langgraph.json."""
    # in a folder of its own: the server keeps its list of threads in the folder where it was started
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "langgraph.json", folder)
    with fresh_database(server_of(None), TEMPLATE) as database, running_studio(folder, database) as running:
        yield running


@pytest.fixture(scope="session")
def project(server_of: Callable[[int | None], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Studio on the project of a stranger."""
    folder = copied_project(tmp_path_factory.mktemp("stranger"))
    with fresh_database(server_of(None), TEMPLATE) as database, running_studio(folder, database) as running:
        yield running


@pytest.fixture
async def client(studio: Studio) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=studio.url) as opened:
        yield opened


@pytest.fixture
async def engine(studio: Studio) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(studio.database) as opened:
        yield opened


@pytest.fixture
async def project_client(project: Studio) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=project.url) as opened:
        yield opened


def graphs_of(folder: Path) -> dict[str, Any]:
    """Import the graphs that the langgraph.json in a folder names."""
    from importlib.util import module_from_spec, spec_from_file_location

    os.environ["GREETING"] = "hello"
    graphs = {}
    for name, target in json.loads((folder / "langgraph.json").read_text())["graphs"].items():
        file, attribute = target.split(":")
        module_name = f"__{Path(file).stem}"
        if getattr(sys.modules.get(module_name), "__file__", None) != str(folder / Path(file).name):
            spec = spec_from_file_location(module_name, folder / Path(file).name)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[module_name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[module_name])
        graphs[name] = getattr(sys.modules[module_name], attribute)
    return graphs


@pytest.fixture
async def project_engine(project: Studio) -> AsyncIterator[AsyncEngine]:
    """An engine that knows the stranger's graphs, as one that is opened in that folder does."""
    async with AsyncEngine.open(project.database, workflows=graphs_of(project.folder)) as opened:
        yield opened
