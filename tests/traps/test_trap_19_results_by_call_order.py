"""Trap 19: `@task` calls in a node whose order depends on data: after a resume one call gets the result of another."""

from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.func import task
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine
from adjourn.nodes.children import child
from support.families import Runs, working
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def test_langgraph_gives_one_call_the_result_of_another(stock_saver: AsyncPostgresSaver) -> None:
    wanted = ["a"]

    @task
    async def look_up(name: str) -> str:
        return f"result of {name}"

    async def work(state: Runs) -> Runs:
        found = {name: await look_up(name) for name in wanted}
        interrupt("Go on?")
        return {"got": [found]}

    graph = working(work).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    wanted[:] = ["c", "a"]
    state = await graph.ainvoke(Command(resume="yes"), CONFIG)
    assert state["got"][0] == {"c": "result of a", "a": "result of a"}


async def test_with_adjourn_a_child_is_known_by_its_own_id(database: str) -> None:
    wanted, looked_up = ["a"], []

    def look_up(state: Trail) -> Trail:
        looked_up.append(state["name"])
        return {"trail": [f"result of {state['name']}"]}

    async def work(state: Runs) -> Runs:
        found = {name: (await child(name, "look_up", {"name": name}))["trail"][0] for name in wanted}
        interrupt("Go on?")
        return {"got": [found]}

    workflows = {"work": working(work), "look_up": chain(("look_up", look_up))}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        run = await engine.start("work", {"name": "x"})
        wanted[:] = ["c", "a"]
        run = await engine.resume(run.thread_id, "yes")
    assert run.state["got"][0] == {"c": "result of c", "a": "result of a"}
    assert looked_up == ["a", "c"]
