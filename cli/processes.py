"""Child processes that run this same command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .exits import Exit
from .session import Session

__all__ = ["run_child", "run_child_for_json"]


def run_child(session: Session, *words: str) -> int:
    """Run the command in a process of its own, on the same terminal, and return its exit code.

    Args:
        session: Where its database comes from.
        *words: What stands behind `adjourn`.
    """
    sys.stdout.flush()
    child = subprocess.Popen(_arguments(session, words))  # noqa: S603
    with _outlived(child):
        return _code(child.wait())


def run_child_for_json(session: Session, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command with `--json` in a process of its own; return its exit code and its object.

    Args:
        session: Where its database comes from.
        *words: What stands behind `adjourn`.
    """
    child = subprocess.Popen([*_arguments(session, words), "--json"], stdout=subprocess.PIPE, encoding="utf-8")  # noqa: S603
    with _outlived(child):
        printed, _ = child.communicate()
    code = _code(child.returncode)
    try:
        return code, json.loads(printed)
    except ValueError:
        message = f"adjourn {words[0]} ended with code {code} and printed no JSON."
        return code or Exit.FAILED, {"error": {"type": "RunFailed", "message": message, "thread_id": None}}


def _arguments(session: Session, words: Sequence[str]) -> list[str]:
    # -P: the folder that the person stands in may hold modules with the names of ours or of libraries
    command = [sys.executable, "-P", "-m", "adjourn.cli", *words]
    return [*command, "--database", session.database] if session.database else command


def _code(returned: int) -> int:
    return 128 - returned if returned < 0 else returned


@contextmanager
def _outlived(child: subprocess.Popen[Any]) -> Iterator[None]:
    """Leave Ctrl-C to the child, which needs a moment to record what became of its run; never leave it behind."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if child.poll() is None:
            child.terminate()
            child.wait()
