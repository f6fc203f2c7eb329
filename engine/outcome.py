"""Whether a thread has come to its end, read from its checkpoint alone: no workflow code is needed or imported."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from .internals import BRANCH, INPUT, JOIN, SENDS, goes_on

__all__ = ["has_tasks", "status_after"]


def status_after(saved: CheckpointTuple | None) -> str:
    """Return how a drive ended that raised nothing: `completed`, or `paused` when something is left to do.

    Args:
        saved: The latest root checkpoint of the thread, with its writes.
    """
    return "paused" if saved is None or has_tasks(saved) else "completed"


def has_tasks(saved: CheckpointTuple) -> bool:
    """Whether LangGraph would find tasks at a checkpoint: what `graph.get_state(…).tasks` says, without the graph.

    A task of a compiled `StateGraph` or of an `@entrypoint` is triggered by one of four channels, which LangGraph names
    after the node: its input, a branch, a join of several nodes, or a `Send`. They are empty again as soon as the node
    has run, so one that holds something has a task. Graphs that were put together from `NodeBuilder` by hand choose
    their own names; of them this says that they have tasks, so that none is ever taken for finished.

    Args:
        saved: A root checkpoint, with its writes.
    """
    checkpoint = saved.checkpoint
    if INPUT not in checkpoint["channel_versions"]:
        return True
    if goes_on(saved.pending_writes or []):
        return True
    return any(_triggers(name, value) for name, value in checkpoint["channel_values"].items())


def _triggers(channel: str, value: Any) -> bool:
    if channel == SENDS:
        return bool(value)
    if channel.startswith(JOIN):
        return _joined(channel, value)
    return channel == INPUT or channel.startswith(BRANCH)


def _joined(channel: str, value: Any) -> bool:
    # Before a deferred node the value is (what was seen, whether the others have finished). While they have not, they
    # have tasks of their own, so nothing depends on the second part.
    seen = value[0] if isinstance(value, list | tuple) else value
    # The channel's name holds the awaited nodes, joined by a character that a node's name may hold too. What was seen
    # is a part of them, so it is all of them when it is as long.
    return len("+".join(seen)) == len(channel.removeprefix(JOIN).rpartition(":")[0])
