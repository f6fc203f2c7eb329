"""What tests of the saver need: checkpoints made by hand, a graph of four steps, and the rows that are stored."""

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import psycopg
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


class Log(TypedDict):
    log: Annotated[list[str], operator.add]
    text: str


def config(thread_id: str, checkpoint_id: str | None = None, checkpoint_ns: str = "") -> RunnableConfig:
    """The configuration that names a thread, and one of its checkpoints."""
    names: dict[str, Any] = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}
    return {"configurable": names | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


def checkpoint(checkpoint_id: str | None = None, **values: Any) -> Checkpoint:
    """A checkpoint that holds some values, each in its first version."""
    return {
        "v": 4,
        "id": checkpoint_id or str(uuid6()),
        "ts": "2026-11-20T10:00:00+00:00",
        "channel_values": values,
        "channel_versions": dict.fromkeys(values, "1"),
        "versions_seen": {},
        "updated_channels": None,
    }


async def put(
    saver: BaseCheckpointSaver[Any], thread_id: str, *, parent: str | None = None, **values: Any
) -> RunnableConfig:
    """Store a new checkpoint; return the configuration that names it."""
    new = checkpoint(**values)
    return await saver.aput(config(thread_id, parent), new, {"step": 1}, new["channel_versions"])


def id_of(saved: RunnableConfig) -> str:
    """The checkpoint that a configuration names."""
    return str(saved["configurable"]["checkpoint_id"])


def four_steps(saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[Log, None, Log, Log]:
    """A graph whose steps a, b, c, d add their names to a log; for both `invoke` and `ainvoke`."""

    def step(name: str) -> RunnableLambda[Log, dict[str, Any]]:
        def run(state: Log) -> dict[str, Any]:
            return {"log": [name], "text": name}

        async def run_async(state: Log) -> dict[str, Any]:
            return run(state)

        return RunnableLambda(run, run_async)

    builder = StateGraph(Log)
    for name in "abcd":
        builder.add_node(name, step(name))
    for before, after in ((START, "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", END)):
        builder.add_edge(before, after)
    return builder.compile(checkpointer=saver)


def rows_of(url: str, thread_id: str) -> dict[str, list[Any]]:
    """What is stored for a thread, sorted, without the thread id itself."""
    with psycopg.connect(url) as connection:
        return {
            table: sorted(
                (tuple(map(repr, row[1:])) for row in connection.execute(_ROWS[table], (thread_id,))),
            )
            for table in TABLES
        }


def count_of(url: str, thread_ids: Sequence[str]) -> int:
    """How many rows are stored for some threads."""
    with psycopg.connect(url) as connection:
        return sum(connection.execute(_COUNTS[table], (list(thread_ids),)).fetchall()[0][0] for table in TABLES)


_ROWS = {
    "checkpoints": "select * from checkpoints where thread_id = %s",
    "checkpoint_blobs": "select * from checkpoint_blobs where thread_id = %s",
    "checkpoint_writes": "select * from checkpoint_writes where thread_id = %s",
}
_COUNTS = {
    "checkpoints": "select count(*) from checkpoints where thread_id = any(%s)",
    "checkpoint_blobs": "select count(*) from checkpoint_blobs where thread_id = any(%s)",
    "checkpoint_writes": "select count(*) from checkpoint_writes where thread_id = any(%s)",
}
