"""Workflows that recall and remember past cases."""

import asyncio
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from adjourn import AsyncEngine, Principal
from adjourn.nodes.cases import recall, remember

__all__ = ["ALERTS", "FULL", "Incident", "filled", "filled_sync", "opened", "remembering", "steps"]

# what happened → what helped
ALERTS = {
    "Disk full on web-01: /var/log has grown to 98 percent since midnight.": "rotated the logs",
    "Checkout is slow: the database pool is exhausted, connections wait for 30 seconds.": "raised the pool size",
    "Certificate of api.example.org expires in two days.": "renewed the certificate",
    "Disk failure on db-02: the controller reports bad sectors.": "replaced the disk",
}

# most like the first of them
FULL = "The disk of mail-03 is full, logs have grown."


class Incident(TypedDict, total=False):
    """An alert, what was like it, and what helped."""

    alert: str
    similar: list[dict[str, Any]]
    cure: Any


def steps(*named: tuple[str, Any]) -> StateGraph[Any]:
    """A graph of nodes, one after the other."""
    workflow: StateGraph[Any] = StateGraph(Incident)
    names = [name for name, _ in named]
    for name, node in named:
        workflow.add_node(name, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        workflow.add_edge(before, after)
    return workflow


def remembering(kind: str = "incident", **options: Any) -> StateGraph[Any]:
    """A graph that recalls, and then remembers."""
    return steps(
        ("recall", recall(kind, about="alert", into="similar", **options)),
        ("remember", remember(kind, text="alert", outcome="cure")),
    )


def opened(database: str, tenant: str = "default", **options: Any) -> Any:
    """An engine of a tenant with the workflow `remembering`."""
    options.setdefault("workflows", {"remembering": remembering()})
    return AsyncEngine.open(database, principal=Principal("kim", tenant=tenant), **options)


async def filled(engine: AsyncEngine) -> dict[str, str]:
    """Leave a case for each alert; returns the threads by what helped."""
    runs = {cure: await engine.start("remembering", {"alert": text, "cure": cure}) for text, cure in ALERTS.items()}
    assert {run.status for run in runs.values()} == {"completed"}
    return {cure: run.thread_id for cure, run in runs.items()}


def filled_sync(database: str) -> None:
    """`filled` for tests that are not coroutines."""

    async def fill() -> None:
        async with opened(database) as engine:
            await filled(engine)

    asyncio.run(fill())
