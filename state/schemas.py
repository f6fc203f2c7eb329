"""JSON Schemas of the data that travels, for questions, forms and error messages."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

__all__ = ["json_schema"]


def json_schema(kind: Any, *, all_optional: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a type.

    Args:
        kind: A TypedDict, Pydantic model, dataclass or any type that Pydantic knows.
        all_optional: Whether a part of the keys is enough, as in an edit. Keys that are not named are refused then.
    """
    schema = TypeAdapter(kind).json_schema()
    if all_optional:
        schema.pop("required", None)
        schema["additionalProperties"] = False
        schema["minProperties"] = 1
    return schema
