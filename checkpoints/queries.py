"""Named queries in `.sql` files.

    -- name: get_run
    -- One run by its thread id.
    select * from adjourn.runs where thread_id = %(thread_id)s;

Each query starts with its name and at least one line on what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, LiteralString

from ..errors import ConfigurationError

__all__ = ["load_queries", "parse_queries"]

_NAME: Final = re.compile(r"^--\s*name:\s*([a-z][a-z0-9_]*)\s*$")


def load_queries(package: str, file: str) -> Mapping[str, LiteralString]:
    """Read the queries of one file that lies in a package, installed or not.

    Args:
        package: The import name of the package, usually `__package__`.
        file: The name of the file, such as `"runs.sql"`.

    Returns:
        The text of each query by its name. An unknown name raises KeyError.

    Raises:
        ConfigurationError: The file is missing, or breaks a rule of `parse_queries`.
    """
    try:
        text = files(package).joinpath(file).read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"The file {file} is missing from the package {package}; reinstall adjourn."
        ) from error
    return parse_queries(text, f"{package}/{file}")


def parse_queries(text: str, source: str) -> Mapping[str, LiteralString]:
    """Split the text of a query file.

    Args:
        text: What the file holds.
        source: Its name, for messages.

    Returns:
        The text of each query by its name, without its lines of comment: they are for who reads the file, and psycopg
        understands statements longer than 4096 bytes anew each time.

    Raises:
        ConfigurationError: A query has no name, no line on what it is for, no statement, or the name of another.
    """
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _NAME.match(line):
            if match[1] in found:
                raise ConfigurationError(f"{source}, line {number}: a second query is called {match[1]}.")
            current = found[match[1]] = []
        elif current is not None:
            current.append(line)
        elif line.strip() and not line.startswith("--"):
            raise ConfigurationError(f"{source}, line {number}: this query has no name; put `-- name: …` above it.")
    return MappingProxyType({name: _checked(name, lines, source) for name, lines in found.items()})


def _checked(name: str, lines: list[str], source: str) -> LiteralString:
    if not lines or not re.match(r"^--\s*\S", lines[0]):
        raise ConfigurationError(f"{source}: the query {name} needs a comment line on what it is for.")
    # The text comes from a file of a package, never from a user: what psycopg means by a literal string.
    text: LiteralString = "\n".join(line for line in lines if not line.lstrip().startswith("--")).strip()
    if not text:
        raise ConfigurationError(f"{source}: the query {name} holds no statement.")
    return text
