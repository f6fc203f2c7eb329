"""Rosters from files: the agents of a council as YAML or JSON, with every mistake named by its line and key.

agents:
  - name: ada
    role: A careful security engineer.
    capabilities: [security, sql]
    accuracy: 0.9
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..errors import InvalidRoster
from ..state.roster import Agent, Roster

__all__ = ["MAX_BYTES", "load_roster", "read_roster"]

MAX_BYTES = 1_000_000
"""The largest roster that is read."""


# for what Pydantic says in Python's words
_WORDS = {
    "missing": "this key is missing",
    "model_type": "input should be a mapping with the keys of an agent",
    "model_attributes_type": "input should be a mapping with the keys of an agent",
    "dict_type": "input should be a mapping",
    "tuple_type": "input should be a list",
}


def load_roster(path: str | Path) -> Roster:
    """Read a roster file.

    Args:
        path: A YAML file; JSON is YAML too.

    Raises:
        InvalidRoster: The file cannot be read, is larger than 1 MB or no YAML, or does not describe agents.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidRoster(f"The roster {file} cannot be read: {error.strerror or error}.") from error
    if len(data) > MAX_BYTES:
        raise InvalidRoster(f"The roster {file} has more than {MAX_BYTES} bytes. Is it a roster?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRoster(f"The roster {file} is not UTF-8 text (byte {error.start}).") from error
    return read_roster(text, source=str(file))


def read_roster(text: str, *, source: str = "roster") -> Roster:
    """Read a roster.

    Args:
        text: YAML: a mapping with `agents`, a list of mappings with the keys of `Agent`.
        source: How to call it in errors.

    Raises:
        InvalidRoster: It is no YAML, or does not describe agents; the message names each line and key.
    """
    try:
        root, data = _parsed(text, source)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InvalidRoster(f"{source}, {line}this is no YAML: {error.problem or error.context}.") from error
    except RecursionError:
        raise InvalidRoster(f"{source} is nested too deeply to be a roster.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidRoster(f"{source} is no YAML: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(data, dict):
        raise InvalidRoster(
            f"{source} must be a mapping with the key `agents`, a list of agents; this is {_kind(data)}."
        )
    try:
        return Roster.model_validate(data)
    except ValidationError as error:
        mistakes = [_mistake(root, each) for each in error.errors(include_url=False)]
        raise InvalidRoster(f"{source}: {'; '.join(text for _, text in sorted(mistakes))}.") from error


def _parsed(text: str, source: str) -> tuple[Any, Any]:
    """Return a document as nodes, which know their lines, and as data."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        _refuse_repeated_keys(root, source)
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_repeated_keys(root: Any, source: str) -> None:
    """YAML would let the last of two equal keys win, silently."""
    for mapping in _mappings(root):
        seen: dict[str, int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused as a key when the data are made
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise InvalidRoster(
                    f"{source}, line {line}: the key `{name}` is there already in line {seen[name]}. Keep one."
                )
            seen[name] = line


def _mappings(root: Any) -> Iterator[Any]:
    """Yield the mappings of a document, each once, however often an alias repeats it."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            todo.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            todo.extend(node.value)


def _mistake(root: Any, error: Any) -> tuple[int, str]:
    """Return a mistake in words, after its line."""
    where = list(error.get("ctx", {}).get("where", error["loc"]))
    line = _line(root, where)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    said = _WORDS.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    if error["type"] == "extra_forbidden":
        known = sorted((Agent if "agents" in where else Roster).model_fields)
        near = difflib.get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
        said = f"there is no such key; {hint}"
    return line, f"line {line}, `{path}`: {said}"


def _line(root: Any, where: list[int | str]) -> int:
    """Return the line of a place; of the nearest thing above it when it is not written down."""
    node, line = root, root.start_mark.line
    for part in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        else:
            break
    return int(line) + 1


def _kind(data: Any) -> str:
    return "empty" if data is None else f"a {type(data).__name__}"
