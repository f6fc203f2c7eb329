"""Trap 12: one killed database connection."""

import asyncio
from typing import Any, TypedDict

import psycopg
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from adjourn.checkpoints import open_saver
from support.eventually import eventually
from support.postgres import execute

KILL_ALL = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> {}"
)


class State(TypedDict):
    steps: list[str]


def kill_all_connections(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(KILL_ALL.format("pg_backend_pid()"))


def run_with_a_kill(database: str, saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[State, None, State, State]:
    """Two steps; between them every connection to the database is killed."""

    def first(state: State) -> State:
        return {"steps": [*state["steps"], "first"]}

    def second(state: State) -> State:
        kill_all_connections(database)
        return {"steps": [*state["steps"], "second"]}

    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder.compile(checkpointer=saver)


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


async def test_plain_langgraph_stays_dead_for_ever_after_its_connection_was_killed(database: str) -> None:
    async with AsyncPostgresSaver.from_conn_string(database) as saver:
        graph = run_with_a_kill(database, saver)
        with pytest.raises(psycopg.OperationalError):
            await graph.ainvoke({"steps": []}, thread("first"), durability="sync")
        with pytest.raises(psycopg.OperationalError, match="connection is closed"):
            await graph.ainvoke({"steps": []}, thread("another"), durability="sync")


async def test_with_adjourn_the_run_goes_on_after_every_connection_was_killed(any_database: str) -> None:
    async with open_saver(any_database) as saver:
        graph = run_with_a_kill(any_database, saver)
        for name in ("one", "another"):
            ended = await graph.ainvoke({"steps": []}, thread(name), durability="sync")
            assert ended == {"steps": ["first", "second"]}
            assert (await graph.aget_state(thread(name))).next == ()


@pytest.mark.parametrize("table", ["checkpoints", "checkpoint_writes"])
async def test_with_adjourn_the_run_goes_on_when_a_connection_is_killed_in_the_middle_of_a_statement(
    any_database: str, table: str
) -> None:
    waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"

    async with open_saver(any_database) as saver:
        graph = run_with_a_kill(any_database, saver)
        with psycopg.connect(any_database) as holder:
            holder.execute(f"lock table {table} in exclusive mode")
            run = asyncio.create_task(graph.ainvoke({"steps": []}, thread("t"), durability="sync"))
            ((pid,),) = await eventually(lambda: execute(any_database, waiting))
            execute(any_database, f"select pg_terminate_backend({pid}, 5000)")
            await eventually(lambda: (pid,) not in execute(any_database, waiting))
            holder.rollback()
        assert await run == {"steps": ["first", "second"]}
