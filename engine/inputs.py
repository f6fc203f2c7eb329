"""The input of a run, checked before anything is stored."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NotRequired, Required, get_args, get_origin, get_type_hints

import typing_extensions
from langgraph.channels import LastValue
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.constants import START
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from ..errors import AdjournError, InvalidInput
from ..state.inputs import check_together
from ..state.values import digest, json_problem
from .binding import Compiled

__all__ = ["Stored", "check_input", "input_keys", "is_required", "serialised", "type_name", "typed_input"]

_NOT_REQUIRED: Final = (NotRequired, typing_extensions.NotRequired)
_QUALIFIERS: Final = (*_NOT_REQUIRED, Required, typing_extensions.Required, typing_extensions.ReadOnly)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as the run row holds it: the serializer's type and bytes, and a digest of its content."""

    type: str | None
    data: bytes | None
    digest: str


def input_keys(graph: Compiled) -> dict[str, Any]:
    """Return the keys of the graph's input and their types; empty when its input is not a dictionary of keys."""
    return _hints(graph, constraints=False)


def _hints(graph: Compiled, *, constraints: bool) -> dict[str, Any]:
    schema = _input_schema(graph)
    if schema is None:
        return {}
    try:
        return _hints_of(schema, constraints)
    except Exception:  # noqa: BLE001  (a user's annotations may not resolve here; the graph itself may still run)
        return {}


def check_input(graph: Compiled, value: Any, *, json_only: bool) -> None:
    """Check the input of a run against what its graph accepts.

    A key is missing only where the graph has an input schema of its own: graphs without one take any part of
    their state, as LangGraph does.

    Args:
        graph: The graph.
        value: The input.
        json_only: Whether everything must be JSON-safe, as in the workflows that ship with adjourn.

    Raises:
        InvalidInput: A key is missing, unknown or of another type, a value breaks a constraint of its key or is not
            JSON-safe, or the keys do not fit together.
    """
    if json_only and (problem := json_problem(value, "input")):
        raise InvalidInput(f"{problem}; the input of this workflow must be JSON-safe.")
    keys = input_keys(graph)
    if not keys or not isinstance(value, Mapping):
        if keys and is_typeddict(_input_schema(graph)):
            raise InvalidInput(f"The input is a {type(value).__name__}; it must be a dictionary with {_named(keys)}.")
        return
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInput(
                f"The input has the key {key!r}, which this workflow does not know.{hint} {_known(keys)}"
            )
    for key, hint in _hints(graph, constraints=True).items():
        if key in value:
            # a key with a reducer takes an update, which need not have the type of the key's value
            if isinstance(graph.channels.get(key), LastValue):
                _check_type(key, value[key], hint, keys[key])
        elif is_required(graph, key):
            raise InvalidInput(f"The input lacks the key {key!r} ({type_name(keys[key])}).")
    check_together(_input_schema(graph), value)


def typed_input(graph: Compiled, value: Any) -> Any:
    """Return the input of a run with the types that its graph asks for, where plain JSON stands for them.

    From a shell or over HTTP an object can only come as JSON; a graph whose schema names a data class, a model, an
    enumeration or a date gets one. What the schema does not name, and what does not fit it, stays as it was given.

    Args:
        graph: The graph.
        value: The input, which `check_input` has seen.
    """
    keys = _hints(graph, constraints=True)
    if keys and isinstance(value, Mapping):
        return {key: _typed(part, keys[key]) if key in keys else part for key, part in value.items()}
    start = graph.channels.get(START)
    return value if keys or start is None else _typed(value, getattr(start, "ValueType", Any))


def serialised(serde: SerializerProtocol, value: Any, *, what: str, limit: int | None = None) -> Stored:
    """Serialise an input or a context for its run row.

    Args:
        serde: The saver's serializer.
        value: The value.
        what: What it is, for the message.
        limit: The most bytes that it may take.

    Raises:
        InvalidInput: It cannot be serialised, or is too large.
    """
    try:
        kind, data = serde.dumps_typed(value)
    except Exception as error:
        raise InvalidInput(f"The {what} cannot be stored: {error}. Use JSON-safe values.") from error
    if limit is not None and len(data) > limit:
        raise InvalidInput(
            f"The {what} takes {len(data):,} bytes, more than the {limit:,} that ADJOURN_MAX_INPUT_BYTES allows. "
            "Store large content elsewhere and pass its address."
        )
    if json_problem(value) is None:
        return Stored(kind, data, digest(value))
    return Stored(kind, data, hashlib.sha256(data).hexdigest())


def _input_schema(graph: Compiled) -> Any:
    builder = getattr(graph, "builder", None)
    return getattr(builder, "input_schema", None)


def is_required(graph: Compiled, key: str) -> bool:
    """Say whether a run cannot be started without an input key.

    Args:
        graph: The graph.
        key: One of its `input_keys`.
    """
    builder = getattr(graph, "builder", None)
    if builder is None:
        return False
    if builder.input_schema is not builder.state_schema and is_typeddict(builder.input_schema):
        return key in _required_keys(builder.input_schema)
    # A model or data class is built for the first node, and cannot be without what it requires.
    first = {end for start, end in builder.edges if start == START and end in builder.nodes}
    return any(_requires(builder.nodes[name].input_schema, key) for name in first)


@lru_cache(maxsize=100)
def _required_keys(schema: Any) -> frozenset[str]:
    """Return the keys that a TypedDict requires. Where its annotations are texts, Python itself overlooks NotRequired."""
    required = frozenset(getattr(schema, "__required_keys__", ()))
    try:
        hints = get_type_hints(schema, include_extras=True)
    except Exception:  # noqa: BLE001  (a user's annotations may not resolve here)
        return required
    return frozenset(key for key in required if get_origin(hints.get(key)) not in _NOT_REQUIRED)


def _requires(schema: Any, key: str) -> bool:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return key in schema.model_fields and schema.model_fields[key].is_required()
    fields = dataclasses.fields(schema) if dataclasses.is_dataclass(schema) else ()
    missing = dataclasses.MISSING
    return any(each.name == key and each.default is missing and each.default_factory is missing for each in fields)


@lru_cache(maxsize=256)
def _hints_of(schema: Any, constraints: bool) -> dict[str, Any]:
    """Return the types of a schema's keys, with or without what is written beside them (`Annotated`)."""
    hints = get_type_hints(schema, include_extras=constraints)
    return {key: _unqualified(hint) for key, hint in hints.items()}


def _unqualified(hint: Any) -> Any:
    return _unqualified(get_args(hint)[0]) if get_origin(hint) in _QUALIFIERS else hint


def _adapter_of(hint: Any) -> TypeAdapter[Any]:
    """Return Pydantic's checker of a type, which takes a quarter of a millisecond to make."""
    try:
        return _known_adapter(hint)
    except TypeError:  # not hashable
        return TypeAdapter(hint)


@lru_cache(maxsize=1024)
def _known_adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _typed(value: Any, hint: Any) -> Any:
    if hint is Any or json_problem(value) is not None:
        return value
    try:
        built = _adapter_of(hint).validate_python(value)
    except Exception:  # noqa: BLE001  (validators of other people raise what they like; the graph will judge the value)
        return value
    # Only what JSON cannot hold was meant; a number that could be read as a text stays a number.
    return value if json_problem(built) is None else built


def _check_type(key: str, value: Any, hint: Any, plain: Any) -> None:
    try:
        adapter = _adapter_of(hint)
    except (PydanticUserError, TypeError):  # a type that Pydantic cannot check; the graph will judge it
        return
    simple = isinstance(plain, type) and plain in (str, int, float, bool)
    try:
        adapter.validate_python(value, strict=simple)
    except AdjournError:  # of a workflow's own check, which says it better
        raise
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in (key, *first["loc"]))
        if simple and type(value) is plain:  # it is the type that was asked for, and breaks a constraint
            raise InvalidInput(f"The input key {place!r} does not fit: {first['msg']}.") from None
        raise InvalidInput(
            f"The input key {place!r} must be {type_name(plain)}, not a {type(value).__name__}: {first['msg']}."
        ) from None
    except Exception as error:  # validators of other people raise what they like
        raise InvalidInput(f"The input key {key!r} cannot be checked: {type(error).__name__}: {error}.") from error


def type_name(hint: Any) -> str:
    """Return a type as one writes it, for messages."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _named(keys: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} ({type_name(hint)})" for key, hint in keys.items())


def _known(keys: Mapping[str, Any]) -> str:
    return f"Known: {_named(keys)}."
