"""A delegation whose agents write down what they begin, end and undo, for the tests that kill its processes."""

import asyncio
import random
from typing import Any

from adjourn.engine.plan_rows import PlanRow
from adjourn.engine.plan_view import plan_of_run
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agents import Brief, NeedsPerson
from adjourn.nodes.delegation.compensation import Undo
from adjourn.nodes.delegation.plans import planned, read_plan
from benchmarks.plans import random_network
from support.crashing import note


def some_plan(seed: int, count: int, *, fails: bool) -> dict[str, Any]:
    """Return a plan of at most so many subtasks; where it fails, a last one does, and everything can be undone."""
    network = random_network(seed, most=count)
    subtasks = [
        {"id": each, "dependencies": list(before), "compensation": "undo" if fails else None}
        for each, before in network.dependencies.items()
    ]
    last = {"id": "last", "dependencies": list(network.order), "error_recovery_strategy": "fail"}
    return {"subtasks": [*subtasks, last] if fails else subtasks}


def some_nested_plan(seed: int, count: int, *, fails: bool) -> dict[str, Any]:
    """Return a plan of which every other subtask is a plan again, two levels deep; otherwise as `some_plan`."""

    def of(seed: int, count: int, inside: str, deeper: int) -> list[dict[str, Any]]:
        network = random_network(seed, most=count)
        subtasks: list[dict[str, Any]] = []
        for number, (each, before) in enumerate(network.dependencies.items()):
            found: dict[str, Any] = {"id": inside + each, "dependencies": [inside + other for other in before]}
            if deeper and number % 2 == 0:
                found["plan"] = {"subtasks": of(seed + number + 1, count // 2 + 1, f"{inside}{each}.", deeper - 1)}
            elif fails:
                found["compensation"] = "undo"
            subtasks.append(found)
        return subtasks

    subtasks = of(seed, count, "", 2)
    last = {"id": "last", "dependencies": [each["id"] for each in subtasks], "error_recovery_strategy": "fail"}
    return {"subtasks": [*subtasks, last] if fails else subtasks}


def rows_of(plan: Any) -> dict[str, PlanRow]:
    """The subtasks of a plan and of those nested in it, as if all were one."""
    subtasks, dependencies = planned(read_plan(plan))
    view = plan_of_run({"subtasks": subtasks, "dependencies": dependencies})
    assert view is not None
    return view.rows


def delegating(pause: float) -> Any:
    """Return the workflow; each subtask and each undoing takes up to twice the pause."""

    async def work(brief: Brief) -> str:
        note(f"begin {brief.task_id}")
        if brief.task_id == "last":
            raise ValueError("it cannot be done")
        await asyncio.sleep(random.Random(brief.task_id).uniform(0, 2 * pause))
        note(f"end {brief.task_id}")
        return brief.task_id

    async def undo(undone: Undo) -> None:
        await asyncio.sleep(random.Random(undone.task_id).uniform(0, pause))
        note(f"undo {undone.task_id}")
        await asyncio.sleep(random.Random(undone.task_id).uniform(0, pause))

    return build(agents={"worker": work}, compensations={"undo": undo}, capacity=4, backoff_seconds=0)


def publishing() -> Any:
    """Return the workflow; its agent publishes when somebody said that it may, and asks otherwise."""

    async def work(brief: Brief) -> str:
        if not brief.approved("May it be published?"):
            note("ask")
            raise NeedsPerson("May it be published?")
        note("publish")
        return "published"

    return build(agents={"worker": work}, backoff_seconds=0)
