"""Child processes that run Python, report named moments, and are killed at them.

A program reports a moment with `reach("name")`, which is defined for it, and goes on when it is told to; `reach` never
returns in a child that is killed there.
"""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue

from .forking import Forked

_PRELUDE = """
import sys
def reach(moment):
    print("@" + moment, flush=True)
    sys.stdin.readline()
"""


class Child:
    """A running child. Everything it prints ends in `output`."""

    def __init__(self, process: "subprocess.Popen[str] | Forked") -> None:
        self._process = process
        self._lines: Queue[str | None] = Queue()
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, moment: str, timeout: float = 30.0) -> None:
        """Wait until the child reports the moment; it waits there."""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except Empty:
                raise AssertionError(f"{moment!r} was not reached in {timeout} s:\n{self.output}") from None
            assert line is not None, f"the child ended before {moment!r}:\n{self.output}"
            if line.strip() == f"@{moment}":
                return

    def go_on(self) -> None:
        """Let the child go on from the moment at which it waits."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def tell(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, now."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def finish(self, timeout: float = 60.0) -> str:
        """Wait for the end, expect exit code 0, and return what was printed."""
        code = self.ended(timeout)
        assert code == 0, f"exit code {code}:\n{self.output}"
        return self.output

    def ended(self, timeout: float = 60.0) -> int:
        """Wait for the end, and return the exit code."""
        code = self._process.wait(timeout)
        self._end()
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            self._lines.put(line)
        self._lines.put(None)

    def _end(self) -> None:
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@contextlib.contextmanager
def child(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None, fresh: bool = False
) -> Iterator[Child]:
    """Run a Python program as a child process for the length of a block; what still runs then is killed.

    Args:
        program: Its source, which may be indented; `reach(moment)` is there for it, `sys` is imported.
        *arguments: Become its `sys.argv[1:]`.
        environment: Added to this process's environment.
        fresh: Whether it is a new interpreter, which has imported nothing; forking one that has saves seconds.
    """
    command = ["-c", _PRELUDE + textwrap.dedent(program), *arguments]
    folder, variables = Path(__file__).parent, {**os.environ, **(environment or {})}
    running = Child(_fresh(command, variables, folder) if fresh else Forked(command, variables, folder))
    try:
        yield running
    finally:
        running.kill()


def _fresh(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=variables,
    )
