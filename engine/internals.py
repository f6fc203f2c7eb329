"""The place that touches names of LangGraph which are not public, beside `quiet.py`.

`pyproject.toml` pins LangGraph below its next minor version, and tests/engine/test_internals.py notices when one of
these changes.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import typing
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, Final, TypeAlias

from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, RunnableLambda, RunnableSequence
from langgraph._internal._constants import (
    CONF,
    CONFIG_KEY_CHECKPOINT_NS,
    CONFIG_KEY_READ,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_STREAM,
    ERROR,
    INTERRUPT,
    NS_SEP,
    NULL_TASK_ID,
    TASKS,
)
from langgraph._internal._runnable import RunnableCallable, RunnableSeq
from langgraph._internal._serde import build_serde_allowlist
from langgraph.config import get_config
from langgraph.constants import START
from langgraph.errors import EmptyChannelError
from langgraph.func import _TaskFunction
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._call import identifier
from langgraph.pregel._read import PregelNode
from langgraph.pregel._task_status import read_task_statuses
from langgraph.pregel._utils import get_function_nonlocals, validate_timeout_supported
from langgraph.pregel._write import ChannelWrite
from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import Runtime
from langgraph.types import Interrupt
from langgraph_sdk.runtime import ServerRuntime

__all__ = [
    "BRANCH",
    "INPUT",
    "JOIN",
    "SENDS",
    "Part",
    "allow_list",
    "asked_without_answer",
    "asking_tasks",
    "attempt_of",
    "can_be_timed",
    "checked_writers",
    "goes_on",
    "has_failed_tasks",
    "heard_by",
    "identity_of",
    "inner_runnables",
    "is_server_runtime",
    "open_interrupts",
    "served_graphs",
    "server_runtime",
    "state_value",
    "task_function",
    "values_used_by",
]

# The channels that trigger nodes, by name or by how the name begins (`langgraph/graph/state.py`).
INPUT: Final = START
BRANCH: Final = "branch:to:"
JOIN: Final = "join:"
SENDS: Final = TASKS
# What a graph streams: the namespace, the mode, the data.
Part: TypeAlias = tuple[tuple[str, ...], str, Any]


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


def asking_tasks(pending_writes: Iterable[tuple[str, str, Any]], ids: Container[str]) -> frozenset[str]:
    """Return the tasks of a checkpoint that asked some questions, the tasks above a subgraph in place of those in it."""
    asked = ((task, value) for task, channel, value in pending_writes if channel == INTERRUPT)
    return frozenset(
        task
        for task, value in asked
        if any(each.id in ids for each in (value if isinstance(value, list | tuple) else [value]))
    )


def asked_without_answer(config: Mapping[str, Any]) -> bool:
    """Say whether the task that a configuration belongs to asked more often than it was answered.

    Reading LangGraph's counter advances it, so this may be called once, when the node has returned.
    """
    scratchpad = config.get("configurable", {}).get(CONFIG_KEY_SCRATCHPAD)
    return scratchpad is not None and scratchpad.interrupt_counter() > len(scratchpad.resume)


def has_failed_tasks(pending_writes: Iterable[tuple[str, str, Any]]) -> bool:
    """Say whether a task of a checkpoint failed: its error is stored, perhaps beside a part of its output."""
    return any(channel == ERROR for _, channel, _ in pending_writes)


def goes_on(pending_writes: Iterable[tuple[str, str, Any]]) -> bool:
    """Whether a checkpoint that triggers nothing is continued all the same by what was written after it.

    A `Command(goto=…)` is such a write: LangGraph stores it with the checkpoint at hand, however finished that is.
    """
    if not (writes := list(pending_writes)):
        return False
    sent = (channel for task_id, channel, _ in writes if task_id == NULL_TASK_ID)
    return any(channel == SENDS or channel.startswith(BRANCH) for channel in sent) or bool(open_interrupts(writes))


def allow_list(schemas: Iterable[Any], channels: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return module and name of the types that schemas and channels can reach, messages included."""
    return build_serde_allowlist(schemas=list(schemas), channels=dict(channels))


def inner_runnables(runnable: Any) -> list[Any]:
    """Return what a runnable is made of: its steps, or the functions that it calls."""
    if isinstance(runnable, RunnableSeq | RunnableSequence):
        return list(runnable.steps)
    if isinstance(runnable, RunnableBinding):
        return [runnable.bound]
    if isinstance(runnable, RunnableCallable | RunnableLambda):
        functions = (getattr(runnable, "func", None), getattr(runnable, "afunc", None))
        return [function for function in functions if function is not None]
    return []


def task_function(value: Any) -> Callable[..., Any] | None:
    """Return the function below `@task`, if the value is a task."""
    return value.func if isinstance(value, _TaskFunction) else None


def values_used_by(function: FunctionType) -> list[Any]:
    """Return the values that a function's code refers to: globals, captured variables, attributes of both."""
    return get_function_nonlocals(function)


def is_server_runtime(annotation: Any) -> bool:
    """Whether the annotation of a factory's parameter asks for the server's runtime, in any of its forms."""
    if annotation is ServerRuntime or typing.get_origin(annotation) is ServerRuntime:
        return True
    if typing.get_origin(annotation) is typing.Annotated:
        return is_server_runtime(typing.get_args(annotation)[0])
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, _runtimes())


def server_runtime(*, running: bool, context: Any) -> Any:
    """Return the runtime that LangGraph's server gives to a factory; adjourn has neither its users nor its store."""
    execution, reading = _runtimes()
    if not running:
        return reading(access_context="assistants.read", user=None, store=None)
    return execution(access_context="threads.create_run", user=None, store=None, context=context)


def served_graphs() -> dict[str, Pregel[Any, Any, Any, Any]]:
    """Return the graphs that an Agent Server in this process serves, by name; none elsewhere.

    Graphs that a function makes are not among them: the server makes them anew for each run.
    """
    served = getattr(sys.modules.get("langgraph_api.graph"), "GRAPHS", {})
    compiled = {name: graph.compile() if isinstance(graph, StateGraph) else graph for name, graph in served.items()}
    return {name: graph for name, graph in compiled.items() if isinstance(graph, Pregel)}


def heard_by(take: Callable[[Part], None], config: RunnableConfig, graph: Pregel[Any, Any, Any, Any]) -> RunnableConfig:
    """Return a configuration with which a graph hands over what it streams at once, as a subgraph does to the one above.

    `astream` itself hands it on by way of a queue, and of a task that waits for it beside each node: for short nodes that
    takes a tenth of the whole run.

    Args:
        take: Gets the parts of the modes `tasks` and `custom`, of subgraphs, too, as `(namespace, mode, data)`; always in
            the thread of the event loop that runs now. It must not raise.
        config: The drive's configuration.
        graph: What is driven with it.
    """
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def at_home(part: Part) -> None:
        if threading.get_ident() == home:
            take(part)
        else:  # a node that is a plain function runs in a thread, and so does a graph that it invokes
            loop.call_soon_threadsafe(take, part)

    def write(data: Any) -> None:
        namespace = get_config()[CONF][CONFIG_KEY_CHECKPOINT_NS]
        at_home((tuple(namespace.split(NS_SEP)[:-1]), "custom", data))

    told = {
        CONFIG_KEY_STREAM: StreamProtocol(at_home, {"tasks", "custom"}),
        CONFIG_KEY_RUNTIME: Runtime(stream_writer=write, store=graph.store),
    }
    return {**config, CONF: {**config.get(CONF, {}), **told}}


def _runtimes() -> tuple[type[Any], type[Any]]:
    execution, reading = typing.get_args(ServerRuntime.__value__)
    return typing.get_origin(execution), typing.get_origin(reading)


def can_be_timed(node: Any) -> bool:
    """Whether LangGraph can end a node whose time is over: one with async code.

    Args:
        node: A node of a compiled graph.
    """
    try:
        validate_timeout_supported(node.bound, name="")
    except ValueError:
        return False
    return True


class _CheckedWrite(ChannelWrite):
    """A writer that calls a function before it writes."""

    def __init__(self, writes: Sequence[Any], check: Callable[[RunnableConfig], None]) -> None:
        super().__init__(writes)
        self._check = check

    def _write(self, input: Any, config: RunnableConfig) -> None:  # noqa: A002
        self._check(config)
        return super()._write(input, config)

    async def _awrite(self, input: Any, config: RunnableConfig) -> None:  # noqa: A002
        self._check(config)
        return await super()._awrite(input, config)


def checked_writers(node: PregelNode, check: Callable[[RunnableConfig], None]) -> list[Runnable[Any, Any]]:
    """Return the writers of a node, of which the first calls a function before it writes.

    The first writer itself does so where it is one of LangGraph's usual ones: a step more takes longer than the check.

    Args:
        node: A node of a compiled graph.
        check: Gets the configuration of the task; what it raises fails the node, and nothing is written.
    """

    def step(value: Any, config: RunnableConfig) -> Any:
        check(config)
        return value

    writers = node.flat_writers
    if writers and type(writers[0]) is ChannelWrite:
        return [_CheckedWrite(writers[0].writes, check), *writers[1:]]
    return [RunnableCallable(step, trace=False), *writers]


def identity_of(node: Any) -> str:
    """Return what LangGraph's cache takes a node's code for: the module and name of its function.

    Args:
        node: A node of a compiled graph.
    """
    return identifier(node) or "dynamic"


def state_value(config: RunnableConfig | None, key: str) -> Any:
    """Return what a key of the state holds, as the node at work would be given it; None where there is no such key.

    Args:
        config: The node's configuration.
        key: The key.
    """
    read = (config or {}).get(CONF, {}).get(CONFIG_KEY_READ)
    try:
        return None if read is None else read(key)
    except (KeyError, EmptyChannelError):
        return None


def attempt_of(config: RunnableConfig | None) -> int:
    """Return which try of its node is at work, from 1.

    Args:
        config: The node's configuration.
    """
    runtime = (config or {}).get(CONF, {}).get(CONFIG_KEY_RUNTIME)
    info = getattr(runtime, "execution_info", None)
    return 1 if info is None else int(info.node_attempt)
