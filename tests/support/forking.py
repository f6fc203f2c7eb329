"""Python processes that begin in milliseconds, because they are forked from one that has imported adjourn and LangGraph.

They are processes like others: with a process id, a memory and connections of their own, to be stopped and killed. What
they cannot show stands in fork_server.py; a test of that starts `sys.executable`.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("fork_server.py")
CLIENT = Path(__file__).with_name("fork_client.py")
ADJOURN = Path(sys.executable).with_name("adjourn")
PACKAGES = (
    "checkpoints",
    "cli",
    "engine",
    "engine/coping",
    "graphs",
    "nodes",
    "nodes/adaptive",
    "nodes/analysts",
    "nodes/assignment",
    "nodes/council",
    "nodes/delegation",
    "nodes/voting",
    "state",
    "testing",
)
# what they import when it is first used
USED = (
    "anyio._backends._asyncio",
    "anyio.streams.memory",
    "langchain_core.tracers.stdout",
    "pyphen",
    "snowballstemmer",
    "vaderSentiment",
)
# Studio's parts belong to the Agent Server, which looks at its environment when it is imported.
MODULES = [
    "pytest",
    *USED,
    *(
        ".".join(("adjourn", *package.split("/"), file.stem))
        for package in PACKAGES
        for file in sorted((ROOT / package).glob("[!_]*.py"))
        if "studio" not in file.stem
    ),
]
# nothing that a library keeps when it is imported comes from the person who runs the tests
OUTSIDE = ("ADJOURN_", "LANG", "OPENAI_", "PYTHONPATH")


class Forked:
    """A running child with text pipes, as `subprocess.Popen` has them; its errors go where its output goes.

    Args:
        arguments: What stands behind `python`: `-c` and a program, `-m` and a module, or a file; then its arguments.
        environment: All of its environment.
        folder: Where it runs.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        their_input, our_input = os.pipe()
        our_output, their_output = os.pipe()
        self.stdin = os.fdopen(our_input, "w")
        self.stdout = os.fdopen(our_output)
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        body = json.dumps(request).encode()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(fork_server() / "socket"))
        socket.send_fds(self._connection, [b"\0"], [their_input, their_output, their_output])
        self._connection.sendall(b"%d\n%s" % (len(body), body))
        os.close(their_input)
        os.close(their_output)
        self._told = b""
        self.pid = int(self._line(30))
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
            self._connection.close()
        return self.returncode

    def _line(self, timeout: float | None) -> bytes:
        while b"\n" not in self._told:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked child", timeout or 0)
            told = self._connection.recv(100)
            assert told, "the fork server has ended"
            self._told += told
        line, _, self._told = self._told.partition(b"\n")
        return line


@functools.cache
def fork_server() -> Path:
    """Start the fork server of this process; return a folder with its socket and the programs `python` and `adjourn`.

    The programs have the server fork a child that runs as the installed ones do, on their streams, with their
    environment, in their folder. With FORKED_EXECUTABLE set to that `python`, a child forks its own as well.
    """
    folder = Path(tempfile.mkdtemp(prefix="adjourn-fork-"))
    address = folder / "socket"
    server = subprocess.Popen(
        [sys.executable, SERVER, address, *MODULES],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)},
    )  # fmt: skip
    atexit.register(_stop, os.getpid(), server, folder)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the fork server does not start; see above"
    for name, arguments in {"python": [], "adjourn": [ADJOURN]}.items():
        command = shlex.join(map(str, [sys.executable, "-IS", CLIENT, address, *arguments]))
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def _stop(owner: int, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    if os.getpid() == owner:
        server.communicate()
        shutil.rmtree(folder)
