"""What the nodes of a delegation tell those who watch: custom events of the run, for screens and followers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...state.delegation import CompensationState, SubtaskState

__all__ = ["EVENT", "Teller"]

EVENT = "delegation"
"""The key under which all of it stands in an event."""


class Teller:
    """Writes events.

    Args:
        write: LangGraph's stream writer.
    """

    def __init__(self, write: Callable[[Any], None]) -> None:
        self._write = write

    def plan(self, title: str, subtasks: Mapping[str, SubtaskState], dependencies: Mapping[str, Sequence[str]]) -> None:
        """Tell the whole plan, and where each subtask stands."""
        told = [
            {
                **_told(subtask),
                "dependencies": list(dependencies[each]),
                "parent": subtask["parent"],
                "expected_seconds": subtask["expected_seconds"],
                "nested": subtask["nested"],
            }
            for each, subtask in subtasks.items()
        ]
        self._write({EVENT: {"plan": told, "title": title}})

    def subtask(self, subtask: SubtaskState) -> None:
        """Tell where a subtask stands."""
        self._write({EVENT: {"subtask": _told(subtask)}})

    def compensation(self, compensation: CompensationState) -> None:
        """Tell where the undoing of a subtask stands."""
        self._write({EVENT: {"compensation": dict(compensation)}})


def _told(subtask: SubtaskState) -> dict[str, Any]:
    names = ("task_id", "status", "assigned_agent", "start_time", "end_time", "retry_count", "error_message")
    return {name: value for name, value in subtask.items() if name in names}
