"""The command `adjourn studio`: how it begins, how it ends, what it refuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
from langgraph_sdk import get_client

from adjourn import AsyncEngine, Engine
from support.eventually import eventually
from support.forking import fork_server

from .conftest import environment, running_studio
from .test_agent_server import DOUBTFUL

WAIT = "import time; time.sleep(60)"


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command to its end, as a fork of a process that has imported it; what it starts is new."""
    done = subprocess.run(
        [fork_server() / "adjourn", "studio", "--no-browser", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


async def test_ctrl_c_ends_everything_and_records_what_was_under_way(
    database: str, stranger: Callable[[], Path], tmp_path: Path
) -> None:
    with Engine.open(database) as engine:
        engine.start("review", DOUBTFUL, thread_id="offer-7")
    with running_studio(stranger(), database) as studio:
        assert (studio.announced["threads"], studio.announced["hidden"]) == (0, 1)
        async with get_client(url=studio.url) as client:
            thread_id = (await client.threads.create())["thread_id"]
            await client.runs.create(thread_id, "slow", input={"file": str(tmp_path / "never")})
            await eventually((tmp_path / "never.begun").exists)
        children = psutil.Process(studio.process.pid).children(recursive=True)
        assert children
        assert studio.interrupt() == 0, studio.errors
        assert [child for child in children if child.is_running()] == []
    async with AsyncEngine.open(database) as later:
        found = await later.get(thread_id)
        assert (found.status, (found.error or {})["type"]) == ("failed", "Interrupted")


def test_a_project_whose_graph_cannot_be_imported_ends_it_and_shows_why(database: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_package_that_is_not_there\n")
    (tmp_path / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": {"b": "./broken.py:b"}}))
    code, said = run(tmp_path, "--database", database)
    assert code == 2
    assert "a_package_that_is_not_there" in said
    assert "ended while it started" in said.splitlines()[-1]


def test_a_project_with_another_checkpointer_is_refused_before_anything_is_started(
    database: str, tmp_path: Path
) -> None:
    config = {"dependencies": ["."], "graphs": {}, "checkpointer": {"path": "./mine.py:make"}}
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    code, said = run(tmp_path, "--database", database)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert "names another checkpointer (./mine.py:make)" in said
