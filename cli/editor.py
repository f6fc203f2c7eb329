"""An edit in the editor of the person who makes it: the arguments as JSON, with what is wrong above them.

    write a file → editor → comments away → JSON? → does it fit? → what has changed
                      ^                        |         |
                      └── the same text, with the problems above it

What was typed is never lost: unless the answer was taken, the file stays, and the error says where it is.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ..errors import AdjournError, ConfigurationError, InvalidDecision
from ..settings import preferred_editor
from .json_out import dumps
from .text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from ..engine import Review

__all__ = ["Editing"]

_COMMENT: Final = "//"
_CHOICES: Final = 160
_STANDARD_ERROR: Final = 2


class Editing:
    """One edit of the arguments of an action; a context manager around sending it.

    Args:
        review: The question, about one action.
        colour: Where to say what happens, beside the editor.

    Raises:
        InvalidDecision: The question has no arguments, or takes no edit.
    """

    def __init__(self, review: Review, *, colour: Console) -> None:
        if not review.args or "edit" not in review.allowed:
            said = f"takes {', '.join(review.allowed)}" if review.allowed else "asks for a plain value: --value JSON"
            raise InvalidDecision(f"Nothing can be edited here: the question {said}.", thread_id=review.thread_id)
        self._review = review
        self._console = colour
        self._folder = Path(tempfile.mkdtemp(prefix="adjourn-edit-"))
        self._file = self._folder / "arguments.json"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        typed = _without_comments(self._file)
        if error is None or typed in ("", dumps(self._review.args)):
            shutil.rmtree(self._folder, ignore_errors=True)  # with the copies that editors leave beside it
            return
        _write(self._file, typed)  # without the comments, so that --edit takes it as it is
        kept = f"What you typed is kept: --edit @{self._file} sends it."
        if isinstance(error, AdjournError):
            error.message = f"{error.message} {kept}"
            error.args = (error.message,)
        else:
            self._console.print(kept, soft_wrap=True)

    def changes(self) -> dict[str, Any] | None:
        """Open the editor, again and again while what it leaves does not fit.

        Returns:
            The arguments that were changed; None when none was, or when everything was deleted.

        Raises:
            InvalidDecision: It was left as it was although it does not fit.
            ConfigurationError: The editor cannot be started, or ended with an error.
        """
        text, problems = dumps(self._review.args), list[str]()
        while True:
            _write(self._file, _head(self._review, problems) + text)
            self._run_editor()
            before, text = text, _without_comments(self._file)
            if not text:
                return None
            if problems and text == before:
                raise InvalidDecision(
                    f"This edit was not sent: {'; '.join(problems)}.", thread_id=self._review.thread_id
                )
            changed, problems = _read(self._review, text)
            if not problems:
                return changed or None
            for problem in problems:
                self._console.print(f"Not taken: {one_line(problem)}", style="red", soft_wrap=True)

    def _run_editor(self) -> None:
        command = preferred_editor()
        # what the command prints may go to a file; an editor needs the terminal
        out = None if sys.stdout.isatty() else _STANDARD_ERROR
        try:
            words = [*shlex.split(command), str(self._file)]
            code = subprocess.run(words, stdout=out, check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The editor {command!r} cannot be started: {error}. Set EDITOR.") from None
        if code:
            raise ConfigurationError(f"The editor {command!r} ended with {code}; nothing was sent.")


def _head(review: Review, problems: list[str]) -> str:
    lines = [f"Not taken: {one_line(problem)}" for problem in problems]
    lines += ["Change what should be different, save it and leave. Unchanged, or empty: nothing is sent."]
    for name, schema in ((review.edit_schema or {}).get("properties") or {}).items():
        if name in review.args and isinstance(schema, dict) and isinstance(schema.get("enum"), list):
            lines.append(
                f"{name}: {', '.join(json.dumps(each, ensure_ascii=False) for each in schema['enum'])}"[:_CHOICES]
            )
    return "".join(f"{_COMMENT} {one_line(line)}\n" for line in lines)


# Bytes that are no UTF-8 stay as they are, for whoever typed them; the engine refuses them.
def _write(file: Path, text: str) -> None:
    file.write_text(text + "\n", encoding="utf-8", errors="surrogateescape")


def _without_comments(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("\ufeff")
    except FileNotFoundError:  # deleted: nothing is to be sent
        return ""
    # JSON has no line feeds inside its texts, so such a line is never part of one
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(_COMMENT)).strip()


def _read(review: Review, text: str) -> tuple[dict[str, Any], list[str]]:
    """Return what has changed, or what is wrong with it."""
    try:
        typed = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        return {}, [f"this is no JSON: {error.msg} in {line.strip()!r}"]
    except (ValueError, RecursionError) as error:
        return {}, [f"this is no usable JSON: {error}"]
    if not isinstance(typed, dict):
        return {}, ["the arguments stand in braces, by name"]
    from ..engine.answers import edit_problems

    gone = [f"{name} is missing; an argument can be changed, not left out" for name in review.args if name not in typed]
    changed = {name: value for name, value in typed.items() if name not in review.args or value != review.args[name]}
    return changed, gone + (edit_problems(review, changed) if changed else [])
