"""The same four steps for LangGraph and for DBOS. Each step appends its name and notes when it began and ended."""

from __future__ import annotations

import operator
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

STEPS = ("a", "b", "c", "d")
RIGHT_END = ["in", *STEPS]
TEXT = "A paragraph of the document under review, as long as one usually is. " * 8

Run = Callable[[str], Awaitable[None]]


class Clock:
    """How long it took from the end of each step to the beginning of the next: what making it durable costs."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._ended: dict[str, float] = {}

    def begin(self, run: str) -> None:
        """A step of a run begins."""
        if run in self._ended:
            self.gaps.append(time.perf_counter() - self._ended.pop(run))

    def end(self, run: str, *, last: bool) -> None:
        """A step of a run ends."""
        if not last:
            self._ended[run] = time.perf_counter()


class State(TypedDict):
    """A log that grows and a text that is replaced."""

    log: Annotated[list[str], operator.add]
    text: str


def langgraph_run(saver: BaseCheckpointSaver[Any], clock: Clock) -> Run:
    """Return what runs the four steps once, with a saver and a durability."""

    def step(name: str) -> Any:
        async def run(state: State, config: RunnableConfig) -> dict[str, Any]:
            clock.begin(config["configurable"]["thread_id"])
            clock.end(config["configurable"]["thread_id"], last=name == STEPS[-1])
            return {"log": [name], "text": TEXT + name}

        return run

    builder = StateGraph(State)
    for name in STEPS:
        builder.add_node(name, step(name))
    for before, after in zip((START, *STEPS), (*STEPS, END), strict=True):
        builder.add_edge(before, after)
    graph = builder.compile(checkpointer=saver)

    async def run(durability: str) -> None:
        given: Any = {"log": ["in"], "text": TEXT}
        config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
        ended = await graph.ainvoke(given, config, durability=durability)  # type: ignore[arg-type]
        assert ended["log"] == RIGHT_END

    return run


def dbos_run(url: str, clock: Clock, pool_size: int) -> tuple[Run, Callable[[], None]]:
    """Return what runs the four steps once with DBOS, and what shuts DBOS down."""
    from dbos import DBOS

    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": url,
            "sys_db_pool_size": pool_size,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    async def step(name: str, run_id: str, text: str) -> tuple[str, str]:
        clock.begin(run_id)
        clock.end(run_id, last=name == STEPS[-1])
        return name, text + name

    @DBOS.workflow()
    async def workflow(run_id: str, text: str) -> list[str]:
        log = ["in"]
        for name in STEPS:
            done, _ = await step(name, run_id, text)
            log.append(done)
        return log

    DBOS.launch()

    async def run(durability: str) -> None:
        assert await workflow(str(uuid4()), TEXT) == RIGHT_END

    return run, DBOS.destroy
