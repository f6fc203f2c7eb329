"""What all commands share: the options `--json`, `--database` and `--debug`, and how errors end them."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from ..errors import AdjournError
from .exits import Exit, Interrupted, exit_of_error
from .session import Session
from .text import one_line

__all__ = ["Database", "Debug", "Json", "command", "is_usage_error", "report", "silence"]

P = ParamSpec("P")

_PANEL = "Options of every command"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=_PANEL)]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="PostgreSQL to use. Default: ADJOURN_DATABASE_URL, else the embedded server.",
        rich_help_panel=_PANEL,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Log everything; show tracebacks.", rich_help_panel=_PANEL)]


def command(function: Callable[Concatenate[Session, P], int]) -> Callable[..., None]:
    """Make a Typer command of a function that gets a session and returns an exit code.

    The shared options are added to its own; an error is reported and ends the process with its exit code.

    Args:
        function: Its first parameter is the session; the others are Typer's.
    """

    def run(**given: Any) -> None:
        context: typer.Context = given.pop("typer_context")
        database = given.pop("database") or (context.obj or {}).get("database")
        session = Session(database, as_json=given.pop("as_json"), debug=given.pop("debug"))
        try:
            code = function(session, **given)  # type: ignore[call-arg]
        except BrokenPipeError:
            code = silence()
        except Exception as error:  # noqa: BLE001  (the last place where an error can be told in one line)
            code = report(error, session)
        raise typer.Exit(code)

    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]
    ]
    shared = [
        _parameter("typer_context", typer.Context),
        _parameter("as_json", Json, default=False),
        _parameter("database", Database, default=None),
        _parameter("debug", Debug, default=False),
    ]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
    return run


def report(error: BaseException, session: Session) -> int:
    """Tell an error in one line, or as JSON, and return the exit code.

    Args:
        error: What ended the command.
        session: How it was called.
    """
    code = Exit.BAD_INPUT if is_usage_error(error) else exit_of_error(error)
    message = _message(error)
    if session.debug:
        traceback.print_exception(error, file=sys.stderr)
    if session.as_json:
        with suppress(OSError):
            kind = "UsageError" if is_usage_error(error) else type(error).__name__
            session.result(
                {"error": {"type": kind, "message": message, "thread_id": getattr(error, "thread_id", None)}}
            )
            return code
        silence()  # nobody can read it there; say it on standard error
    from rich.text import Text

    # a command to be typed, and whatever goes to a file, stays on one line
    whole = isinstance(error, Interrupted) or not session.err.is_terminal
    session.err.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=whole)
    return code


def silence() -> int:
    """Let Python end without complaint although nobody reads what it still holds back; return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.BROKEN_PIPE


def is_usage_error(error: BaseException) -> bool:
    """Whether Typer says that the command was called wrongly; its error classes have no public names."""
    return isinstance(error, typer.BadParameter.__mro__[2])


def _message(error: BaseException) -> str:
    if is_usage_error(error):
        context = getattr(error, "ctx", None)
        place = context.command_path if context else "adjourn"
        said = one_line(error.format_message()).replace(": Value error, ", ": ")  # type: ignore[attr-defined]
        return f"{said}{'' if said[-1:] in '.?!' else '.'} See: {place} --help"
    if isinstance(error, AdjournError | Interrupted):
        return one_line(str(error))
    return one_line(f"{type(error).__name__}: {error}. This is a fault in adjourn; --debug shows where.")


def _parameter(name: str, annotation: Any, **default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, **default)
