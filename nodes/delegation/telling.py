"""What the nodes of a delegation tell those who watch: custom events of the run, for screens and followers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...state.delegation import CompensationState, DelegationState, SubtaskState

__all__ = ["EVENT", "Teller", "drawn_parts", "inside_of"]

EVENT = "delegation"
"""The key under which all of it stands in an event."""


class Teller:
    """Writes events.

    Args:
        write: LangGraph's stream writer.
        inside: Which subtask of the plan at the top this plan is; empty for that plan itself.
    """

    def __init__(self, write: Callable[[Any], None], inside: str = "") -> None:
        self._write_event = write
        self._inside = inside

    def _write(self, told: dict[str, Any]) -> None:
        self._write_event({EVENT: {**told, "inside": self._inside} if self._inside else told})

    def plan(self, title: str, subtasks: Mapping[str, SubtaskState], dependencies: Mapping[str, Sequence[str]]) -> None:
        """Tell the whole plan, and where each subtask stands."""
        told = [
            {
                **_told(subtask),
                "dependencies": list(dependencies[each]),
                "expected_seconds": subtask["expected_seconds"],
                **({"parts": drawn_parts(subtask["plan"])} if subtask["plan"] else {}),
            }
            for each, subtask in subtasks.items()
        ]
        self._write({"plan": told, "title": title})

    def subtask(self, subtask: SubtaskState) -> None:
        """Tell where a subtask stands."""
        self._write({"subtask": _told(subtask)})

    def compensation(self, compensation: CompensationState) -> None:
        """Tell where the undoing of a subtask stands."""
        self._write({"compensation": dict(compensation)})


def inside_of(state: DelegationState) -> str:
    """Return which subtask of the plan at the top a plan is; empty for that plan itself."""
    outer = state.get("outer")
    return outer["inside"] if outer else ""


def drawn_parts(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what can be drawn of a nested plan before its run tells more."""
    return [
        {
            "task_id": each["id"],
            "dependencies": list(each.get("dependencies", ())),
            "expected_seconds": each.get("expected_seconds", 1.0),
            **({"parts": drawn_parts(each["plan"])} if each.get("plan") else {}),
        }
        for each in plan["subtasks"]
    ]


def _told(subtask: SubtaskState) -> dict[str, Any]:
    names = ("task_id", "status", "assigned_agent", "start_time", "end_time", "retry_count", "error_message")
    return {name: value for name, value in subtask.items() if name in names}
