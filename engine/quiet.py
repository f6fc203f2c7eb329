"""Nodes without callbacks: where nobody listens, nobody needs to be told of each node.

LangGraph makes a callback manager, a run and a child of it for every node, which for a short one takes as long as running
it. In a graph that is called without callbacks, while no tracing is switched on, all of that has nobody to talk to.

Beside `internals.py` this is the only place that touches names of LangGraph which are not public;
tests/engine/test_quiet.py notices when they change.
"""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.runnables import RunnableConfig
from langgraph._internal._runnable import RunnableSeq, set_config_context
from langgraph.pregel._read import PregelNode

__all__ = ["made_quiet"]


class _QuietSeq(RunnableSeq):
    """A node and its writers, run as LangGraph does, but that callbacks are told only where there are some."""

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        if config is None or not _is_silent(config):
            return await super().ainvoke(input, config, **kwargs)
        # as for a child of a run: its name and id are not its steps'
        own: Any = {key: value for key, value in config.items() if key not in ("run_name", "run_id")}
        first, *writers = self.steps
        with set_config_context(own) as context:
            value = await asyncio.create_task(first.ainvoke(input, own, **kwargs), context=context)
        for writer in writers:
            value = await writer.ainvoke(value, own)
        return value


def _is_silent(config: RunnableConfig) -> bool:
    """Whether a graph that was called without callbacks gave its task this configuration."""
    callbacks = config.get("callbacks")
    return isinstance(callbacks, AsyncCallbackManager) and not (callbacks.handlers or callbacks.inheritable_handlers)


def made_quiet(node: PregelNode) -> PregelNode:
    """Let a node of a compiled graph tell nobody of its runs where nobody listens; it is changed and returned.

    Args:
        node: The node, which belongs to the caller; one without writers is left as it is.
    """
    made = node.node
    if type(made) is RunnableSeq:
        vars(node)["node"] = _QuietSeq(
            *made.steps, name=made.name, trace_inputs=made.trace_inputs, trace_policy=made.trace_policy
        )
    return node
