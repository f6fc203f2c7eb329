"""How values are written to checkpoints, and which types may go there and come back.

Reading a checkpoint builds objects, so a type that is read must be on a list: the harmless ones that LangGraph names,
those that the schemas of a graph mention, and those that the caller allows. The same list holds for writing, so that
nobody learns weeks later that an object comes back as plain data.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import ormsgpack
from langgraph._internal import _serde
from langgraph.checkpoint.serde import _msgpack, jsonplus
from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import StateGraph

from ..errors import InvalidInput

__all__ = ["Allowed", "StrictSerializer", "graph_types", "serializer"]

Allowed: TypeAlias = type | tuple[str, str]
"""A class, or its module and name."""

_METHOD: Final = jsonplus.EXT_METHOD_SINGLE_ARG
_SNAPSHOT: Final = jsonplus.EXT_DELTA_SNAPSHOT
_ARRAY: Final = jsonplus.EXT_NUMPY_ARRAY


class StrictSerializer(JsonPlusSerializer):
    """LangGraph's serializer with its list of types in force in both directions.

    Read back, a type that is not listed stays plain data and nothing is called, whatever the bytes name.
    """

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialise a value.

        Raises:
            InvalidInput: It holds a type that is not listed; the message names it and the line to add.
            TypeError: It has no serial form at all.
        """
        if obj is None or isinstance(obj, bytes | bytearray):
            return super().dumps_typed(obj)
        try:
            # Texts, numbers, lists and dictionaries, which is nearly everything, need no second look.
            return "msgpack", ormsgpack.packb(obj, option=jsonplus._option)
        except TypeError:
            kind, data = super().dumps_typed(obj)
        if unlisted := self._unlisted(data):
            module, name = unlisted
            raise InvalidInput(
                f"A value of type {module}.{name} is not on the list of types that may be stored. Add "
                f'("{module}", "{name}") to open_saver(allow=[…]), or store plain data instead.'
            )
        return kind, data

    def _unlisted(self, data: bytes) -> tuple[str, str] | None:
        """Return the first type in a message that its reader would not build."""
        listed = self._allowed_msgpack_modules
        found: list[tuple[str, str]] = []

        def look(code: int, inner: bytes) -> None:
            if code == _ARRAY:
                return
            content = ormsgpack.unpackb(inner, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
            if code == _SNAPSHOT:
                return
            key = (content[0], content[1])
            if code == _METHOD:
                known = (*key, content[3]) in _msgpack.SAFE_MSGPACK_METHODS
            else:
                known = key in _msgpack.SAFE_MSGPACK_TYPES or listed is True or (listed is not None and key in listed)
            if not known:
                found.append(key)

        ormsgpack.unpackb(data, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
        return found[0] if found else None


def serializer(
    allow: Iterable[Allowed] = (), *, strict: bool = True, cipher: CipherProtocol | None = None
) -> SerializerProtocol:
    """Make a serializer, whatever the environment says about LangGraph's own.

    Args:
        allow: Types that may be stored and read beside the harmless ones.
        strict: Without it any importable type is built when it is read, as LangGraph does by default. Only for
            databases that nobody else can write to.
        cipher: Encrypts what is written; see `encryption.py`.
    """
    plain = (
        StrictSerializer(allowed_msgpack_modules=list(allow))
        if strict
        else JsonPlusSerializer(allowed_msgpack_modules=True)
    )
    return EncryptedSerializer(cipher, plain) if cipher else plain


def graph_types(builder: StateGraph[Any, Any, Any, Any]) -> set[tuple[str, ...]]:
    """Return the types that a graph's schemas mention, for `saver.with_allowlist(…)`.

    LangGraph does this in `compile()` only when LANGGRAPH_STRICT_MSGPACK was set before it was first imported.

    Args:
        builder: The graph, not compiled; of a compiled graph, its `builder`.

    Returns:
        Module and name of each type.
    """
    schemas = [builder.state_schema, builder.input_schema, builder.output_schema, builder.context_schema]
    schemas += [node.input_schema for node in builder.nodes.values()]
    schemas += [branch.input_schema for branches in builder.branches.values() for branch in branches.values()]
    present = [schema for schema in schemas if schema is not None]
    return _serde.build_serde_allowlist(schemas=present, channels=builder.channels)
