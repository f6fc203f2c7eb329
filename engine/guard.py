"""Swallowed questions: a node that catches LangGraph's interrupt and goes on would act without its answer.

LangGraph pauses by raising; `except Exception` in a node catches that, and the node returns as if it had been answered.
The guard stands between what a node returns and what is written: it compares how often the node asked with how many
answers there were.
"""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel

from ..errors import RunFailed
from ..nodes.children import swallowed_wait
from .internals import asked_without_answer, checked_writers
from .quiet import made_quiet

__all__ = ["guarded"]


class _Guard:
    """Looks whether a node swallowed a question, before anything of it is written.

    Args:
        node: The node's name.
    """

    def __init__(self, node: str) -> None:
        self._node = node

    def __call__(self, config: RunnableConfig) -> None:
        """Look.

        Raises:
            RunFailed: The node returned although a question of its own was not answered, or a child run that it waits for
                has not ended. Nothing of it is stored.
        """
        if asked_without_answer(config):
            raise self._swallowed("question: interrupt()")
        if swallowed_wait(config):
            raise self._swallowed("wait for a child run: child()")

    def _swallowed(self, what: str) -> RunFailed:
        return RunFailed(
            f"The node {self._node!r} caught its own {what} pauses by raising, and code such as `except Exception` around "
            "it swallowed that. Catch narrower exceptions there",
            node=self._node,
        )


def guarded(graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
    """Return a copy of a graph whose nodes, and those of its subgraphs, cannot swallow a question, and are quiet.

    A graph that is invoked inside a node's body is not seen; that is a documented limit.
    """
    nodes = {}
    for name, node in graph.nodes.items():
        update: dict[str, Any] = {"writers": checked_writers(node, _Guard(name))}
        if isinstance(node.bound, Pregel):
            inner = guarded(node.bound)
            update |= {"bound": inner, "subgraphs": [inner]}
        nodes[name] = made_quiet(node.copy(update)) if name != "__start__" else node
    return graph.copy({"nodes": nodes})
