"""Graph and saver, joined: what LangGraph needs to drive a thread durably."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from .guard import guarded
from .internals import storable_types
from .registry import Workflow

__all__ = ["Compiled", "bind"]

Compiled = Pregel[Any, Any, Any, Any]


def bind(workflow: Workflow, saver: BaseCheckpointSaver[str]) -> Compiled:
    """Return the workflow's graph on our saver.

    The saver that the graph gets may store the types that the graph's schemas name, and no others; the graph that was
    registered is not changed.

    Raises:
        ConfigurationError: The workflow's code cannot be loaded.
    """
    graph = workflow.load()
    compiled = graph.compile() if isinstance(graph, StateGraph) else graph
    allowed = saver.with_allowlist(storable_types(compiled))
    return guarded(compiled).copy({"checkpointer": allowed, "name": workflow.name})
