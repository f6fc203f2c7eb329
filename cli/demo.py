"""`adjourn demo`: a run that stops for a person in one process and goes on in another, on a real document."""

from __future__ import annotations

import sys
import termios
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from .exits import Exit, Interrupted
from .processes import run_child, run_child_for_json
from .session import Session, short_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IN_PYTHON", "demo"]

IN_PYTHON: Final = """\
from importlib.resources import files
from adjourn import Engine, approve

text = (files("adjourn") / "examples" / "contract.txt").read_text("utf-8")

with Engine.open() as engine:                  # one process
    run = engine.start("review", {"input_text": text})
    print(run.status, run.thread_id)

with Engine.open() as engine:                  # another process, another day
    run = engine.resume(run.thread_id, approve(), by="dana")
    print(run.status, run.state["final_decision"])
"""

_DECISIONS: Final = {
    "a": ["approve"],
    "e": ["edit"],
    "r": ["reject"],
    "s": ["respond"],
}


def demo(session: Session) -> int:
    """See it work: a run on a contract stops for you in one process and is resumed by another.

    On a terminal you are asked; elsewhere the answer is to approve.
    """
    with as_file(files("adjourn") / "examples" / "contract.txt") as document:
        start = ["run", "review", "--set", f"input_text=@{short_path(document)}", "--thread", str(uuid4())]
        return _as_json(session, start) if session.as_json else _told(session, start, document)


def _told(session: Session, start: list[str], document: Path) -> int:
    thread = start[-1]
    words = len(document.read_text("utf-8").split())
    _say(session, 1, f"A process starts the workflow review on {document.name}, a contract of {words:,} words.", start)
    code = run_child(session, *start)
    if code == Exit.PAUSED:
        _note(session, "That process has ended. Nothing is running now; the run is kept in PostgreSQL.")
        code = _answered(session, thread)
    elif code == Exit.COMPLETED:
        _note(session, "The analysis was so sure of itself that nobody had to be asked.")
    if code != Exit.COMPLETED:
        return code
    _say(session, 3, "Where its time went:", ["history", thread])
    code = run_child(session, "history", thread)
    if code == Exit.COMPLETED:
        _farewell(session, thread)
    return code


def _answered(session: Session, thread: str) -> int:
    """Have processes answer until the run has ended."""
    asked = sys.stdin.isatty() and session.out.is_terminal
    decisions = _ask(session, thread) if asked else iter([["approve"]])
    code: int = Exit.PAUSED
    for decision in decisions:
        command = ["resume", thread, *decision]
        _say(session, 2, "A second process answers, knowing nothing but the thread id:", command)
        code = run_child(session, *command)
        # after an answer that was refused the question is still open
        if code not in (Exit.PAUSED, Exit.BAD_INPUT):
            break
    return code


def _ask(session: Session, thread: str) -> Iterator[list[str]]:
    """Ask whoever sits at the terminal, again and again."""
    try:
        while True:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question is no answer to it
            _note(session, "Now you. (a)pprove, (e)dit the risk level, (r)eject, or re(s)pond?")
            decision = _DECISIONS.get(input("  a, e, r or s [a]: ").strip().lower()[:1] or "a")
            if decision is None:
                continue
            yield [*decision, *_details(decision[0])]
    except (KeyboardInterrupt, EOFError):
        session.out.print()
        again = session.command("resume", thread, "approve")
        raise Interrupted(f"Not answered. The run waits as long as it takes: {again}", 130, thread) from None


def _details(kind: str) -> list[str]:
    prompts = {
        "edit": "  The risk is low, medium or high: ",
        "reject": "  Why? ",
        "respond": "  What should it know? ",
    }
    if kind not in prompts:
        return []
    text = ""
    while not text:
        text = input(prompts[kind]).strip()
    return ["--set", f"risk_level={text}"] if kind == "edit" else ["--message", text]


def _farewell(session: Session, thread: str) -> None:
    from rich.console import Group
    from rich.syntax import Syntax
    from rich.text import Text

    from .layout import blank, command_line, paragraph

    source = IN_PYTHON.rstrip()
    coloured = Syntax(source, "python", theme="ansi_dark", background_color="default").highlight(source)
    code = Text("\n").join(Text("  ") + line for line in coloured.split("\n"))
    code.no_wrap, code.overflow = True, "ignore"
    session.show(
        Group(
            blank(), Text("The same in Python", style="bold"), code, blank(),
            Text("Where the run is kept", style="bold"), paragraph(_place(session)), blank(),
            Text("Go on with", style="bold"),
            command_line(session.command("show", thread)),
            command_line(session.command("list")),
            command_line(session.command("run", "review", "--set", "input_text=@your-document.txt")),
        )
    )  # fmt: skip


def _place(session: Session) -> str:
    from ..settings import load_settings

    settings = load_settings()
    if session.database or settings.database_url:
        return "in your PostgreSQL, schema adjourn and the tables checkpoint…"
    return f"in a PostgreSQL of its own in {settings.home} (ADJOURN_HOME), which runs while adjourn does"


def _say(session: Session, number: int, text: str, words: list[str]) -> None:
    from rich.text import Text

    from .layout import blank, command_line

    line = Text.assemble((f"{number} ", "bold cyan"), (text, "bold"))
    session.show(blank(), line, command_line(f"$ {session.command(*words)}"), blank())


def _note(session: Session, text: str) -> None:
    from rich.text import Text

    session.show(Text(), Text(text, style="bold"))


def _as_json(session: Session, start: list[str]) -> int:
    """Do the same in silence, approve, and print what came of it."""
    thread = start[-1]
    code, first = run_child_for_json(session, *start)
    result: dict[str, Any] = {"thread_id": thread, "paused": None, "run": first, "timeline": None}
    if code == Exit.PAUSED:
        result["paused"] = first
        code, result["run"] = run_child_for_json(session, "resume", thread, "approve")
    if code == Exit.COMPLETED:
        code, result["timeline"] = run_child_for_json(session, "history", thread)
    failed = next((part for part in (result["run"], result["timeline"]) if part and "error" in part), None)
    session.result(failed if code != Exit.COMPLETED and failed else result)
    return code
