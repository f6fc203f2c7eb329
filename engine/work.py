"""One thread to be driven, with everything that its drive needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..checkpoints.priming import UNREAD, AtHand
from .binding import Compiled
from .child_runs import ChildRuns
from .coping.place import CopingDrive
from .events import Event
from .reviews import Given
from .runs import RunRow

__all__ = ["Claimed", "Emit", "Work"]

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is ours to drive on, or that was queued with an answer.

    Args:
        row: The run; with the lease's token if it is ours.
        given: The answers that LangGraph has not stored yet, if they were read under the lease.
        saved: What LangGraph is about to read, if that was read under the lease or still holds; or is to be shown. None for
            a thread of which nothing is stored.
    """

    row: RunRow
    given: list[Given] | None = None
    saved: AtHand = UNREAD


@dataclass(frozen=True, slots=True)
class Work:
    """One thread to drive.

    Args:
        row: The run's row, as it was when the drive was set up; from when the run is ours, as it is then.
        claim: The right to drive it; what is done before may only set things up.
        graph: Its graph on our saver.
        input: What it starts with, while no checkpoint holds that.
        context: The run's context, the same in every drive.
        emit: Gets the events.
        children: Runs the children that its nodes start.
        tokens: Whether models stream their tokens into the events.
        coping: How the run copes with faults, where its workflow has rules for that.
    """

    row: RunRow
    claim: asyncio.Future[Claimed]
    graph: Compiled
    input: Any
    context: Any
    emit: Emit
    children: ChildRuns
    tokens: bool = False
    coping: CopingDrive | None = None

    @property
    def thread_id(self) -> str:
        """The thread."""
        return str(self.row["thread_id"])
