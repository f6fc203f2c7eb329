"""The systemd unit and the container file of the guide on workers start what there is, and stop it as it wants to be."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from adjourn.cli.main import app
from adjourn.settings import Settings

FOLDER = Path(__file__).parents[2] / "docs" / "how-to" / "workers"
UNIT = FOLDER / "adjourn-worker@.service"
CONTAINER = FOLDER / "Containerfile"


def settings_in(text: str) -> dict[str, str]:
    found = dict(re.findall(r"ADJOURN_(\w+)=(\S+)", text))
    return {name.lower(): value for name, value in found.items()}


def check_command(words: list[str]) -> None:
    """The words are a command line that the program understands."""
    assert words[0].endswith("adjourn")
    command: Any = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    command.make_context(words[1], words[2:])


def unit() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_the_unit_starts_a_worker_and_gives_it_time_to_drain() -> None:
    service = unit()
    check_command(shlex.split(service["ExecStart"]))
    settings = Settings(**settings_in(service["Environment"]))  # type: ignore[arg-type]
    assert float(service["TimeoutStopSec"]) > settings.drain_seconds
    assert (service["KillSignal"], service["KillMode"], service["Restart"]) == ("SIGTERM", "mixed", "always")
    assert service["User"] != "root"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    there = tmp_path / UNIT.name
    there.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text(), flags=re.M))
    done = subprocess.run(["systemd-analyze", "verify", there], capture_output=True, text=True)
    assert there.name not in done.stderr, done.stderr


def test_the_container_file_starts_a_worker_that_gets_signals_and_is_not_root() -> None:
    text = CONTAINER.read_text()
    instructions = dict(re.findall(r"^([A-Z]+) (.*)$", text, flags=re.MULTILINE))
    check_command([*json.loads(instructions["ENTRYPOINT"]), *json.loads(instructions["CMD"])])  # no shell in between
    settings = Settings(**settings_in(text))  # type: ignore[arg-type]
    stop = re.search(r"--stop-timeout (\d+)", text)
    assert stop is not None
    assert float(stop[1]) > settings.drain_seconds
    assert (instructions["STOPSIGNAL"], instructions["USER"]) == ("SIGTERM", "adjourn")
    assert text.index("\nUSER ") < text.index("\nENTRYPOINT ")
