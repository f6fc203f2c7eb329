"""Child runs: what a node leaves to a run of its own, which may pause for people and be driven anywhere.

    checked = await child("check", "review", {"input_text": text})      # inside a node

The child is a run like any other, with a thread id of its own. If it does not end at once, its parent pauses: no review is
opened, and no process or worker is held. When the child has ended, the parent goes on and its node runs again from its
top, to get the same child's result this time. A child is known by its own id within the node's task, never by the order of
the calls, so what a node starts may depend on data, time and chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, overload

from langgraph.config import get_config

from ..errors import ChildFailed, ConfigurationError
from .branches import gather, one_wait, settled
from .child_port import (
    INHERITED,
    OWN,
    ChildCall,
    ChildPort,
    Ended,
    OnFailure,
    RunBelow,
    State,
    UndoOf,
    Until,
    child_port,
    children_in,
)
from .effect_port import Place
from .plain import waiter

__all__ = [
    "INHERITED",
    "OWN",
    "ChildCall",
    "ChildPort",
    "Ended",
    "OnFailure",
    "RunBelow",
    "UndoOf",
    "Until",
    "cancel_children",
    "child",
    "child_sync",
    "children",
    "children_in",
    "children_sync",
    "gather",
    "one_wait",
    "runs_below",
    "scope_here",
    "settled",
    "swallowed_wait",
]


@overload
async def child(
    id: str,
    workflow: Any,
    input: Any = None,
    /,
    *,
    context: Any = INHERITED,
    on_failure: Literal["raise", "wait"] = "raise",
    submit: bool = False,
) -> State: ...


@overload
async def child(
    id: str,
    workflow: Any,
    input: Any = None,
    /,
    *,
    context: Any = INHERITED,
    on_failure: Literal["return"],
    submit: bool = False,
) -> State | ChildFailed: ...


async def child(
    id: str,  # noqa: A002
    workflow: Any,
    input: Any = None,  # noqa: A002
    /,
    *,
    context: Any = INHERITED,
    on_failure: OnFailure = "raise",
    submit: bool = False,
) -> State | ChildFailed:
    """Run a workflow as a child of this run, inside an async node, and return its final state.

    Started once, however often the node runs and whatever crashes: later calls with the same id find the same run. The
    child belongs to the parent's tenant, is requested by whoever requested the parent, and asks its questions under the
    policies that the parent was started with. When it does not end at once (it asks people, or another process drives
    it) the parent pauses, and the node runs again when the child has ended. A child that is cancelled, or fails for good,
    comes up as `on_failure` says; cancelling the parent cancels the child.

    Several at once: `asyncio.gather` over calls of this, or `children`. All of them are started, and come as far as they
    can, before the parent pauses.

    Args:
        id: Names the child within its node's task. An id for each: a loop takes the item's own.
        workflow: A registered name, or a graph that has a name of its own.
        input: What it starts with; with the same id it must be the same each time.
        context: Its run-time context; by default the parent's.
        on_failure: `raise`, `return` or `wait`; see `ChildCall`.
        submit: Whether it is left to the workers.

    Returns:
        The child's final state; or, with `on_failure="return"`, perhaps a ChildFailed.

    Raises:
        ChildFailed: It failed, or was cancelled.
        ChildMismatch, DepthExceeded, UnknownWorkflow, InvalidInput: See `ChildPort.run`.
        ConfigurationError: No engine drives this graph, so nobody could go on with it.
    """
    call = ChildCall(workflow, input, context, on_failure, submit)
    return (await children({id: call}))[id]


async def children(
    calls: Mapping[str, ChildCall], /, *, until: Until = "all", scope: str | None = None
) -> dict[str, State | ChildFailed]:
    """Run several children at once, and return their final states by id; otherwise as `child`.

    Args:
        calls: The children by id.
        until: `all` of them must have ended; or `one`: then those that have ended are returned, at least one, and the
            others go on by themselves. When the node runs again, more of them may have ended.
        scope: Names the children within the whole run instead of within the node's task, so that one node may start them
            and another wait for them.
    """
    place = _here() if scope is None else replace(_here(), namespace=scope)
    ended = await _port().run(place, calls, until)
    return {name: _result(name, each, calls[name].on_failure) for name, each in ended.items()}


async def cancel_children(scope: str, reason: str) -> None:
    """Cancel the children that this run started under a scope and that have not ended, with all below them.

    Those that are driven here stop before their next step, or at once after a grace time; whoever waits for one gets a
    ChildFailed. It may be called again, and changes nothing then.

    Args:
        scope: As `children` was given it.
        reason: Why; kept with each.
    """
    await _port().cancel(replace(_here(), namespace=scope), reason)


async def runs_below(scope: str, *, of: str | None = None) -> Mapping[str, RunBelow]:
    """Return the children that were started under a scope, by their ids; none where no engine drives.

    Args:
        scope: As `children` was given it.
        of: Whose children, where that is another run of the same tenant; by default this run's.
    """
    port = child_port()
    return {} if port is None else await port.below(of or _here().scope, scope)


def child_sync(
    id: str,  # noqa: A002
    workflow: Any,
    input: Any = None,  # noqa: A002
    /,
    *,
    context: Any = INHERITED,
    on_failure: OnFailure = "raise",
    submit: bool = False,
) -> State | ChildFailed:
    """Do what `child` does inside a plain node, which LangGraph runs in a thread.

    Raises:
        RuntimeError: It was called in the event loop's own thread; use `await child(…)` there.
    """
    return children_sync({id: ChildCall(workflow, input, context, on_failure, submit)})[id]


def children_sync(calls: Mapping[str, ChildCall], /, *, until: Until = "all") -> dict[str, State | ChildFailed]:
    """Do what `children` does inside a plain node, which LangGraph runs in a thread."""
    port = _port()
    ended = waiter(port.loop, "child")(port.run(_here(), calls, until))
    return {name: _result(name, each, calls[name].on_failure) for name, each in ended.items()}


def scope_here(name: str) -> str:
    """Return a scope for children that the running task starts and later tasks wait for; no other task has the same.

    Args:
        name: What they are, in a word.
    """
    return f"{name} {_here().namespace}"


def swallowed_wait(config: Mapping[str, Any]) -> bool:
    """Say whether the node that a configuration belongs to has caught its own pause for a child.

    Args:
        config: LangGraph's configuration of what runs in the node.
    """
    port = child_port()
    return port is not None and port.pauses and port.waits(_place(config))


def _result(id: str, ended: Ended, on_failure: OnFailure) -> State | ChildFailed:  # noqa: A002
    if ended.status == "completed":
        return dict(ended.state)
    said = (ended.error or {}).get("message", "its content was erased")
    failed = ChildFailed(
        f"The child {id!r} (run {ended.thread_id}) {'was cancelled' if ended.status == 'cancelled' else 'failed'}: {said}",
        child=id,
        status=ended.status,
        error=ended.error,
        thread_id=ended.thread_id,
    )
    if on_failure == "return":
        return failed
    raise failed


def _port() -> ChildPort:
    port = child_port()
    if port is None:
        raise ConfigurationError(
            "child() needs an engine of adjourn: nobody could go on with a child run here. Start the workflow with "
            "Engine.start; what Studio or a bare graph.invoke drives cannot have child runs."
        )
    return port


def _here() -> Place:
    return _place(get_config())


def _place(config: Mapping[str, Any]) -> Place:
    configurable = config["configurable"]
    info = configurable["__pregel_runtime"].execution_info
    return Place(info.thread_id, info.checkpoint_ns, (configurable.get("__pregel_scratchpad"), info.node_attempt))
