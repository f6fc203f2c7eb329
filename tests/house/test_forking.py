"""A forked child is a process like one that was started: arguments, streams, environment, folder, signals, end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.eventually import wait_for
from support.forking import ADJOURN, fork_server
from support.processes import child


def started(*arguments: str | Path, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(arguments, capture_output=True, text=True, **options)  # type: ignore[call-overload]


PROGRAM = """
import __main__, atexit, os, sys
atexit.register(print, "at exit")
print(sys.argv[1:], sys.path[0], os.getcwd(), os.environ["COLOUR"], vars(__main__) is globals(), __name__)
print(sys.stdin.read(), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("form", ["-c", "-m", "file", "-"])
def test_it_does_what_a_new_interpreter_does(form: str, tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(PROGRAM)
    arguments = {"-c": ["-c", PROGRAM], "-m": ["-m", "told"], "file": ["told.py"], "-": ["-"]}[form]
    given = PROGRAM if form == "-" else "said"
    options = {"cwd": tmp_path, "env": {**os.environ, "COLOUR": "blau"}, "input": given}
    forked = started(fork_server() / "python", *arguments, "3", "a b", **options)
    fresh = started(sys.executable, *arguments, "3", "a b", **options)
    assert (forked.returncode, forked.stdout, forked.stderr) == (3, fresh.stdout, fresh.stderr)
    assert "at exit" in forked.stdout


def test_the_command_is_that_which_is_installed() -> None:
    forked, installed = (started(program, "run", "--help") for program in (fork_server() / "adjourn", ADJOURN))
    assert (forked.stdout, forked.returncode) == (installed.stdout, 0)


def test_an_error_ends_it_with_its_traceback() -> None:
    done = started(fork_server() / "python", "-c", "1 / 0")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")


def test_it_gets_the_signals_of_the_command_and_dies_with_it() -> None:
    program = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    for number in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(
            [fork_server() / "python", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as command:
            assert command.stdout is not None
            forked = psutil.Process(int(command.stdout.readline()))
            command.send_signal(number)
            assert command.wait(20) == -number
            assert wait_for(lambda process=forked: not process.is_running())


def test_kill_ends_the_child_itself() -> None:
    with child("reach('here')") as running:
        running.wait_for("here")
        forked = psutil.Process(running.pid)
        running.kill()
        assert not forked.is_running()
