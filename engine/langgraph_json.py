"""`langgraph.json`: what it says, read without running anything that it names.

The file is LangGraph's own (`langgraph dev` reads it), so the forms are the ones that its tools accept. What adjourn
has no use for, such as `store`, `http` or `image_distro`, is not looked at. One key is adjourn's, and has its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from ..errors import ConfigurationError

__all__ = ["FILE", "GraphEntry", "Project", "read_project"]

FILE: Final = "langgraph.json"
_JAVASCRIPT: Final = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs")
_FORMS: Final = '"./path/file.py:name" or "package.module:name"'


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """One entry of `graphs`.

    Args:
        name: The name of the workflow.
        place: Where its code is: a path (it holds a slash or ends with `.py`) or the name of a module.
        attribute: What it is called there.
        description: What it does, if the entry says so.
    """

    name: str
    place: str
    attribute: str
    description: str | None = None

    @property
    def target(self) -> str:
        """The entry as the file writes it: `place:attribute`."""
        return f"{self.place}:{self.attribute}"

    @property
    def is_file(self) -> bool:
        """Whether the place is a path of a file, not the name of a module."""
        return "/" in self.place or self.place.endswith(".py")

    @property
    def is_javascript(self) -> bool:
        """Whether the graph is written for LangGraph's JavaScript edition."""
        return self.place.endswith(_JAVASCRIPT)


@dataclass(frozen=True, slots=True)
class Project:
    """A LangGraph project: a folder with a `langgraph.json`.

    Args:
        file: The `langgraph.json`, with its whole path.
        graphs: Its graphs by name.
        env: Environment variables, or the path of a file that holds them, relative to the folder.
        dependencies: What the code needs: folders of the project, and packages as pip names them.
        coping: How workflows cope with faults, by their names: what `adjourn.coping` holds, unread.
    """

    file: Path
    graphs: Mapping[str, GraphEntry]
    env: Mapping[str, str] | str
    dependencies: tuple[str, ...]
    coping: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the project."""
        return self.file.parent


def read_project(folder: Path) -> Project | None:
    """Read the `langgraph.json` of a folder; None when it has none.

    Args:
        folder: The folder.

    Raises:
        ConfigurationError: The file cannot be read or does not say what it should; the message names line and key.
    """
    file = folder.absolute() / FILE
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}. It must be text in UTF-8 that you may read."
        ) from None
    return _Reader(file, text).read()


class _Reader:
    """Checks one file; every complaint names the file, the line and the key."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    def read(self) -> Project:
        try:
            content = json.loads(self._text)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"{self._file}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}. Correct it there."
            ) from None
        if not isinstance(content, dict):
            raise ConfigurationError(f'{self._file}: it must hold an object such as {{"graphs": {{…}}}}.')
        return Project(
            file=self._file,
            graphs=self._graphs(content.get("graphs", {})),
            env=self._env(content.get("env", {})),
            dependencies=self._dependencies(content.get("dependencies", [])),
            coping=self._coping(content.get("adjourn", {})),
        )

    def _graphs(self, graphs: Any) -> dict[str, GraphEntry]:
        if not isinstance(graphs, dict):
            self._refuse("graphs", f"it must be an object of names and graphs, each {_FORMS}")
        return {name: self._graph(name, value) for name, value in graphs.items()}

    def _graph(self, name: str, value: Any) -> GraphEntry:
        key = f"graphs.{name}"
        target = value.get("path") if isinstance(value, dict) else value
        place, _, attribute = target.rpartition(":") if isinstance(target, str) else ("", "", "")
        if not place or not attribute.isidentifier():
            self._refuse(key, f'it must be {_FORMS}, or {{"path": …}} with one of them')
        description = value.get("description") if isinstance(value, dict) else None
        return GraphEntry(name, place, attribute, description if isinstance(description, str) else None)

    def _env(self, env: Any) -> Mapping[str, str] | str:
        if isinstance(env, str):
            return env
        if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
            self._refuse("env", 'it must be an object of names and texts, or the path of a file such as ".env"')
        return env

    def _dependencies(self, dependencies: Any) -> tuple[str, ...]:
        if not isinstance(dependencies, list) or not all(isinstance(each, str) and each for each in dependencies):
            self._refuse("dependencies", 'it must be a list of folders and packages, such as [".", "langchain-openai"]')
        return tuple(dependencies)

    def _coping(self, ours: Any) -> Mapping[str, Any]:
        coping = ours.get("coping", {}) if isinstance(ours, dict) and ours.keys() <= {"coping"} else None
        if not isinstance(coping, dict):
            self._refuse("adjourn", 'it must be an object such as {"coping": {"review": {"retry": {"attempts": 4}}}}')
        return coping

    def _refuse(self, key: str, right: str) -> NoReturn:
        name = re.escape(json.dumps(key.rpartition(".")[2], ensure_ascii=False))
        found = re.search(rf"{name}\s*:", self._text)
        line = f", line {self._text.count(chr(10), 0, found.start()) + 1}" if found else ""
        raise ConfigurationError(f"{self._file}{line}: {key}: {right}.")
