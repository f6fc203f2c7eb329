"""Reading a thread from its checkpoints alone: no workflow code is needed or imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from langgraph.checkpoint.base import Checkpoint, CheckpointTuple

from .model import Run, Step, Timeline

__all__ = ["next_nodes", "steps_of", "timeline_of", "visible_state"]


# The channels of the functional API, by LangGraph's words for what they hold: entrypoint.final(value=…, save=…).
_FUNCTIONAL = {"__end__": "value", "__previous__": "save"}


def visible_state(saved: CheckpointTuple | None) -> dict[str, Any]:
    """Return the state keys of a root checkpoint, without the channels that LangGraph keeps for itself.

    A function under `@entrypoint` has no state; what it was given is shown as `input` while it asks, what it returned
    as `value` and what it saved as `save`. Types of the workflow's own appear as plain data.
    """
    if saved is None:
        return {}
    values = saved.checkpoint["channel_values"]
    if any(name in values for name in _FUNCTIONAL):
        return {shown: values[name] for name, shown in _FUNCTIONAL.items() if name in values}
    if _asks_before_any_step(saved):
        return {"input": values.get("__start__")}
    return {name: value for name, value in values.items() if _is_state(name)}


def _asks_before_any_step(saved: CheckpointTuple) -> bool:
    """Whether a question was asked upon the input itself, as only functions do; a graph hands its input out first."""
    asked = any(channel == "__interrupt__" for _, channel, _ in saved.pending_writes or ())
    return asked and saved.metadata.get("step") == -1


def next_nodes(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the nodes that a checkpoint says are next, as far as it names them."""
    found: list[str] = []
    for channel, value in checkpoint["channel_values"].items():
        kind, _, rest = channel.partition(":")
        if kind == "branch":
            found.append(rest.removeprefix("to:"))
        elif kind == "join" and value == set(rest.rpartition(":")[0].split("+")):
            found.append(rest.rpartition(":")[2])
        elif channel == "__pregel_tasks":
            found += [send.node for send in value]
    return tuple(dict.fromkeys(found))


def steps_of(newest_first: Iterable[CheckpointTuple]) -> tuple[Step, ...]:
    """Return what happened between the root checkpoints of a thread, oldest first."""
    saved = sorted(newest_first, key=lambda each: each.checkpoint["id"])
    if not saved:
        return ()
    first = _step(saved[0], None)
    return (first, *(_step(after, before) for before, after in pairwise(saved)))


def timeline_of(run: Run, steps: tuple[Step, ...]) -> Timeline:
    """Return how the time of a run was spent."""
    total = steps[-1].at - steps[0].at if steps else timedelta()
    waiting = sum((step.took for step in steps if step.waited), timedelta())
    return Timeline(run, steps, total, waiting)


def _step(after: CheckpointTuple, before: CheckpointTuple | None) -> Step:
    at = datetime.fromisoformat(after.checkpoint["ts"])
    writes = (before.pending_writes or []) if before else []
    return Step(
        number=after.metadata.get("step", 0),
        checkpoint_id=after.checkpoint["id"],
        nodes=_changed(after, before, "versions_seen", hidden=("__input__", "__start__", "__interrupt__")),
        changed=tuple(name for name in _changed(after, before, "channel_versions") if _is_state(name)),
        at=at,
        took=at - datetime.fromisoformat(before.checkpoint["ts"]) if before else timedelta(),
        waited=any(channel == "__interrupt__" for _, channel, _ in writes),
    )


def _changed(
    after: CheckpointTuple, before: CheckpointTuple | None, part: str, hidden: tuple[str, ...] = ()
) -> tuple[str, ...]:
    new: Mapping[str, Any] = after.checkpoint[part]  # type: ignore[literal-required]
    old: Mapping[str, Any] = before.checkpoint[part] if before else {}  # type: ignore[literal-required]
    return tuple(sorted(name for name in new if name not in hidden and new[name] != old.get(name)))


def _is_state(channel: str) -> bool:
    return not channel.startswith(("__", "branch:", "join:"))
