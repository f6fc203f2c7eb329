"""Trap 6: kill -9 with `durability="sync"` around a node's writes and its checkpoint.

LangGraph awaits the checkpoint of the next step and not the writes of the step that ended, so either may be stored
first, and a kill between the two loses the other. The saver here is made slow, so that the moment can be met.
"""

from pathlib import Path

from support.postgres import execute
from support.processes import child

GRAPH = """
    import asyncio, json, pathlib
    from typing import TypedDict
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from langgraph.graph import END, START, StateGraph
    from adjourn.checkpoints import commits, open_saver
    from adjourn.checkpoints.pool import open_pool
    from adjourn.settings import load_settings
    from pydantic import SecretStr

    database, ledger, part, moment = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]

    class State(TypedDict):
        done: str

    def node(name):
        async def run(state):
            with ledger.open("a") as file:
                file.write(name + "\\n")
            return {"done": name}
        return run

    builder = StateGraph(State)
    for name in ("s1", "s2", "s3"):
        builder.add_node(name, node(name))
    for before, after in ((START, "s1"), ("s1", "s2"), ("s2", "s3"), ("s3", END)):
        builder.add_edge(before, after)

    def is_s2(checkpoint):
        return checkpoint["channel_values"].get("done") == "s2"

    async def drive(saver):
        given = {"done": ""} if part == "first" else None
        ended = await builder.compile(checkpointer=saver).ainvoke(
            given, {"configurable": {"thread_id": "t"}}, durability="sync"
        )
        assert ended == {"done": "s3"}
"""

PLAIN = (
    GRAPH
    + """
    class Slow(AsyncPostgresSaver):
        async def aput_writes(self, config, writes, *task):
            if part == "first" and any(value == "s2" for _, value in writes):
                await asyncio.sleep(60)
            await super().aput_writes(config, writes, *task)

        async def aput(self, config, checkpoint, *rest):
            if part == "first" and is_s2(checkpoint):
                reach("the checkpoint after s2 is asked for")
            return await super().aput(config, checkpoint, *rest)

    async def main():
        async with open_pool(SecretStr(database), load_settings()) as pool:
            await drive(Slow(pool))
    asyncio.run(main())
"""
)

OURS = (
    GRAPH
    + """
    store = commits.store

    async def held(connection, calls, **options):
        puts = [each for call in calls for each in call.puts]
        mine = part == "first" and any(is_s2(each.checkpoint) for each in puts)
        if mine and moment == "before":
            reach("before")
        done = await store(connection, calls, **options)
        if mine and moment == "after":
            reach("after")
        return done

    commits.store = held

    async def main():
        async with open_saver(database) as saver:
            await drive(saver)
    asyncio.run(main())
"""
)

# each checkpoint whose parent's tasks have no stored writes: the order was not kept
WITHOUT_WRITES = """
    select checkpoint_id from checkpoints as later
    where metadata ->> 'step' > '0' and not exists (
        select from checkpoint_writes as writes
        where writes.thread_id = later.thread_id and writes.checkpoint_id = later.parent_checkpoint_id
    )
"""


def killed_and_continued(program: str, database: str, ledger: Path, kill_at: str, moment: str = "-") -> list[str]:
    """Run until the moment, kill -9, continue in another process; return which nodes ran, in order."""
    with child(program, database, str(ledger), "first", moment) as first:
        first.wait_for(kill_at)
        first.kill()
    if program is OURS:
        assert execute(database, WITHOUT_WRITES) == []
    with child(program, database, str(ledger), "second", moment) as second:
        second.finish()
    return ledger.read_text().split()


def test_plain_langgraph_asks_for_the_next_checkpoint_before_the_writes_are_stored_and_repeats_the_node(
    database: str, tmp_path: Path
) -> None:
    ran = killed_and_continued(PLAIN, database, tmp_path / "ledger", "the checkpoint after s2 is asked for")
    assert ran == ["s1", "s2", "s2", "s3"]


def test_with_adjourn_a_node_whose_writes_are_committed_is_not_repeated(database: str, tmp_path: Path) -> None:
    # committed, but nobody in the process has been told
    ran = killed_and_continued(OURS, database, tmp_path / "ledger", "after", "after")
    assert ran == ["s1", "s2", "s3"]


def test_with_adjourn_writes_and_checkpoint_are_one_commit_so_that_a_kill_before_it_leaves_neither(
    database: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    ran = killed_and_continued(OURS, database, ledger, "before", "before")
    # s2 had not been finished: nothing of it was stored, and it runs again
    assert ran == ["s1", "s2", "s2", "s3"]
