"""Trap 5: a run that is killed between a node's writes and its checkpoint looks finished: `next` is empty."""

import asyncio
from pathlib import Path
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from adjourn import AsyncEngine
from adjourn.settings import Settings
from support.eventually import eventually
from support.processes import child
from support.workflows import chain, mark

TESTS = {"PYTHONPATH": str(Path(__file__).parents[1])}
CONFIG: Any = {"configurable": {"thread_id": "t"}}
STEPS = chain(("one", mark("one")), ("two", mark("two")))

PLAIN = """
    import asyncio
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from support.workflows import chain, mark

    class Stopping(AsyncPostgresSaver):
        async def aput(self, config, checkpoint, metadata, versions):
            if metadata["step"] == 2:
                await asyncio.sleep(0.3)  # the writes of the last node are committed
                reach("between")
            return await super().aput(config, checkpoint, metadata, versions)

    async def main(database):
        async with Stopping.from_conn_string(database) as saver:
            graph = chain(("one", mark("one")), ("two", mark("two"))).compile(checkpointer=saver)
            await graph.ainvoke({"name": "x"}, {"configurable": {"thread_id": "t"}}, durability="sync")

    asyncio.run(main(sys.argv[1]))
"""

OURS = """
    import asyncio
    from adjourn import AsyncEngine
    from adjourn.checkpoints import Saver
    from adjourn.settings import Settings
    from support.workflows import chain, mark

    put = Saver.aput

    async def aput(self, config, checkpoint, metadata, versions):
        if metadata["step"] == 2:
            await asyncio.sleep(0.3)
            reach("between")
        return await put(self, config, checkpoint, metadata, versions)

    Saver.aput = aput

    async def main(database):
        workflows = {"steps": chain(("one", mark("one")), ("two", mark("two")))}
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.8)) as engine:
            await engine.start("steps", {"name": "x"}, thread_id="t")

    asyncio.run(main(sys.argv[1]))
"""


def kill_between(program: str, database: str) -> None:
    with child(program, database, environment=TESTS) as process:
        process.wait_for("between", timeout=90)
        process.kill()


async def test_langgraph_shows_a_killed_run_as_one_with_nothing_next(
    database: str, stock_saver: AsyncPostgresSaver
) -> None:
    await asyncio.to_thread(kill_between, PLAIN, database)
    state = await STEPS.compile(checkpointer=stock_saver).aget_state(CONFIG)
    assert state.next == ()
    assert state.tasks != ()


async def test_adjourn_shows_it_as_running_then_stalled_and_finishes_it(database: str) -> None:
    await asyncio.to_thread(kill_between, OURS, database)
    async with AsyncEngine.open(database, workflows={"steps": STEPS}, settings=Settings(lease_seconds=0.8)) as engine:
        seen = {(await engine.get("t")).status}

        async def stalled() -> bool:
            seen.add((await engine.get("t")).status)
            return "stalled" in seen

        await eventually(stalled)
        assert seen <= {"running", "stalled"}
        (run,) = await engine.recover()
    assert (run.status, run.state["trail"]) == ("completed", ["one", "two"])
