"""How a run survives: PostgreSQL (embedded or yours), its tables, and LangGraph's saver on it."""

from .faults import mapped_faults
from .pool import Connection, Pool
from .queries import load_queries
from .saver import Saver
from .serde import graph_types, serializer
from .storage import Storage, open_saver, open_storage

__all__ = [
    "Connection",
    "Pool",
    "Saver",
    "Storage",
    "graph_types",
    "load_queries",
    "mapped_faults",
    "open_saver",
    "open_storage",
    "serializer",
]
