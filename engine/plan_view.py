"""Plans as doors show them: of a run, of the events of one that is driven, or of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..nodes.delegation.consolidation import measured
from ..nodes.delegation.network import critical_path, network_of
from ..nodes.delegation.plans import flat, load_plan
from ..nodes.delegation.telling import EVENT
from ..state.plans import plan_schema

__all__ = ["PlanRow", "PlanView", "plan_in_file", "plan_of_run", "plan_schema"]


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


@dataclass
class PlanView:
    """A plan and where its subtasks stand.

    Args:
        title: What all of it is for.
        rows: The subtasks by id, each behind those it depends on.
        figures: Makespan, critical path and work in seconds, once something has ended.
    """

    title: str = ""
    rows: dict[str, PlanRow] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def take(self, data: Any) -> PlanRow | None:
        """Take what a node told (see `engine.events.Custom`); return the row that changed, if one did."""
        told = data.get(EVENT) if isinstance(data, Mapping) else None
        if not isinstance(told, Mapping):
            return None
        if isinstance(told.get("plan"), list):
            self.title = str(told.get("title") or "")
            self.rows = _ordered({each["task_id"]: _row(each, each) for each in told["plan"]})
            _mark(self.rows, _expected_path(self.rows))
        elif "subtask" in told:
            each = told["subtask"]
            known = self.rows.get(each["task_id"])
            row = replace(_row(each, each), **({} if known is None else _planned(known)))
            self.rows[row.id] = row
            return row
        elif "compensation" in told and told["compensation"]["task_id"] in self.rows:
            each = told["compensation"]
            self.rows[each["task_id"]] = replace(self.rows[each["task_id"]], undone=each["status"])
            return self.rows[each["task_id"]]
        return None

    def count(self, status: str) -> int:
        """Return how many subtasks stand so."""
        return sum(row.status == status for row in self.rows.values())

    def edges(self) -> list[tuple[str, str]]:
        """Return what is to be drawn: dependency and dependant; a nested plan ends in its last parts only."""
        inner = {(row.parent, before) for row in self.rows.values() for before in row.dependencies if not row.nested}
        return [
            (before, row.id)
            for row in self.rows.values()
            for before in row.dependencies
            if not row.nested or (row.id, before) not in inner
        ]

    def inside(self, parent: str | None) -> list[PlanRow]:
        """Return the subtasks of one level: of the plan, or of the plan in a subtask."""
        return [row for row in self.rows.values() if row.parent == parent]


def plan_of_run(state: Mapping[str, Any]) -> PlanView | None:
    """Return the plan of a run, with the critical path in real times where its subtasks have ended; None without a plan.

    Args:
        state: The run's state.
    """
    subtasks: Any = state.get("subtasks")
    dependencies: Any = state.get("dependencies")
    if not _is_plan(subtasks, dependencies):
        return None
    undone = state.get("compensations") or {}
    found = {
        each: replace(
            _row(subtask, {**subtask, "dependencies": dependencies[each]}),
            undone=undone.get(each, {}).get("status", ""),
        )
        for each, subtask in subtasks.items()
    }
    rows = _ordered(found)
    view = PlanView(str(state.get("main_task") or ""), rows)
    ended = [row for row in rows.values() if row.ended is not None]
    if ended:
        view.figures = measured(dict(state))  # type: ignore[arg-type]
        _mark(view.rows, view.figures["critical_path"])
    else:
        _mark(view.rows, _expected_path(view.rows))
    return view


def plan_in_file(path: str | Path) -> PlanView:
    """Return the plan of a file, with the critical path in expected times.

    Raises:
        InvalidPlan: The file cannot be read, or holds no plan that can be carried out.
    """
    plan = load_plan(path)
    subtasks, dependencies = flat(plan)
    view = plan_of_run({"main_task": plan.main_task, "subtasks": subtasks, "dependencies": dependencies})
    assert view is not None, "a plan has subtasks"  # noqa: S101
    return view


def _is_plan(subtasks: Any, dependencies: Any) -> bool:
    """Whether these are the state of a delegation: other workflows may use the same words for something else."""
    return (
        isinstance(subtasks, dict)
        and isinstance(dependencies, dict)
        and subtasks.keys() == dependencies.keys()
        and bool(subtasks)
        and all(isinstance(each, dict) and {"task_id", "status", "nested", "parent"} <= each.keys()
                for each in subtasks.values())
    )  # fmt: skip


def _row(told: Mapping[str, Any], planned: Mapping[str, Any]) -> PlanRow:
    return PlanRow(
        id=told["task_id"],
        parent=planned.get("parent"),
        dependencies=tuple(planned.get("dependencies") or ()),
        status=told["status"],
        agent=told.get("assigned_agent"),
        started=_time(told.get("start_time")),
        ended=_time(told.get("end_time")),
        retries=told.get("retry_count") or 0,
        error=told.get("error_message"),
        expected_seconds=planned.get("expected_seconds", 1.0),
        nested=bool(planned.get("nested")),
    )


def _planned(row: PlanRow) -> dict[str, Any]:
    names = ("parent", "dependencies", "expected_seconds", "nested", "critical", "undone")
    return {name: getattr(row, name) for name in names}


def _ordered(rows: Mapping[str, PlanRow]) -> dict[str, PlanRow]:
    network = network_of({each: row.dependencies for each, row in rows.items()}, dict.fromkeys(rows, 1.0))
    return {each: rows[each] for each in network.order}


def _expected_path(rows: Mapping[str, PlanRow]) -> list[str]:
    dependencies = {each: row.dependencies for each, row in rows.items()}
    return critical_path(network_of(dependencies, {each: row.expected_seconds for each, row in rows.items()}))


def _mark(rows: dict[str, PlanRow], path: Iterable[str]) -> None:
    for each in path:
        rows[each] = replace(rows[each], critical=True)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
