"""One thread to be driven, with everything that its drive needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from ..checkpoints.priming import UNREAD, Unread
from .binding import Compiled
from .child_runs import ChildRuns
from .coping.place import CopingDrive
from .events import Event
from .reviews import Given
from .runs import RunRow

__all__ = ["Emit", "Work"]

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Work:
    """One thread to drive.

    Args:
        row: The run's row with the lease's token.
        graph: Its graph on our saver.
        input: What it starts with, while no checkpoint holds that.
        context: The run's context, the same in every drive.
        emit: Gets the events.
        children: Runs the children that its nodes start.
        tokens: Whether models stream their tokens into the events.
        given: The answers that LangGraph has not stored yet, if they were read under the lease.
        saved: The checkpoint that LangGraph is about to read, if that was.
        blank: Whether nothing is stored for the thread: its id was made for this run, or it was looked at under the lease.
        coping: How the run copes with faults, where its workflow has rules for that.
    """

    row: RunRow
    graph: Compiled
    input: Any
    context: Any
    emit: Emit
    children: ChildRuns
    tokens: bool = False
    given: list[Given] | None = None
    saved: CheckpointTuple | Unread | None = UNREAD
    blank: bool = False
    coping: CopingDrive | None = None

    @property
    def thread_id(self) -> str:
        """The thread."""
        return str(self.row["thread_id"])
