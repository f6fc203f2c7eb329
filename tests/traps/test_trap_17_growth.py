"""Trap 17: 200 steps that append 1 KB each."""

import operator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from adjourn.checkpoints import open_storage
from adjourn.checkpoints.retention import Policy, prune
from adjourn.settings import load_settings
from support.postgres import execute

STEPS = 200
CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": STEPS + 10}
STORED = "select sum(length(blob)) from checkpoint_blobs"
MEGABYTE = 1_000_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def growing(saver: BaseCheckpointSaver[Any]) -> Any:
    """One node that appends until there are 200 entries, and one that asks."""

    async def append(state: State) -> State:
        return {"log": [f"{len(state['log']):>1000}"]}

    builder = StateGraph(State)
    builder.add_node("append", append)
    builder.add_node("ask", lambda state: {"log": [interrupt("enough?")]})
    builder.add_edge(START, "append")
    builder.add_conditional_edges("append", lambda state: "ask" if len(state["log"]) >= STEPS else "append")
    builder.add_edge("ask", END)
    return builder.compile(checkpointer=saver)


async def test_plain_langgraph_keeps_twenty_megabytes_of_a_run_that_ended(database: str) -> None:
    async with open_storage(load_settings(), database) as storage:
        graph = growing(AsyncPostgresSaver(storage.pool))
        await graph.ainvoke({"log": []}, CONFIG, durability="sync")
        await graph.ainvoke(Command(resume="yes"), CONFIG)
    ((stored,),) = execute(database, STORED)
    assert stored > 20 * MEGABYTE  # type: ignore[operator]


async def test_with_adjourn_the_retention_policy_bounds_what_is_kept(database: str) -> None:
    async with open_storage(load_settings(), database) as storage:
        graph = growing(storage.saver)
        await graph.ainvoke({"log": []}, CONFIG, durability="sync")
        await graph.ainvoke(Command(resume="yes"), CONFIG)
        execute(
            database,
            f"""insert into adjourn.runs
                  (thread_id, tenant, workflow, version, source, status, requested_by, input_digest, ended_at)
                values ('t', 'default', 'w', '1', 'test', 'completed', 'kim', 'd', '{NOW - timedelta(days=2)}')""",
        )
        done = await prune(storage.pool, storage.saver, Policy(prune_after=timedelta(days=1)), now=NOW)
        assert done.pruned == 1
        ((stored,),) = execute(database, STORED)
        assert stored < MEGABYTE / 4  # type: ignore[operator]
        assert len((await graph.aget_state(CONFIG)).values["log"]) == STEPS + 1
