"""JSON-safe values: what may travel in a run, and how it is digested."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, TypeAlias

__all__ = ["JsonValue", "canonical_json", "digest", "json_problem", "storable_text"]

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
_Path: TypeAlias = "tuple[_Path | None, str | int]"

# Below PostgreSQL's and msgpack's 64 bits, so that a number that is accepted can also be stored.
_MAX_INT = 2**63 - 1


def json_problem(value: Any, where: str = "value") -> str | None:
    """Say where and why a value is not JSON-safe.

    Args:
        value: Anything.
        where: How to call the value in the answer.

    Returns:
        A short sentence such as `input.when is a datetime`, or None when all of it is JSON-safe: dictionaries with
        text keys, lists, text, finite numbers below 64 bits, true, false and null. Text must be valid Unicode
        without the character U+0000, which PostgreSQL does not store.
    """
    todo: list[tuple[_Path, Any, int]] = [((None, where), value, 0)]
    while todo:
        path, item, depth = todo.pop()
        if depth > 100:
            return f"{_name(path)} is nested more than 100 levels deep"
        if isinstance(item, dict):
            for key, inner in item.items():
                if not isinstance(key, str):
                    return f"{_name(path)} has the key {key!r}, which is not text"
                if problem := _scalar_problem(key):
                    return f"a key of {_name(path)} {problem}"
                todo.append(((path, key), inner, depth + 1))
        elif isinstance(item, list):
            todo.extend(((path, index), inner, depth + 1) for index, inner in enumerate(item))
        elif problem := _scalar_problem(item):
            return f"{_name(path)} {problem}"
    return None


def _name(path: _Path) -> str:
    """Put a path into words, which nobody needs while there is no problem."""
    above, step = path
    if above is None:
        return str(step)
    return _name(above) + (f"[{step}]" if isinstance(step, int) else f".{step}")


def storable_text(text: str) -> str:
    """Return a text as PostgreSQL can hold it: zero bytes and halves of characters are written as escapes.

    Args:
        text: Any, such as the words of somebody else's error.
    """
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()


def _scalar_problem(item: Any) -> str | None:
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, str):
        if "\x00" in item:
            return "contains the character U+0000"
        if item.isascii():
            return None
        try:
            item.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode text"
        return None
    if isinstance(item, int):
        return None if -_MAX_INT - 1 <= item <= _MAX_INT else "is a whole number of more than 64 bits"
    if isinstance(item, float):
        return None if math.isfinite(item) else "is not a finite number"
    return f"is a {type(item).__name__}"


def canonical_json(value: JsonValue) -> str:
    """Return the one text that stands for a JSON-safe value: sorted keys, no spaces, UTF-8 kept."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: JsonValue) -> str:
    """Return the SHA-256 of a value's canonical JSON as 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
