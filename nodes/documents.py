"""Documents that people write by hand: YAML or JSON into a model, with every mistake named by its line and key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import AdjournError

__all__ = ["DocumentKind", "Place", "Positions", "load_document", "parse_document", "validate_document"]

Model = TypeVar("Model", bound=BaseModel)
Place = Sequence[str | int]

# The C loader reads a plan of 10,000 subtasks in a second, the other one in twenty. It crashes the process on a text that
# is nested a million levels deep, so the depth is looked at first.
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST: Final = 200
_MOST_VALUES: Final = 2_000_000
_MOST_MISTAKES: Final = 20

# for what Pydantic says in Python's words
_WORDS: Final = {
    "missing": "this key is missing",
    "dict_type": "input should be a mapping",
    "tuple_type": "input should be a list",
}


@dataclass(frozen=True)
class DocumentKind(Generic[Model]):
    """What a document is to be.

    Args:
        noun: How to call it, such as `roster`.
        model: What it is read into.
        error: What is raised when it cannot be.
        shape: What it must be, in words: "a mapping with …".
        part: The model of the part of a document whose key is wrong, by the place of the key.
        parts: How to call such a part, in words: "a mapping with the keys of an agent".
        max_bytes: The largest file that is read.
    """

    noun: str
    model: type[Model]
    error: type[AdjournError]
    shape: str
    part: Callable[[Place], type[BaseModel]]
    parts: str
    max_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the parts of a document stand.

    Args:
        source: How to call the document in errors.
        root: YAML's nodes, which know their lines; None for data that never was text.
    """

    source: str
    root: Any = field(default=None, repr=False)

    def name(self, place: Place) -> str:
        """Return the line, if there is one, and the keys that lead to a place."""
        keys = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        return f"`{keys}`" if self.root is None else f"line {self.line(place)}, `{keys}`"

    def line(self, place: Place) -> int:
        """Return the line of a place; of the nearest thing above it when it is not written down."""
        if self.root is None:
            return 0
        node, line = self.root, self.root.start_mark.line
        for part in place:
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


def load_document(path: str | Path, kind: DocumentKind[Any]) -> str:
    """Return the text of a file.

    Raises:
        AdjournError: Of the kind's own type: the file cannot be read, is too large, or is no UTF-8.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            data = opened.read(kind.max_bytes + 1)
    except OSError as error:
        raise kind.error(f"The {kind.noun} {file} cannot be read: {error.strerror or error}.") from error
    if len(data) > kind.max_bytes:
        raise kind.error(f"The {kind.noun} {file} has more than {kind.max_bytes} bytes. Is it a {kind.noun}?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind.error(f"The {kind.noun} {file} is not UTF-8 text (byte {error.start}).") from error


def parse_document(text: str, kind: DocumentKind[Any], source: str) -> tuple[Any, Positions]:
    """Return what a text holds, and where.

    Args:
        text: YAML; JSON is YAML too.
        kind: What it is to be.
        source: How to call it in errors.

    Raises:
        AdjournError: Of the kind's own type: it is no YAML, a key stands there twice, or it expands without end.
    """
    try:
        _refuse_depth(text, kind, source)
        root, data = _parsed(text, kind, source)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise kind.error(f"{source}, {line}this is no YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise kind.error(f"{source} is no YAML: {' '.join(str(error).split())[:200]}.") from error
    return data, Positions(source, root)


def validate_document(data: Any, kind: DocumentKind[Model], where: Positions) -> Model:
    """Return the model that data describe.

    Args:
        data: What the document holds.
        kind: What it is to be.
        where: Where its parts stand.

    Raises:
        AdjournError: Of the kind's own type; the message names each line and key.
    """
    if not isinstance(data, dict):
        raise kind.error(f"{where.source} must be {kind.shape}; this is {_kind_of(data)}.")
    try:
        return kind.model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        mistakes = sorted(_mistake(kind, where, each) for each in found[:_MOST_MISTAKES])
        more = f"; and {len(found) - _MOST_MISTAKES} more" if len(found) > _MOST_MISTAKES else ""
        raise kind.error(f"{where.source}: {'; '.join(text for _, text in mistakes)}{more}.") from error


def _parsed(text: str, kind: DocumentKind[Any], source: str) -> tuple[Any, Any]:
    """Return a document as nodes, which know their lines, and as data."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        _refuse_repeated_keys(root, kind, source)
        if root is not None and _values(root, {}) > _MOST_VALUES:
            raise kind.error(f"{source} holds more than {_MOST_VALUES:,} values once its aliases are written out.")
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_depth(text: str, kind: DocumentKind[Any], source: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise kind.error(f"{source} is nested too deeply to be a {kind.noun}.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _values(node: Any, known: dict[int, float]) -> float:
    """Count the values of a document with every alias written out; one that holds itself has no end."""
    if id(node) not in known:
        known[id(node)] = float("inf")  # until it is counted: what is met again inside itself
        parts = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _refuse_repeated_keys(root: Any, kind: DocumentKind[Any], source: str) -> None:
    """YAML would let the last of two equal keys win, silently."""
    for mapping in _mappings(root):
        seen: dict[str, int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused as a key when the data are made
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise kind.error(
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


def _mistake(kind: DocumentKind[Any], positions: Positions, error: Any) -> tuple[int, str]:
    """Return a mistake in words, after its line."""
    place = list(error.get("ctx", {}).get("where", error["loc"]))
    said = _WORDS.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    if error["type"] in ("model_type", "model_attributes_type"):
        said = f"input should be {kind.parts}"
    elif error["type"] == "extra_forbidden":
        known = sorted(kind.part(place).model_fields)
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
        said = f"there is no such key; {hint}"
    return positions.line(place), f"{positions.name(place)}: {said}"


def _kind_of(data: Any) -> str:
    if isinstance(data, str):
        file = "; give what the file holds, not its name" if data.endswith((".yaml", ".yml", ".json")) else ""
        return f"the text {data!r:.60}{file}"
    return "empty" if data is None else f"a {type(data).__name__}"
