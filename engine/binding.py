"""Graph, saver and memory, joined: what LangGraph needs to drive a thread durably."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast
from weakref import WeakKeyDictionary

import structlog
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from ..checkpoints.saver import Saver
from ..errors import ConfigurationError
from .coping.answers import Answers
from .coping.book import RunRules
from .coping.nodes import coped
from .coping.results import NodeCache
from .coping.setting_up import guard_calls
from .factories import made
from .guard import guarded
from .registry import Graph, Workflow, check_target
from .storable import storable_types

__all__ = ["Binder", "Compiled", "opened", "saver_of", "serde_of"]

Compiled: TypeAlias = Pregel[Any, Any, Any, Any]
Size: TypeAlias = tuple[str, int, int]

_log: Final = structlog.get_logger("adjourn")


class Binder:
    """Joins workflows with one saver. A workflow's code is imported in a thread, when it is first bound.

    Args:
        saver: The checkpoints.
        memory: The store that nodes find as `runtime.store`, unless their graph was compiled with one of its own.
        answers: Keeps results of nodes.
    """

    def __init__(
        self,
        saver: Saver,
        memory: BaseStore,
        answers: Answers,
    ) -> None:
        self._saver = saver
        self._memory = memory
        self._answers = answers
        self._guards = False
        # Compiling, and finding the types in the graph's code, take some milliseconds; a graph in a notebook may grow.
        self._bound: WeakKeyDictionary[Any, tuple[Size, RunRules | None, Compiled]] = WeakKeyDictionary()

    @asynccontextmanager
    async def bound(
        self, workflow: Workflow, thread_id: str, context: Any = None, rules: RunRules | None = None
    ) -> AsyncIterator[Compiled]:
        """Give a workflow's graph on our saver, for one drive of a thread.

        The saver that the graph gets may build the types that the graph's schemas and code name, and no others; the
        graph that was registered is not changed.

        Args:
            workflow: The workflow.
            thread_id: The thread.
            context: The run's context, for workflows whose graph a function makes.
            rules: How the run copes with faults.

        Raises:
            ConfigurationError: The workflow's code cannot be loaded, or its graph has a saver of its own.
        """
        if rules is not None and not self._guards:
            await asyncio.to_thread(guard_calls)
            self._guards = True
        target = workflow.at_hand
        if target is None:
            target = await asyncio.to_thread(workflow.load)
        if isinstance(target, StateGraph | Pregel):
            yield self._kept(target, workflow, rules)
            return
        async with opened(workflow, thread_id=thread_id, context=context) as graph:
            yield self._join(graph, workflow, rules)

    def _kept(self, graph: Graph, workflow: Workflow, rules: RunRules | None) -> Compiled:
        size = (workflow.name, len(graph.nodes), len(graph.channels))
        known = self._bound.get(graph)
        if known is None or known[:2] != (size, rules):
            known = (size, rules, self._join(_compiled(graph, workflow), workflow, rules))
            self._bound[graph] = known
        return known[2]

    def _join(self, graph: Compiled, workflow: Workflow, rules: RunRules | None) -> Compiled:
        allowed = self._saver.with_allowlist(storable_types(graph))
        if rules is not None:
            cache = NodeCache(self._answers, allowed.serde, f"{workflow.name} {workflow.version}")
            try:
                graph = coped(graph, rules.coping, cache, workflow.name)
            except ConfigurationError as error:
                if rules.own:
                    raise
                # the workflow has changed since; what does not name a node counts still
                _log.warning("rules that a run has kept do not fit its workflow any more", error=error.message)
                graph = coped(graph, replace(rules.coping, nodes={}), cache, workflow.name)
        store = self._memory if graph.store is None else graph.store
        return guarded(graph).copy({"checkpointer": allowed, "store": store, "name": workflow.name})


@asynccontextmanager
async def opened(workflow: Workflow, *, thread_id: str | None = None, context: Any = None) -> AsyncIterator[Compiled]:
    """Give the compiled graph of a workflow, without a saver; to draw or check it, nothing else is needed.

    Raises:
        ConfigurationError: The workflow's code cannot be loaded, or its graph has a saver of its own.
    """
    target = workflow.at_hand
    if target is None:
        target = await asyncio.to_thread(workflow.load)
    if isinstance(target, StateGraph | Pregel):
        yield _compiled(target, workflow)
        return
    async with made(target, workflow.source, thread_id=thread_id, context=context) as graph:
        check_target(graph, f"what {workflow.source} makes", factory=False)
        yield _compiled(graph, workflow)


def _compiled(graph: Graph, workflow: Workflow) -> Compiled:
    compiled = graph.compile() if isinstance(graph, StateGraph) else graph
    for path, inner in compiled.get_subgraphs(recurse=True):
        if getattr(inner, "checkpointer", None) not in (None, True, False):
            raise ConfigurationError(
                f"The subgraph {path.replace('|', ' → ')!r} of the workflow {workflow.name!r} was compiled with a "
                "checkpointer of its own, so its pauses would not be stored with the run. Compile it without one, "
                "or with checkpointer=True to keep its state between calls."
            )
    return compiled


def saver_of(graph: Compiled) -> Saver:
    """Return the saver of a graph that was bound here: it may store the types which the graph names."""
    return cast("Saver", graph.checkpointer)


def serde_of(graph: Compiled) -> SerializerProtocol:
    """Return the serializer that may store the types which a graph names."""
    return saver_of(graph).serde
