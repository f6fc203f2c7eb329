"""How values are written to checkpoints, and which types may come back from them.

Reading a checkpoint builds objects. Only types on a list are built: the harmless ones that LangGraph names, and those
that the schemas of a graph mention. Anything else comes back as plain data (a dictionary, usually).
"""

from __future__ import annotations

from typing import Any, Final

from langgraph._internal import _serde
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import StateGraph

__all__ = ["graph_types", "serializer"]

ALLOWED: Final = None  # LangGraph's own list of harmless types and nothing else; `True` would be every importable type


def serializer() -> JsonPlusSerializer:
    """Return LangGraph's serializer in its strict mode, whatever the environment says."""
    return JsonPlusSerializer(allowed_msgpack_modules=ALLOWED)


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
