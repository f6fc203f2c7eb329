"""The one place that touches names of LangGraph which are not public.

`pyproject.toml` pins LangGraph below its next minor version, and tests/engine/test_internals.py notices when one of
these changes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from langgraph._internal._constants import NULL_TASK_ID, TASKS
from langgraph._internal._serde import build_serde_allowlist
from langgraph.constants import START
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._task_status import read_task_statuses
from langgraph.types import Interrupt

__all__ = [
    "BRANCH",
    "INPUT",
    "JOIN",
    "SENDS",
    "goes_on",
    "open_interrupts",
    "served_graphs",
    "storable_types",
]

# The channels that trigger nodes, by name or by how the name begins (`langgraph/graph/state.py`).
INPUT: Final = START
BRANCH: Final = "branch:to:"
JOIN: Final = "join:"
SENDS: Final = TASKS


def open_interrupts(pending_writes: Iterable[tuple[str, str, Any]]) -> list[Interrupt]:
    """Return the questions that wait for an answer, once each, from the writes of a root checkpoint.

    LangGraph's own reading of its log of writes: a task is finished if and only if it has an output write, and the
    last question of an unfinished task is open. The tasks above a subgraph repeat its questions.
    """
    found: dict[str, Interrupt] = {}
    for status in read_task_statuses(list(pending_writes)).values():
        for interrupt in status.pending_interrupts:
            found.setdefault(interrupt.id, interrupt)
    return list(found.values())


def goes_on(pending_writes: Iterable[tuple[str, str, Any]]) -> bool:
    """Whether a checkpoint that triggers nothing is continued all the same by what was written after it.

    A `Command(goto=…)` is such a write: LangGraph stores it with the checkpoint at hand, however finished that is.
    """
    writes = list(pending_writes)
    sent = (channel for task_id, channel, _ in writes if task_id == NULL_TASK_ID)
    return any(channel == SENDS or channel.startswith(BRANCH) for channel in sent) or bool(open_interrupts(writes))


def storable_types(graph: Pregel[Any, Any, Any, Any]) -> set[tuple[str, ...]]:
    """Return the types that the schemas of a graph and its subgraphs can reach, for the saver's allow-list."""
    graphs = [graph, *(inner for _, inner in graph.get_subgraphs(recurse=True))]
    allowed: set[tuple[str, ...]] = set()
    for each in graphs:
        channels: Mapping[str, Any] = getattr(each, "channels", {})
        allowed |= build_serde_allowlist(schemas=_schemas(each), channels=dict(channels))
    return allowed


def _schemas(graph: Any) -> list[Any]:
    builder = getattr(graph, "builder", None)
    if builder is None:
        return []
    named = (builder.state_schema, builder.input_schema, builder.output_schema, builder.context_schema)
    return [schema for schema in (*named, *builder.schemas) if schema is not None]


def served_graphs() -> dict[str, Pregel[Any, Any, Any, Any]]:
    """Return the graphs that an Agent Server in this process serves, by name; none elsewhere.

    Graphs that a function makes are not among them: the server makes them anew for each run.
    """
    served = getattr(sys.modules.get("langgraph_api.graph"), "GRAPHS", {})
    compiled = {name: graph.compile() if isinstance(graph, StateGraph) else graph for name, graph in served.items()}
    return {name: graph for name, graph in compiled.items() if isinstance(graph, Pregel)}
