"""Undoing what the child runs of subtasks did: nested plans that completed, and runs that were cancelled.

Each is undone by a child run of its own, which puts together again what the other did. So the order holds across the border:
a subtask's child runs are undone after everything that depended on it, and before everything that it depended on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from langgraph.errors import GraphInterrupt
from typing_extensions import TypedDict

from ...errors import ChildFailed, UnknownThread
from ...state.delegation import DelegationState
from ..children import ChildCall, UndoOf, children, runs_below
from .separate import SCOPE

__all__ = ["AwaitedUndoing", "Undone", "awaiting_undone", "runs_to_undo", "undone"]

UNDO_SCOPE: Final = "delegation undo"


class AwaitedUndoing(TypedDict):
    """The child runs that are being undone."""

    runs: list[str]


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of undoing the child runs of a subtask.

    Args:
        status: `nothing` where there was nothing to undo; `done`; `left` where people decided to leave something as it is;
            `waits` while a run that undoes has not ended; `busy` while somebody else undoes.
        error: What was left, or who undoes.
        waits_for: The runs that are being undone.
    """

    status: Literal["nothing", "done", "left", "waits", "busy"]
    error: str | None = None
    waits_for: Sequence[str] = ()


async def runs_to_undo(state: DelegationState) -> dict[str, list[str]]:
    """Return the child runs that are to be undone, by subtask.

    What completed is undone by the compensation that its subtask declares; of a nested plan by those of its own subtasks as
    well. What was cancelled, or failed in the middle, is undone as far as it came.
    """
    found: dict[str, list[str]] = {}
    for name, run in (await runs_below(SCOPE, of=state.get("undone_run"))).items():
        task_id = name.rpartition("#")[0]
        subtask = state["subtasks"].get(task_id)
        if subtask is not None and run.undoable and (subtask["plan"] is not None or run.status != "completed"):
            found.setdefault(task_id, []).extend(run.undoable)
    return found


async def undone(runs: Sequence[str]) -> Undone:
    """Have child runs undone, as far as that comes here.

    Args:
        runs: Their thread ids.
    """
    ended = await asyncio.gather(*(_undone(each) for each in runs))
    if waits := [run for run, each in zip(runs, ended, strict=True) if each is None]:
        return Undone("waits", waits_for=waits)
    left: list[str] = []
    for each in ended:
        if isinstance(each, str):
            left.append(each)
        elif isinstance(each, Undone):
            return each
        elif each is not None:
            left += each.get("final_result", {}).get("not_compensated", [])
    if left:
        return Undone("left", f"left as it is: {', '.join(left)}")
    return Undone("done" if any(ended) else "nothing")


async def _undone(run: str) -> dict[str, Any] | Undone | str | None:
    """Return the final state of the run that undoes another, empty where there was none; or what stands in the way.

    That is None while it has not ended, in words what is left as it is, or `busy`.
    """
    try:
        found = (await children({_name(run): _call(run)}, scope=UNDO_SCOPE))[_name(run)]
    except GraphInterrupt:
        return None
    except ChildFailed as failed:  # people have cancelled it, or somebody else is at work
        return str(failed) if failed.status == "cancelled" else Undone("busy", str(failed))
    except UnknownThread as gone:
        return gone.message
    assert isinstance(found, dict), "only on_failure='return' gives a failure as a value"  # noqa: S101
    return found


def awaiting_undone() -> Any:
    """Make a node over `AwaitedUndoing` that lets the run pause until one of the runs that undo has ended."""

    async def await_undone(waits: AwaitedUndoing) -> DelegationState:
        with contextlib.suppress(ChildFailed):  # people have cancelled it; looked at when it is come to again
            await children({_name(each): _call(each) for each in waits["runs"]}, until="one", scope=UNDO_SCOPE)
        return {"undoing_stopped": False}

    return await_undone


def _name(run: str) -> str:
    return f"undo of run {run}"


def _call(run: str) -> ChildCall:
    # whether a run that undoes and failed goes on is for people to say
    return ChildCall(UndoOf(run), on_failure="wait")
