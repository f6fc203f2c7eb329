"""Every command line that adjourn tells people to type is one that the program takes: each is parsed by the real one."""

import ast
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from adjourn.cli.main import app
from adjourn.cli.question import answers
from adjourn.engine import Review
from adjourn.engine.notices import ASKING, Notice, commands
from adjourn.state.decisions import KINDS

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    {
        *ROOT.glob("*.py"),
        *(
            each
            for part in ("cli", "engine", "checkpoints", "graphs", "nodes", "state", "testing")
            for each in (ROOT / part).rglob("*.py")
        ),
    }
)
PAGES = sorted({ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")})
QUOTED = re.compile(r"`(adjourn [^`]+)`")
# ends of what stands in running text and is not quoted, such as "Make it with: adjourn run …"
BARE = re.compile(r"[:;] (adjourn [a-z-]+[^.;\n]*)")
# what begins like a command line and is none: options of the program itself, a placeholder, a mail address, prose
NO_COMMANDS = ("--help", "--version", "--install-completion", "--show-completion", "COMMAND", "<adjourn@example.org>")
# a text may name a command without what it needs
NAMED_ONLY = ("MissingParameter", "NoArgsIsHelpError")
COMMAND: Any = typer.main.get_command(app)


def texts_in(source: Path) -> Iterator[str]:
    """The texts of a module as people read them: what is filled in stands as one word."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "filled" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def made_in(source: Path) -> Iterator[str]:
    """The command lines that a module makes with `session.command(…)`, as far as their words stand in it."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("command", "check_can_ask"):
                given = [each for each in node.args if not isinstance(each, ast.Starred)]
                words = [str(each.value) if isinstance(each, ast.Constant) else "filled" for each in given]
                yield shlex.join(["adjourn", *words])


def in_notices() -> Iterator[str]:
    kinds: Any = ("asked", "reminded", "escalated", "decided", "expired")
    for kind in kinds:
        for thread in ("t", "two words", "--debug"):
            for decisions in ((), KINDS):
                yield from commands(
                    Notice(kind, thread, "r" * 32, "w", datetime.now(UTC), decisions=decisions)
                ).values()
    assert set(kinds) > ASKING


def in_reviews() -> Iterator[str]:
    for version in (1, 2):
        for name, allowed in (("pay", KINDS), (None, ())):
            review = Review("r" * 32, "t", "w", name, {"amount": 1}, "Pay?", allowed, version=version, digest="d" * 64)
            for several in (True, False):
                yield from answers(review, lambda *words: shlex.join(["adjourn", *words]), several=several)


def told() -> set[str]:
    """Command lines in running text: in messages, docstrings and pages. Some only name a command, without its arguments."""
    texts = {text for source in SOURCES for text in texts_in(source)}
    quoted = {line for text in texts for line in QUOTED.findall(text)}
    bare = {line for text in texts for line in BARE.findall(text) if line.split()[1] in COMMAND.commands}
    pages = {line for page in PAGES for line in QUOTED.findall(page.read_text(encoding="utf-8"))}
    return {" ".join(line.split()) for line in quoted | bare | pages if "|" not in line}


def parse(command: Any, words: list[str], name: str, parent: Any = None) -> None:
    """Parse words as the program does, and run nothing."""
    context = command.make_context(name, words, parent=parent)
    if hasattr(command, "resolve_command") and (rest := [*context._protected_args, *context.args]):
        inner_name, inner, rest = command.resolve_command(context, rest)
        parse(inner, rest, inner_name, context)


def mistakes(lines: set[str]) -> dict[str, str]:
    found = {}
    for line in sorted(lines):
        try:
            parse(COMMAND, shlex.split(line)[1:], "adjourn")
        except Exception as error:
            found[line] = f"{type(error).__name__}: {error}"
    return found


def test_what_is_made_to_be_typed_is_taken() -> None:
    lines = {*in_notices(), *in_reviews(), *(line for source in SOURCES for line in made_in(source))}
    assert {line.split()[1] for line in lines} >= {"audit", "inbox", "list", "resume", "retry", "review", "run", "show"}
    assert mistakes(lines) == {}


def test_what_messages_and_pages_tell_to_type_is_taken() -> None:
    lines = {line for line in told() if line.split()[1] not in NO_COMMANDS}
    assert len(lines) > 40
    wrong = {line: said for line, said in mistakes(lines).items() if not said.startswith(NAMED_ONLY)}
    assert wrong == {}
    assert len(mistakes({"adjourn lst", "adjourn list --limt 3", "adjourn show t u"})) == 3
