"""Reading plans: from mappings, texts and files; refused with every mistake named, or made into subtasks."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ...errors import InvalidPlan
from ...state.delegation import SubtaskState
from ...state.plans import Plan, PlannedSubtask
from ..documents import DocumentKind, Place, Positions, load_document, parse_document, validate_document
from .network import cycles, network_of

__all__ = [
    "MAX_BYTES",
    "MAX_SUBTASKS",
    "Planned",
    "levels",
    "load_plan",
    "nested_plan",
    "planned",
    "read_plan",
    "undoable",
]

MAX_BYTES: Final = 10_000_000
"""The largest plan that is read, in bytes of text."""
MAX_SUBTASKS: Final = 20_000
"""The most subtasks of a plan, those of nested plans included."""
_MOST_NAMED: Final = 10

Planned = tuple[dict[str, SubtaskState], dict[str, list[str]]]
"""Subtasks by id, and the ids that each of them waits for."""


def _part(place: Place) -> type[Plan | PlannedSubtask]:
    return PlannedSubtask if len(place) > 1 and isinstance(place[-2], int) else Plan


_PLAN: Final = DocumentKind(
    "plan",
    Plan,
    InvalidPlan,
    shape="a mapping with the key `subtasks`, a list of subtasks",
    part=_part,
    parts="a mapping with the keys of a subtask",
    max_bytes=MAX_BYTES,
)


def load_plan(path: str | Path) -> Plan:
    """Read a plan file.

    Args:
        path: A YAML file; JSON is YAML too.

    Raises:
        InvalidPlan: The file cannot be read, is larger than 10 MB or no YAML, or holds no plan that can be carried out.
    """
    return read_plan(load_document(path, _PLAN), source=str(path))


def read_plan(plan: Any, *, source: str = "the plan") -> Plan:
    """Read a plan.

    Args:
        plan: A `Plan`, a mapping with its keys, or YAML text.
        source: How to call it in errors.

    Raises:
        InvalidPlan: It is no plan, or one that cannot be carried out: an id that is no text or stands there twice, a
            dependency that is unknown, a cycle. The message names the ids, and for text the lines.
    """
    where = Positions(source)
    if isinstance(plan, Plan):
        plan = plan.model_dump(exclude_unset=True)
    elif isinstance(plan, str):
        if len(plan) > MAX_BYTES:
            raise InvalidPlan(f"{source} has more than {MAX_BYTES:,} characters.")
        plan, where = parse_document(plan, _PLAN, source)
    found = validate_document(plan, _PLAN, where)
    problems = list(_problems(found, where, ()))
    if problems:
        more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise InvalidPlan(f"{source}: {'; '.join(problems[:_MOST_NAMED])}{more}.")
    if (count := _count(found)) > MAX_SUBTASKS:
        raise InvalidPlan(
            f"{source} has {count:,} subtasks, more than {MAX_SUBTASKS:,}. Give some to runs of their own."
        )
    return found


def planned(plan: Plan) -> Planned:
    """Return the subtasks of a plan as they stand before the first begins, and what they wait for.

    A subtask that consists of a plan holds that, with what it takes over from the plan around it: how to recover, and how
    often to try again. By itself it is tried again only where it says so: its parts have tried what they inherited.

    Args:
        plan: A plan that `read_plan` has seen.
    """
    subtasks = {each.id: _state(plan, each) for each in plan.subtasks}
    return subtasks, {each.id: list(dict.fromkeys(each.dependencies)) for each in plan.subtasks}


def levels(plan: Plan) -> int:
    """Return how many plans stand one in another; 1 for a plan without any."""
    return 1 + max((levels(each.plan) for each in plan.subtasks if each.plan), default=0)


def undoable(subtask: Mapping[str, Any]) -> bool:
    """Say whether a subtask, or one of the plan in it, declares a compensation."""
    parts = (subtask.get("plan") or {}).get("subtasks", ())
    return bool(subtask.get("compensation")) or any(map(undoable, parts))


def nested_plan(subtask: SubtaskState) -> Plan:
    """Return the plan that a subtask consists of; it was read before."""
    return Plan.model_validate(subtask["plan"])


def _state(plan: Plan, each: PlannedSubtask) -> SubtaskState:
    inherited = list(plan.error_recovery_strategy)
    if each.plan is not None:
        inherited = [strategy for strategy in inherited if strategy not in ("retry", "reassign")]
    own = each.error_recovery_strategy
    return {
        "task_id": each.id,
        "task_type": each.task_type,
        "description": each.description,
        "status": "pending",
        "input_data": each.input_data,
        "output_data": None,
        "error_message": None,
        "assigned_agent": None,
        "start_time": None,
        "end_time": None,
        "retry_count": 0,
        "attempts": 0,
        "tried_by": [],
        "agent": each.agent,
        "capabilities": list(each.capabilities),
        "expected_seconds": _length(each.plan) if each.plan else each.expected_seconds,
        "timeout_seconds": each.timeout_seconds,
        "strategies": list(own) if own is not None else inherited,
        "max_retries": plan.max_retries if each.max_retries is None else each.max_retries,
        "next_move": None,
        "compensation": each.compensation,
        "workflow": each.workflow,
        "plan": _inner(plan, each.plan) if each.plan else None,
        "run": 1,
    }


def _inner(outer: Plan, inner: Plan) -> dict[str, Any]:
    taken_over = outer.model_dump(mode="json", include={"error_recovery_strategy", "max_retries"})
    return {**taken_over, **inner.model_dump(mode="json", exclude_unset=True)}


def _length(plan: Plan) -> float:
    """Return the length of a plan's critical path in expected times."""
    took = {each.id: _length(each.plan) if each.plan else each.expected_seconds for each in plan.subtasks}
    return network_of({each.id: each.dependencies for each in plan.subtasks}, took).length


def _problems(plan: Plan, where: Positions, place: Place) -> Iterator[str]:
    """Yield what is wrong with a plan, and with those in it, in words."""
    at = (*place, "subtasks")
    if not plan.subtasks:
        yield f"{where.name(at)}: a plan needs at least one subtask"
    index = {each.id: number for number, each in reversed(list(enumerate(plan.subtasks)))}
    last = {each.id: number for number, each in enumerate(plan.subtasks)}
    for repeated, count in Counter(each.id for each in plan.subtasks).items():
        if count > 1:
            here = where.name((*at, last[repeated], "id"))
            yield f"{here}: the id {repeated!r} is there {count} times; each needs its own"
    unknown = 0
    for number, each in enumerate(plan.subtasks):
        for position, other in enumerate(each.dependencies):
            if other not in index:
                here = where.name((*at, number, "dependencies", position))
                near = _near(other, index) if unknown < _MOST_NAMED else ""  # no more of them are shown
                unknown += 1
                yield f"{here}: {each.id!r} depends on {other!r}, which is not in the plan{near}"
        if unused := _unused(each):
            does = "a plan" if each.plan is not None else "a workflow"
            yield f"{where.name((*at, number))}: {each.id!r} has {does} and {' and '.join(unused)}; leave one of them out"
        if each.plan is not None:
            yield from _problems(each.plan, where, (*at, number, "plan"))
    known = {each.id: [other for other in each.dependencies if other in index] for each in plan.subtasks}
    for cycle in cycles(known):
        here = where.name((*at, index[cycle[0]]))
        yield f"{here}: a cycle, in which each waits for the next: {_shown([*cycle, cycle[0]])}"


def _unused(each: PlannedSubtask) -> list[str]:
    """Return what a subtask says that counts for nothing, because child runs do it."""
    of_agents = ("agent", "timeout_seconds")
    names = (
        ("workflow", "input_data", "capabilities", *of_agents)
        if each.plan is not None
        else of_agents
        if each.workflow is not None
        else ()
    )
    return [f"`{name}`" for name in names if getattr(each, name)]


def _shown(cycle: list[str]) -> str:
    if len(cycle) > 2 * _MOST_NAMED:
        cycle = [*cycle[:_MOST_NAMED], f"… ({len(cycle) - 2 * _MOST_NAMED} more) …", *cycle[-_MOST_NAMED:]]
    return " → ".join(cycle)


def _near(unknown: str, known: Mapping[str, int]) -> str:
    near = difflib.get_close_matches(unknown, known, n=1) if len(known) <= 1000 else []
    return f" (did you mean {near[0]!r}?)" if near else ""


def _count(plan: Plan) -> int:
    return sum(1 + (_count(each.plan) if each.plan else 0) for each in plan.subtasks)
