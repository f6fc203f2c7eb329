"""Values from the command line: JSON, files, standard input, and `key=value` pairs.

    --input '{"input_text": "…"}'    JSON                --set key=value     text, exactly as it stands
    --input @file.json               JSON in a file      --set key:=JSON     JSON: a number, true, a list, …
    --input -                        JSON on stdin       --set key=@file     the text of a file
                                                         --set key:=@file    the JSON in a file

A text that begins with `@` is written as JSON: `--set key:='"@home"'`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from ..errors import AdjournError, InvalidInput

__all__ = ["mistaken_for_text", "read_assignments", "read_input", "read_json"]

Kind = type[AdjournError]

MOST_BYTES: Final = 100_000_000


def read_input(given: str | None, assignments: Sequence[str]) -> Any:
    """Return the input of a run.

    Args:
        given: The value of `--input`, if there is one.
        assignments: The values of `--set`; they win over keys of the same name in `--input`.

    Raises:
        InvalidInput: It is not JSON, a file cannot be read, or `--set` is used beside something without keys.
    """
    value = {} if given is None else read_json(given, "--input")
    pairs = read_assignments(assignments)
    if not pairs:
        return value
    if not isinstance(value, dict):
        raise InvalidInput(f"--set adds keys, but --input is {_kind_of(value)}; make it an object or leave --set out.")
    return {**value, **pairs}


def read_json(given: str, option: str, error: Kind = InvalidInput) -> Any:
    """Return the JSON value that an option names: JSON itself, `@file`, or `-` for standard input.

    Args:
        given: What stands behind the option.
        option: The option, for messages.
        error: What to raise.

    Raises:
        AdjournError: Of the kind `error`: it is not JSON, or the file cannot be read.
    """
    if given == "-":
        return _parsed(_standard_input(option, error), f"{option} -", error)
    if given.startswith("@"):
        return _parsed(_file(given[1:], option, error), f"{option} {given}", error)
    return _parsed(given, option, error)


def read_assignments(assignments: Sequence[str], option: str = "--set", error: Kind = InvalidInput) -> dict[str, Any]:
    """Return the keys and values that `key=value` pairs stand for.

    Args:
        assignments: `key=value`, `key:=JSON`, `key=@file`, `key:=@file`.
        option: The option, for messages.
        error: What to raise.

    Raises:
        AdjournError: Of the kind `error`: no key, one key twice, bad JSON, or a file that cannot be read.
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        as_json = name.endswith(":")
        key = name.removesuffix(":").strip()
        if not equals or not key:
            raise error(f"{option} takes key=value, key:=JSON or key=@file, not {assignment!r}.")
        if key in found:
            raise error(f"{option} names the key {key!r} twice; name it once.")
        where = f"{option} {key}"
        if value.startswith("@"):
            text = _file(value[1:], where, error)
            found[key] = _parsed(text, f"{where}:={value}", error) if as_json else text
        else:
            found[key] = _parsed(value, f"{where}:=", error) if as_json else value
    return found


def mistaken_for_text(assignments: Sequence[str], message: str) -> str:
    """Return a hint when an error is about a key that was given as text and looks like JSON; otherwise nothing.

    Args:
        assignments: The values of `--set`.
        message: What was wrong, naming keys.
    """
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        looks_like_json = value[:1] in tuple('[{-0123456789"') or value in ("true", "false", "null")
        named = f"'{name}'" in message or f"{name}:" in message
        if equals and looks_like_json and named and not name.endswith(":"):
            return f" ({name}=… is text; write {name}:=… to give JSON.)"
    return ""


def _parsed(text: str, where: str, error: Kind) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise error(f"{where}: {constant} is not JSON.")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as problem:
        place = f"line {problem.lineno}, column {problem.colno}"
        raise error(f"{where} is not valid JSON: {problem.msg} ({place}).{_advice(text, where)}") from None
    except RecursionError:
        raise error(f"{where} is nested too deeply.") from None
    except ValueError as problem:  # a number with more digits than Python reads
        raise error(f"{where} is not usable: {problem}.") from None


def _advice(text: str, where: str) -> str:
    if "@" in where or where.endswith("-"):
        return ""
    try:
        is_file = len(text) < 256 and Path(text).is_file()
    except (OSError, ValueError):
        is_file = False
    return f" To read the file, write @{text}." if is_file else " @file reads a file."


def _file(name: str, where: str, error: Kind) -> str:
    if not name:
        raise error(f"{where}: there is no file name behind @.")
    try:
        with Path(name).expanduser().open("rb") as file:
            return _text(file, where, error)
    except FileNotFoundError:
        raise error(f"{where}: there is no file {name!r} (looked in {Path.cwd()}).") from None
    except (OSError, ValueError, RuntimeError) as problem:
        raise error(f"{where}: the file {name!r} cannot be read: {_reason(problem)}.") from None


def _standard_input(where: str, error: Kind) -> str:
    try:
        return _text(sys.stdin.buffer, where, error)
    except UnicodeDecodeError as problem:
        raise error(f"{where}: standard input cannot be read: {_reason(problem)}.") from None


def _text(file: BinaryIO, where: str, error: Kind) -> str:
    """Return what a file holds; the engine's own limit is lower, this one stops at devices that never end."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise error(f"{where}: more than {MOST_BYTES:,} bytes. Store large content elsewhere and pass its address.")
    return data.decode("utf-8-sig")


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {problem.start})"
    return str(getattr(problem, "strerror", None) or problem).lower()


def _kind_of(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
