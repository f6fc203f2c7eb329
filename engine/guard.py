"""Swallowed questions: a node that catches LangGraph's interrupt and goes on would act without its answer.

LangGraph pauses by raising; `except Exception` in a node catches that, and the node returns as if it had been answered.
The guard stands between what a node returns and what is written: it compares how often the node asked with how many
answers there were.
"""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.pregel import Pregel

from ..errors import RunFailed
from ..nodes.children import swallowed_wait
from .internals import asked_without_answer

__all__ = ["Guard", "guarded"]


class Guard(Runnable[Any, Any]):
    """The first of a node's writers: hands on what the node returned, unless the node swallowed a question.

    Args:
        node: The node's name.
    """

    def __init__(self, node: str) -> None:
        self.node = node

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Return the input.

        Raises:
            RunFailed: The node returned although a question of its own was not answered, or a child run that it waits for
                has not ended. Nothing of it is stored.
        """
        if config is not None and asked_without_answer(config):
            raise self._swallowed("question: interrupt()")
        if config is not None and swallowed_wait(config):
            raise self._swallowed("wait for a child run: child()")
        return input

    def _swallowed(self, what: str) -> RunFailed:
        return RunFailed(
            f"The node {self.node!r} caught its own {what} pauses by raising, and code such as `except Exception` around it "
            "swallowed that. Catch narrower exceptions there",
            node=self.node,
        )

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Do what `invoke` does."""
        return self.invoke(input, config)


def guarded(graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
    """Return a copy of a graph whose nodes, and those of its subgraphs, cannot swallow a question.

    A graph that is invoked inside a node's body is not seen; that is a documented limit.
    """
    nodes = {}
    for name, node in graph.nodes.items():
        update: dict[str, Any] = {"writers": [Guard(name), *node.writers]}
        if isinstance(node.bound, Pregel):
            inner = guarded(node.bound)
            update |= {"bound": inner, "subgraphs": [inner]}
        nodes[name] = node.copy(update) if name != "__start__" else node
    return graph.copy({"nodes": nodes})
