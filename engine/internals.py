"""The one place that touches names of LangGraph which are not public.

`pyproject.toml` pins LangGraph below its next minor version, and tests/engine/test_internals.py notices when one of
these changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langgraph._internal._constants import CONFIG_KEY_SCRATCHPAD, ERROR
from langgraph._internal._serde import build_serde_allowlist
from langgraph.pregel import Pregel
from langgraph.pregel._task_status import read_task_statuses
from langgraph.types import Interrupt

__all__ = ["asked_without_answer", "has_failed_tasks", "open_interrupts", "storable_types"]


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


def asked_without_answer(config: Mapping[str, Any]) -> bool:
    """Say whether the task that a configuration belongs to asked more often than it was answered.

    Reading LangGraph's counter advances it, so this may be called once, when the node has returned.
    """
    scratchpad = config.get("configurable", {}).get(CONFIG_KEY_SCRATCHPAD)
    return scratchpad is not None and scratchpad.interrupt_counter() > len(scratchpad.resume)


def has_failed_tasks(pending_writes: Iterable[tuple[str, str, Any]]) -> bool:
    """Say whether a task of a checkpoint failed: its error is stored, perhaps beside a part of its output."""
    return any(channel == ERROR for _, channel, _ in pending_writes)


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
