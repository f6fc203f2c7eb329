"""One call of the command: where it writes, which database it uses, and the engine it opens."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .exits import Exit, Interrupted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..engine import Engine
    from ..settings import Settings
    from .progress import Progress

__all__ = ["Session", "short_path"]


@dataclass
class Session:
    """One call of the command.

    Args:
        database: The value of `--database`.
        as_json: Whether the result is one JSON object on standard output, and nothing else is shown.
        debug: Whether logs are complete and errors come with their traceback.

    Attributes:
        driven: The run that is being driven here, once it is; an interrupt must name it.
    """

    database: str | None = None
    as_json: bool = False
    debug: bool = False
    driven: str | None = field(default=None, init=False)

    @cached_property
    def out(self) -> Console:
        """Standard output, for results."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """Standard error, for progress and errors."""
        return _console(sys.stderr)

    def show(self, *views: RenderableType) -> None:
        """Write views to standard output. Lines that must stay whole, such as commands, are not cut."""
        from rich.console import Group

        if self.out.is_terminal:
            self.out.print(Group(*views), crop=False)
            return
        with self.out.capture() as captured:
            self.out.print(Group(*views), crop=False)
        sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
        sys.stdout.flush()

    def result(self, value: dict[str, Any], *, one_line: bool = False) -> None:
        """Write the JSON object of `--json`.

        Args:
            value: The object.
            one_line: Whether it is one of many, each on a line of its own.
        """
        from .json_out import dumps

        sys.stdout.write(dumps(value, ascii_only=not _speaks_unicode(sys.stdout), one_line=one_line) + "\n")
        sys.stdout.flush()

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Open the engine; a spinner shows on a terminal that something happens.

        Raises:
            Interrupted: A signal stopped the command inside the block.
            ConfigurationError: As `Engine.open`.
            StorageUnavailable: As `Engine.open`.
        """
        try:
            with ExitStack() as stack:
                with self.working("opening the database"):
                    from ..engine import Engine

                    engine = stack.enter_context(Engine.open(self.database, settings=self.settings(), channel="cli"))
                yield engine
        except KeyboardInterrupt as interrupt:
            raise self.interrupted(interrupt) from None

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show what the engine does while it drives a run; give the result as `on_event`."""
        from .progress import Progress

        progress = Progress(None if self.as_json else self.err, self._note)
        with progress:
            yield progress

    def settings(self, least: str = "error") -> Settings:
        """Return the settings of the environment. What the command shows itself needs no log line, unless asked for.

        Args:
            least: The level of the log where nobody asks for another: nothing but errors, for commands that say themselves
                what they do.

        Raises:
            ConfigurationError: A variable does not fit.
        """
        from ..settings import load_settings

        settings = load_settings()
        if self.debug:
            return load_settings(log_level="debug")
        return settings if "log_level" in settings.model_fields_set else load_settings(log_level=least)

    def working(self, text: str) -> AbstractContextManager[Any]:
        """Show on a terminal that something happens, for the time of a block.

        Args:
            text: What happens.
        """
        if self.as_json or not self.err.is_terminal:
            return nullcontext()
        return self.err.status(f"{text} …", spinner="line")

    def interrupted(self, interrupt: KeyboardInterrupt) -> Interrupted:
        """Return the error that says how to go on after an interrupt."""
        code = interrupt.args[0] if interrupt.args else Exit.INTERRUPTED
        if self.driven is None:
            return Interrupted("Interrupted before anything was begun.", code, None)
        again = self.command("retry", self.driven)
        return Interrupted(f"Interrupted; the run is kept. Continue it with: {again}", code, self.driven)

    def command(self, *words: str) -> str:
        """Return a command line that does what it says in the database of this call, ready to be typed.

        A password in `--database` is masked, so that it does not end in a log.
        """
        line = shlex.join([*_program(), *words])
        return f"{line} --database {shlex.quote(_masked(self.database))}" if self.database else line

    def _note(self, thread_id: str) -> None:
        self.driven = thread_id


def _console(stream: Any) -> Console:
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise  # it is called while the error is handled; the default would end the process here

    return Pipe(file=stream, highlight=False, markup=False, emoji=False)


def _speaks_unicode(stream: Any) -> bool:
    return str(getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-") in ("utf-8", "utf8")


def _program() -> list[str]:
    """Return how this program is called from here: by name where the shell finds it, otherwise by its path."""
    script = Path(sys.executable).with_name("adjourn")
    found = shutil.which("adjourn")
    if found and Path(found).resolve() == script.resolve():
        return ["adjourn"]
    return [short_path(script)] if script.exists() else [short_path(Path(sys.executable)), "-m", "adjourn.cli"]


def short_path(path: Path) -> str:
    """Return a path as one would type it from the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _masked(url: str | None) -> str:
    parts = urlsplit(url or "")
    return str(url).replace(f":{parts.password}@", ":***@", 1) if parts.password else str(url)
