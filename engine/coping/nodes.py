"""Rules around nodes: a copy of a compiled graph whose nodes cope. The graph itself is not changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.cache.base import BaseCache
from langgraph.pregel import Pregel
from langgraph.types import CachePolicy, RetryPolicy

from ...errors import ConfigurationError
from ...state.coping import Coping, Retry, coping_at
from ..internals import attempt_of, can_be_timed, identity_of, state_value
from .backoff import next_wait
from .loops import calls_in, namespace_of
from .place import Place, drive_here, in_node

__all__ = ["coped"]

Graph = Pregel[Any, Any, Any, Any]
_START: Final = "__start__"
_ATTEMPT: Final = "__adjourn_attempt__"
_next_wait: ContextVar[float] = ContextVar("adjourn_next_wait", default=0.0)


def coped(graph: Graph, coping: Coping, cache: BaseCache[Any], workflow: str, inside: str = "") -> Graph:
    """Return a copy of a graph whose nodes, and those of its subgraphs, cope as the rules say.

    A retry policy, a time-out and a cache policy that the graph's author gave a node stay, unless the rules name that
    node. A graph that is invoked inside a node's body has no nodes here; calls of its models and tools are guarded.

    Args:
        graph: The graph.
        coping: The rules of its workflow.
        cache: Keeps results of nodes, where the graph has no cache of its own.
        workflow: Its name, for messages.
        inside: The path of the node that the graph stands in, with a slash behind it.

    Raises:
        ConfigurationError: The rules name a node that there is not, or ask of one what it cannot do.
    """
    if not inside:
        _check_names(graph, coping, workflow)
    nodes = {
        name: node if name == _START else node.copy(_update(node, f"{inside}{name}", coping, cache, workflow))
        for name, node in graph.nodes.items()
    }
    update: dict[str, Any] = {"nodes": nodes}
    if graph.cache is None and any(node.cache_policy is not None for node in nodes.values()):
        update["cache"] = cache
    return graph.copy(update)


def _update(node: Any, path: str, coping: Coping, cache: BaseCache[Any], workflow: str) -> dict[str, Any]:
    rules, own = coping_at(coping, path), coping.nodes.get(path, Coping())
    is_graph = isinstance(node.bound, Pregel)
    update: dict[str, Any] = {}
    if is_graph:
        inner = coped(node.bound, coping, cache, workflow, f"{path}/")
        update |= {"bound": inner, "subgraphs": [inner]}
    else:
        update["bound"] = CopingNode(node.bound, rules, path, identity_of(node))
        if rules.retry is not None and (own.retry is not None or not node.retry_policy):
            update["retry_policy"] = (_Patience.of(rules.retry),)
    timeout = own.timeout if is_graph or own.timeout is not None else None if node.timeout else rules.timeout
    if timeout is not None and not is_graph and not can_be_timed(node):
        if own.timeout is not None:
            raise ConfigurationError(
                f"The workflow {workflow!r}: the node {path!r} is a plain function, which runs in a thread and cannot be "
                "stopped, so it can have no time-out. Make it async, or give the calls in it time-outs (model_timeout)."
            )
        timeout = None
    if timeout is not None:
        update["timeout"] = timeout
    if own.cache is not None and own.cache.results is not None:
        update["cache_policy"] = CachePolicy(ttl=math.ceil(own.cache.results))
    return update


def _check_names(graph: Graph, coping: Coping, workflow: str) -> None:
    if coping.cache is not None and coping.cache.results is not None:
        raise ConfigurationError(
            f"The workflow {workflow!r}: results are kept only of nodes that are named, such as "
            "nodes={'fetch': Coping(cache=Cache(results=600))}: a node that is not run has no effects either."
        )
    known = set(_paths(graph))
    for name in coping.nodes:
        if name not in known:
            raise ConfigurationError(
                f"The workflow {workflow!r} has no node {name!r}, which its rules for coping name; it has: "
                f"{', '.join(sorted(known))}."
            )


def _paths(graph: Graph, inside: str = "") -> Sequence[str]:
    found = []
    for name, node in graph.nodes.items():
        if name != _START:
            found.append(f"{inside}{name}")
            found += _paths(node.bound, f"{inside}{name}/") if isinstance(node.bound, Pregel) else []
    return found


class CopingNode(Runnable[Any, Any]):
    """What a node does, under rules.

    Args:
        bound: What the node does.
        rules: Those that count for it.
        path: Its path.
        identity: What LangGraph takes the node's code for, so that other code finds no results of this.
    """

    def __init__(self, bound: Runnable[Any, Any], rules: Coping, path: str, identity: str) -> None:
        self.bound = bound
        self.rules = rules
        self.path = path
        self.__qualname__ = identity

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Do what the node does; the engine drives asynchronously, so nothing is guarded here."""
        return self.bound.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Do what the node does, so that calls in it find the rules.

        Raises:
            BudgetExceeded, LoopDetected, ToolRefused: A call in the node was refused, even if the node caught that.
            Exception: Whatever the node raises.
        """
        drive = drive_here()
        if drive is None:
            return await self.bound.ainvoke(input, config, **kwargs)
        shown = Counter() if self.rules.loops is None else calls_in(state_value(config, "messages"))
        place = Place(drive, self.rules, self.path, namespace_of(config), shown)
        try:
            with in_node(place):
                return await self.bound.ainvoke(input, config, **kwargs)
        except Exception as error:
            setattr(error, _ATTEMPT, attempt_of(config))
            raise


class _Patience(RetryPolicy):
    """LangGraph's retry policy with our waits: full jitter, and what the server asks for.

    LangGraph asks `retry_on` about an error and reads `initial_interval` next, in one step of one task.
    """

    __slots__ = ()

    @classmethod
    def of(cls, retry: Retry) -> _Patience:
        def retry_on(error: Exception) -> bool:
            drive = drive_here()
            draw = drive.tools.draw() if drive is not None else 1.0
            attempt = getattr(error, _ATTEMPT, 1)
            wait = next_wait(retry, attempt, error, draw=draw, now=datetime.now(UTC))
            _next_wait.set(wait or 0.0)
            return wait is not None

        return cls(0.0, 1.0, math.inf, retry.attempts, False, retry_on)

    @property
    def initial_interval(self) -> float:
        """The wait for the error that LangGraph has just asked about."""
        return _next_wait.get()
