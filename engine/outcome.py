"""Whether a thread has come to its end, read from its checkpoint alone: no workflow code is needed or imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from .internals import BRANCH, INPUT, JOIN, NOT_NODES, SENDS, goes_on

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
    after the node: its input, a branch, a join of several nodes, or a `Send`. A node runs when the channel holds
    a value that is newer than what the node has seen. Graphs that were put together from `NodeBuilder` by hand choose
    their own names; of them this says that they have tasks, so that none is ever taken for finished.

    Args:
        saved: A root checkpoint, with its writes.
    """
    checkpoint = saved.checkpoint
    if INPUT not in checkpoint["channel_versions"]:
        return True
    if goes_on(saved.pending_writes or []):
        return True
    return any(
        _available(name, value) and _unseen(name, checkpoint["channel_versions"], checkpoint["versions_seen"])
        for name, value in checkpoint["channel_values"].items()
    )


def _available(channel: str, value: Any) -> bool:
    if channel == SENDS:
        return bool(value)
    if channel.startswith(BRANCH):
        # a deferred node's branch holds (value, whether everything else has finished); any other holds nothing
        return not _is_pair(value) or bool(value[1])
    if channel.startswith(JOIN):
        return _joined(channel, value)
    return channel == INPUT


def _joined(channel: str, value: Any) -> bool:
    seen, finished = value if _is_pair(value) else (value, True)
    awaited = channel.removeprefix(JOIN).rpartition(":")[0]
    # The channel's name holds the awaited nodes, joined by a character that a node's name may hold too. What was seen
    # is a part of them, so it is all of them when it is as long.
    return bool(finished) and len("+".join(seen)) == len(awaited)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], bool)


def _unseen(channel: str, versions: Mapping[str, Any], seen: Mapping[str, Mapping[str, Any]]) -> bool:
    if channel == SENDS:
        return True
    version = versions.get(channel)
    if version is None:
        return False
    nodes = [channels for name, channels in seen.items() if name not in NOT_NODES]
    return all(channel not in channels or version > channels[channel] for channels in nodes)
