"""What the input schema of a workflow may say beyond types. The engine checks it before anything is stored.

A key may have any constraint that Pydantic knows (`Annotated[int, Field(gt=0)]`). `Words` is one: a text that says
something. What only several keys together can tell is a function, which `checked_together` ties to the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = ["Words", "check_together", "checked_together", "says_something"]

Schema = TypeVar("Schema")
Check: TypeAlias = Callable[[Mapping[str, Any]], None]

_NAME = "__adjourn_check__"


def says_something(value: Any) -> bool:
    """Say whether a value is a text with more than white space in it."""
    return isinstance(value, str) and bool(value.strip())


def _words(value: str) -> str:
    if says_something(value):
        return value
    raise PydanticCustomError("says_nothing", "it says nothing; write what the run is about")


Words: TypeAlias = Annotated[
    str, AfterValidator(_words), WithJsonSchema({"type": "string", "minLength": 1, "pattern": r"\S"})
]
"""A text that says something: neither empty nor only white space."""


def checked_together(schema: Schema, check: Check) -> Schema:
    """Tie a check to an input schema, and return the schema.

    Args:
        schema: A TypedDict.
        check: Is called with an input whose keys fit; raises InvalidInput in words that say what to give instead.
    """
    setattr(schema, _NAME, staticmethod(check))
    return schema


def check_together(schema: Any, value: Mapping[str, Any]) -> None:
    """Call the check that is tied to an input schema, if there is one.

    Raises:
        InvalidInput: What the check says.
    """
    check: Check | None = getattr(schema, _NAME, None)
    if check is not None:
        check(value)
