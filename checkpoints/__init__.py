"""How a run survives: PostgreSQL (embedded or yours), its tables, and LangGraph's saver on it.

The names are loaded when they are first used: what only looks at the settings must not wait for LangGraph.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faults import mapped_faults
    from .pool import Connection, Pool
    from .queries import load_queries
    from .retention import Policy, Pruned, prune
    from .saver import Saver
    from .serde import graph_types, serializer
    from .statement import Added, Hook
    from .storage import Storage, open_saver, open_storage

__all__ = [
    "Added",
    "Connection",
    "Hook",
    "Policy",
    "Pool",
    "Pruned",
    "Saver",
    "Storage",
    "graph_types",
    "load_queries",
    "mapped_faults",
    "open_saver",
    "open_storage",
    "prune",
    "serializer",
]

_MODULE_OF = {
    "Connection": "pool",
    "Added": "statement",
    "Hook": "statement",
    "Policy": "retention",
    "Pool": "pool",
    "Pruned": "retention",
    "Saver": "saver",
    "Storage": "storage",
    "graph_types": "serde",
    "load_queries": "queries",
    "mapped_faults": "faults",
    "open_saver": "storage",
    "open_storage": "storage",
    "prune": "retention",
    "serializer": "serde",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
