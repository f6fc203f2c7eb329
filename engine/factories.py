"""Functions that make a graph, called as LangGraph's server calls them.

A factory takes nothing, a `RunnableConfig`, a `ServerRuntime`, or both, and returns a graph, an awaitable of one, or a
context manager (asynchronous or not) that gives one. It is called for each drive, and for each drawing.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig

from ..errors import AdjournError, ConfigurationError
from .internals import is_server_runtime, server_runtime

__all__ = ["Factory", "made", "runnable_config"]

Factory = Callable[..., Any]
_LANGGRAPHS_OWN = ("__", "thread_id", "checkpoint_", "run_id")


@asynccontextmanager
async def made(factory: Factory, where: str, *, thread_id: str | None, context: Any) -> AsyncIterator[Any]:
    """Call a factory and give what it makes; a context manager is left at the end of the block.

    Args:
        factory: The function.
        where: What it is called in messages.
        thread_id: The run that is driven, or None when the graph is only to be drawn or checked.
        context: The run's context.

    Raises:
        ConfigurationError: Its parameters are not those of a factory, or it failed.
    """
    try:
        result = factory(**_arguments(factory, where, thread_id, context))
        if inspect.isawaitable(result):
            result = await result
    except AdjournError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{where} failed to make its graph: {type(error).__name__}: {error}.") from error
    if isinstance(result, AbstractAsyncContextManager):
        async with result as graph:
            yield graph
    elif isinstance(result, AbstractContextManager):
        with result as graph:
            yield graph
    else:
        yield result


def runnable_config(thread_id: str | None, context: Any) -> RunnableConfig:
    """Return the configuration of a run: its thread and, as on LangGraph's server, the keys of its context.

    Keys that mean something to LangGraph itself, such as `checkpoint_id`, are left out: they would lead to another run.
    """
    items = context.items() if isinstance(context, Mapping) else ()
    mirrored = {str(key): value for key, value in items if not str(key).startswith(_LANGGRAPHS_OWN)}
    return {"configurable": mirrored | ({"thread_id": thread_id} if thread_id else {})}


def _arguments(factory: Factory, where: str, thread_id: str | None, context: Any) -> dict[str, Any]:
    parameters = inspect.signature(factory).parameters
    runtimes = {name for name in parameters if is_server_runtime(_annotation(factory, name, parameters))}
    if len(parameters) > 2 or (len(parameters) == 2 and len(runtimes) != 1):
        raise ConfigurationError(
            f"{where} is called with at most a RunnableConfig and a ServerRuntime, each annotated as such; "
            f"it takes {', '.join(parameters)}."
        )
    return {
        name: server_runtime(running=thread_id is not None, context=context)
        if name in runtimes
        else runnable_config(thread_id, context)
        for name in parameters
    }


def _annotation(factory: Factory, name: str, parameters: Mapping[str, inspect.Parameter]) -> Any:
    from langgraph_sdk.runtime import ServerRuntime

    try:
        # The class is often imported for type checkers only.
        hints = typing.get_type_hints(factory, localns={"ServerRuntime": ServerRuntime})
    except Exception:  # noqa: BLE001  (annotations may name what is not there; then none is read)
        hints = {}
    return hints.get(name, parameters[name].annotation)
