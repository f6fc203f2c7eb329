"""The subtasks of a plan and of the plans in it, as rows that doors show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from ..nodes.delegation.network import Network, critical_path, network_of

__all__ = ["Parts", "PlanRow", "Told", "mark_critical", "ordered", "planned_parts", "rows_of", "told_again"]

Told: TypeAlias = Mapping[str, Any]
"""A subtask as it is told, with `parts` where it consists of a plan."""
Parts: TypeAlias = "Callable[[Told], tuple[list[Told], Parts]]"
"""Returns the subtasks of the plan in a subtask, and what does so for theirs."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One subtask.

    Args:
        id: Its id; a slash stands before the part of a nested plan.
        parent: The subtask whose nested plan it belongs to.
        dependencies: What it waits for.
        status: Where it stands.
        agent: Who does it, or did.
        started: When its last attempt began.
        ended: When that ended.
        retries: How often it was tried again.
        error: Why it failed, was skipped, or needs a person.
        expected_seconds: How long it takes, as far as one knew.
        nested: Whether it consists of a plan.
        critical: Whether it is on the critical path.
        undone: How its undoing stands: "" when nobody undoes it.
    """

    id: str
    parent: str | None
    dependencies: tuple[str, ...]
    status: str
    agent: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    retries: int = 0
    error: str | None = None
    expected_seconds: float = 1.0
    nested: bool = False
    critical: bool = False
    undone: str = ""

    @property
    def name(self) -> str:
        """Its id in its own plan."""
        return self.id.rpartition("/")[2]

    @property
    def took(self) -> float:
        """How long its last attempt took, in seconds; 0 where none has ended."""
        return max(0.0, (self.ended - self.started).total_seconds()) if self.started and self.ended else 0.0


def planned_parts(told: Told) -> tuple[list[Told], Parts]:
    """Return the parts of a subtask as they were planned."""
    return [{"status": "pending", **each} for each in told["parts"]], planned_parts


def rows_of(
    told: Iterable[Told], parent: str | None, before: tuple[str, ...], parts: Parts
) -> Iterator[tuple[str, PlanRow]]:
    """Yield the rows of a plan and of the plans in it, as if all were one.

    What waits for nothing in a nested plan waits for what its subtask waits for, and that is complete with its parts.
    """
    for each in told:
        name = each["task_id"] if parent is None else f"{parent}/{each['task_id']}"
        own = each["dependencies"] if parent is None else [f"{parent}/{other}" for other in each["dependencies"]]
        waits_for = tuple(own) or before
        if each.get("parts"):
            inner, deeper = parts(each)
            yield from rows_of(inner, name, waits_for, deeper)
            waits_for = tuple(f"{name}/{part['task_id']}" for part in inner)
        yield name, _row(each, name, parent, waits_for)


def told_again(told: Told, name: str, known: PlanRow | None) -> PlanRow:
    """Return the row of a subtask of which something new is told; how it was planned stays."""
    names = ("parent", "dependencies", "expected_seconds", "nested", "critical", "undone")
    planned = {} if known is None else {each: getattr(known, each) for each in names}
    return replace(_row(told, name, None, ()), **planned)


def ordered(rows: Mapping[str, PlanRow]) -> dict[str, PlanRow]:
    """Return rows so that each stands behind those it depends on."""
    return {each: rows[each] for each in _network(rows, lambda _: 1.0).order}


def mark_critical(rows: dict[str, PlanRow], seconds: Callable[[PlanRow], float]) -> tuple[list[str], Network]:
    """Mark what is on the critical path, and return that and the network.

    Args:
        rows: All rows by id; they are changed.
        seconds: How long a row takes, or took.
    """
    network = _network(rows, seconds)
    path = critical_path(network)
    for each in path:
        rows[each] = replace(rows[each], critical=True)
    return path, network


def _row(told: Told, name: str, parent: str | None, waits_for: tuple[str, ...]) -> PlanRow:
    return PlanRow(
        id=name,
        parent=parent,
        dependencies=waits_for,
        status=told["status"],
        agent=told.get("assigned_agent"),
        started=_time(told.get("start_time")),
        ended=_time(told.get("end_time")),
        retries=told.get("retry_count") or 0,
        error=told.get("error_message"),
        expected_seconds=told.get("expected_seconds", 1.0),
        nested=bool(told.get("parts")),
        undone=told.get("undone") or "",
    )


def _network(rows: Mapping[str, PlanRow], seconds: Callable[[PlanRow], float]) -> Network:
    """Return the network of all rows; what consists of parts takes no time of its own."""
    took = {each: 0.0 if row.nested else seconds(row) for each, row in rows.items()}
    return network_of({each: row.dependencies for each, row in rows.items()}, took)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
