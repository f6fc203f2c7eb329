"""Plans as doors show them: of a run, of the events of one that is driven, or of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from ..nodes.delegation.consolidation import measured
from ..nodes.delegation.network import Network, critical_path, network_of
from ..nodes.delegation.plans import load_plan, planned
from ..nodes.delegation.telling import EVENT, drawn_parts
from ..state.plans import plan_schema
from .model import Child, Run

__all__ = ["PlanRow", "PlanView", "is_nested", "plan_in_file", "plan_of_family", "plan_of_run", "plan_schema"]

_MOST_READ: Final = 100
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
        """Take what a node told (see `engine.events.Custom`); return the row that changed, if one did.

        What a nested plan tells counts for the rows inside its subtask.
        """
        told = data.get(EVENT) if isinstance(data, Mapping) else None
        if not isinstance(told, Mapping):
            return None
        inside = f"{told['inside']}/" if told.get("inside") else ""
        if isinstance(told.get("plan"), list):
            if inside:
                for each in told["plan"]:
                    self._take_row(inside, each)
            else:
                self._take_plan(told)
        elif "subtask" in told:
            return self._take_row(inside, told["subtask"])
        elif "compensation" in told and inside + told["compensation"]["task_id"] in self.rows:
            row = self.rows[inside + told["compensation"]["task_id"]]
            self.rows[row.id] = replace(row, undone=told["compensation"]["status"])
            return self.rows[row.id]
        return None

    def _take_plan(self, told: Mapping[str, Any]) -> None:
        known = self.rows
        rows = dict(_rows(told["plan"], None, (), _planned_parts))
        # what nested plans told before is told no second time
        kept = {each: known[each] for each in rows if each in known and rows[each].parent is not None}
        self.title = str(told.get("title") or "")
        self.rows = _ordered({**rows, **kept})
        _mark(self.rows, critical_path(_network(self.rows, _expected)))

    def _take_row(self, inside: str, told: Mapping[str, Any]) -> PlanRow | None:
        name = inside + told["task_id"]
        known = self.rows.get(name)
        if known is None and inside:
            return None  # of a plan that was not told
        row = replace(_row(told, name, None, ()), **({} if known is None else _planned(known)))
        self.rows[name] = row
        return row

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


def is_nested(data: Any) -> bool:
    """Say whether something that a node told is of a plan that stands in a subtask of another."""
    told = data.get(EVENT) if isinstance(data, Mapping) else None
    return isinstance(told, Mapping) and bool(told.get("inside"))


def plan_of_run(state: Mapping[str, Any], parts: Parts | None = None) -> PlanView | None:
    """Return the plan of a run, with the critical path in real times where its subtasks have ended; None without a plan.

    Args:
        state: The run's state.
        parts: Says how the nested plan in a subtask stands; by default as it was planned.
    """
    if not _is_plan(state.get("subtasks"), state.get("dependencies")):
        return None
    looked_up = parts or _planned_parts
    view = PlanView(str(state.get("main_task") or ""), _ordered(dict(_rows(_told(state), None, (), looked_up))))
    if any(row.ended is not None for row in view.rows.values()):
        network = _network(view.rows, _took)
        path = critical_path(network)
        view.figures = {
            **measured(dict(state)),  # type: ignore[arg-type]
            "critical_path": path,
            "critical_path_seconds": round(network.length, 6),
            "work_seconds": round(network.work, 6),
            "retries": sum(row.retries for row in view.rows.values()),
        }
        _mark(view.rows, path)
    else:
        _mark(view.rows, critical_path(_network(view.rows, _expected)))
    return view


def plan_of_family(run: Run, state_of: Callable[[str], Mapping[str, Any]]) -> PlanView | None:
    """Return the plan of a run with those nested in it as their runs stand; None without a plan.

    Args:
        run: The run.
        state_of: Returns the state of a child run; called for nested plans that have begun, for the first hundred.
    """
    left = iter(range(_MOST_READ))

    def parts(children: Iterable[Child]) -> Parts:
        latest: dict[str, Child] = {}
        undoing: dict[str, Child] = {}
        for each in children:
            task_id, numbered, number = each.id.rpartition("#")
            if not numbered:
                undoing[each.id.rpartition(" ")[2]] = each  # see nodes.delegation.undoing
            elif task_id not in latest or int(number) > int(latest[task_id].id.rpartition("#")[2]):
                latest[task_id] = each

        def of(told: Told) -> tuple[list[Told], Parts]:
            child = latest.get(told["task_id"])
            if child is None or next(left, None) is None:
                return _planned_parts(told)
            state = state_of(child.thread_id)
            if not _is_plan(state.get("subtasks"), state.get("dependencies")):
                return _planned_parts(told)
            undone = undoing.get(child.thread_id)
            marks = {} if undone is None else (state_of(undone.thread_id).get("compensations") or {})
            return _told({**state, "compensations": marks or state.get("compensations")}), parts(child.children)

        return of

    return plan_of_run(run.state, None if run.state.get("undone_run") else parts(run.children))


def plan_in_file(path: str | Path) -> PlanView:
    """Return the plan of a file, with the critical path in expected times.

    Raises:
        InvalidPlan: The file cannot be read, or holds no plan that can be carried out.
    """
    plan = load_plan(path)
    subtasks, dependencies = planned(plan)
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
        and all(isinstance(each, dict) and {"task_id", "status", "plan", "workflow"} <= each.keys()
                for each in subtasks.values())
    )  # fmt: skip


def _told(state: Mapping[str, Any]) -> list[Told]:
    """Return the subtasks of a state as a node tells them."""
    undone = state.get("compensations") or {}
    return [
        {
            **subtask,
            "dependencies": state["dependencies"][each],
            "undone": undone.get(each, {}).get("status", ""),
            **({"parts": drawn_parts(subtask["plan"])} if subtask["plan"] else {}),
        }
        for each, subtask in state["subtasks"].items()
    ]


def _planned_parts(told: Told) -> tuple[list[Told], Parts]:
    return [{"status": "pending", **each} for each in told["parts"]], _planned_parts


def _rows(
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
            yield from _rows(inner, name, waits_for, deeper)
            waits_for = tuple(f"{name}/{part['task_id']}" for part in inner)
        yield name, _row(each, name, parent, waits_for)


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


def _planned(row: PlanRow) -> dict[str, Any]:
    names = ("parent", "dependencies", "expected_seconds", "nested", "critical", "undone")
    return {name: getattr(row, name) for name in names}


def _ordered(rows: Mapping[str, PlanRow]) -> dict[str, PlanRow]:
    return {each: rows[each] for each in _network(rows, lambda _: 1.0).order}


def _network(rows: Mapping[str, PlanRow], seconds: Callable[[PlanRow], float]) -> Network:
    """Return the network of all rows; what consists of parts takes no time of its own."""
    took = {each: 0.0 if row.nested else seconds(row) for each, row in rows.items()}
    return network_of({each: row.dependencies for each, row in rows.items()}, took)


def _expected(row: PlanRow) -> float:
    return row.expected_seconds


def _took(row: PlanRow) -> float:
    return max(0.0, (row.ended - row.started).total_seconds()) if row.started and row.ended else 0.0


def _mark(rows: dict[str, PlanRow], path: Iterable[str]) -> None:
    for each in path:
        rows[each] = replace(rows[each], critical=True)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
