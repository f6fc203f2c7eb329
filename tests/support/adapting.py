"""An adaptive workflow that writes down what it does, and in which the process can be stopped at moments with names."""

from typing import Any

from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import Task, attempting, measuring
from support.crashing import Moments, note

MOMENTS = ("in attempt 1", "after attempt 1", "in attempt 2", "after attempt 2", "after measuring 2")
MEMORY = "kills"


def adapting_workflow(at: Moments) -> Any:
    """slow → quick, each attempt once; the first one is too slow."""

    def strategy(name: str, quick: float) -> Any:
        async def act(task: Task) -> Any:
            note(f"begin {task.attempt} {name} {task.idempotency_key}")
            at(f"in attempt {task.attempt}")
            note(f"end {task.attempt}")
            return {"time": quick}

        return act

    strategies = {"slow": strategy("slow", 0.1), "quick": strategy("quick", 1.0)}
    measurers = {"response_time": lambda attempted: attempted.result["time"]}
    workflow = build(strategies=strategies, measurers=measurers, memory=MEMORY)
    attempt, measure = attempting(strategies, memory=MEMORY), measuring(measurers, memory=MEMORY)

    async def and_stop(state: Any) -> Any:
        update = await attempt(state)
        at(f"after attempt {len(update['attempts'])}")  # recorded, and the node has not ended
        return update

    async def measure_and_stop(state: Any) -> Any:
        update = await measure(state)
        at(f"after measuring {len(update['attempts'])}")
        return update

    workflow.nodes["attempt"].runnable.afunc = and_stop  # type: ignore[union-attr]
    workflow.nodes["measure"].runnable.afunc = measure_and_stop  # type: ignore[union-attr]
    return workflow
