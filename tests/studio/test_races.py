"""The engine, in two processes, and LangGraph's real server answer the same questions at the same time."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine, NotPaused, ReviewClosed, Run
from support.eventually import eventually

from .conftest import Studio

CHILD = """
import asyncio, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from adjourn import AdjournError, AsyncEngine
from paying import paying

async def answer(engine, thread_id):
    try:
        await engine.resume(thread_id, "child")
    except AdjournError as error:
        print(type(error).__name__)

async def main():
    async with AsyncEngine.open(sys.argv[3], workflows={"paying": paying}) as engine:
        print("ready", flush=True)
        async with asyncio.TaskGroup() as answering:
            while thread_id := (await asyncio.to_thread(sys.stdin.readline)).strip():
                answering.create_task(answer(engine, thread_id))

asyncio.run(main())
"""


@asynccontextmanager
async def another_engine(project: Studio) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with an engine that answers the threads which it is told on its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(project.folder), str(Path.cwd()), project.database,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answered_from_all_sides(
    runs: list[Run], process: asyncio.subprocess.Process, engine: AsyncEngine, client: LangGraphClient
) -> list[Any]:
    """Answer everything through every door at once; for every second run the engines wait until the server has begun.

    Returns:
        What the calls of the engine here and of the server came to.
    """

    async def there(run: Run) -> Any:
        return await client.runs.wait(run.thread_id, "paying", command={"resume": "server"})

    async def here(number: int, run: Run) -> Any:
        async def begun() -> bool:
            return (await engine.get(run.thread_id)).status != "paused"

        if number % 2:
            await eventually(begun)
        assert process.stdin is not None
        process.stdin.write(f"{run.thread_id}\n".encode())
        return await engine.resume(run.thread_id, "engine")

    for run in runs:
        await client.threads.create(thread_id=run.thread_id, graph_id="paying", if_exists="do_nothing")
    calls = [*(here(number, run) for number, run in enumerate(runs)), *(there(run) for run in runs)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
    assert process.returncode == 0
    return outcomes


def forks(database: str, thread_id: str) -> list[Any]:
    """Checkpoints that more than one checkpoint builds on."""
    query = """select checkpoint_ns, parent_checkpoint_id from checkpoints where thread_id = %s
        group by 1, 2 having count(*) > 1"""
    with psycopg.connect(database) as connection:
        return connection.execute(query, (thread_id,)).fetchall()


def decisions(database: str, thread_id: str) -> list[Any]:
    query = "select channel, decided_by, consumed_at is not null from adjourn.decisions where thread_id = %s"
    with psycopg.connect(database) as connection:
        return connection.execute(query, (thread_id,)).fetchall()


async def race(project: Studio, engine: AsyncEngine, client: LangGraphClient, folder: Path, threads: int) -> None:
    """Answer some threads through every door at once; of each, one answer counts and effects happen once."""
    folder.mkdir()
    alone = await engine.start("paying", {"file": str(folder / "alone")})
    await engine.resume(alone.thread_id, "engine")
    steps = len(await engine.history(alone.thread_id))

    runs = [await engine.start("paying", {"file": str(folder / str(each))}) for each in range(threads)]
    async with another_engine(project) as process:
        outcomes = await answered_from_all_sides(runs, process, engine, client)

    winners = []
    for number, run in enumerate(runs):
        found = await engine.get(run.thread_id)
        assert (found.status, found.error) == ("completed", None)
        winner = found.state["answer"]
        winners.append(winner)
        assert (folder / str(number)).read_text().splitlines() == ["reserved", f"paid by {winner}"]
        ((channel, _, consumed),) = decisions(project.database, run.thread_id)
        assert (channel, consumed) == ("studio" if winner == "server" else "python", True)
        assert forks(project.database, run.thread_id) == []
        assert len(await engine.history(run.thread_id)) == steps

    assert set(winners[1::2]) == {"server"}
    here = [each for each in outcomes[:threads] if isinstance(each, BaseException)]
    assert all(isinstance(each, ReviewClosed | NotPaused) for each in here), here
    there = [str(each) for each in outcomes[threads:] if isinstance(each, BaseException)]
    assert all(any(name in text for name in ("ThreadBusy", "ReviewClosed", "NotPaused")) for text in there), there
    print(f"{threads} questions, answered first by: {dict(Counter(winners))}")


async def test_of_all_answers_to_a_question_one_counts_and_effects_happen_once(
    project: Studio, project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    await race(project, project_engine, project_client, tmp_path / "race", threads=8)


@pytest.mark.soak
async def test_of_all_answers_one_counts_round_after_round(
    project: Studio, project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    for number in range(50):
        await race(project, project_engine, project_client, tmp_path / str(number), threads=8)


async def test_an_effect_in_the_server_is_not_repeated_by_the_engine(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread = tmp_path / "paid", await project_client.threads.create()
    await project_client.runs.wait(thread["thread_id"], "paying", input={"file": str(file)})
    assert file.read_text() == "reserved\n"
    done = await project_engine.resume(thread["thread_id"], "engine")
    assert (done.status, file.read_text()) == ("completed", "reserved\npaid by engine\n")


async def test_who_answers_first_there_is_named_to_who_comes_later(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    run = await project_engine.start("paying", {"file": str(tmp_path / "paid")})
    await project_client.threads.create(thread_id=run.thread_id, graph_id="paying", if_exists="do_nothing")
    await project_client.runs.wait(run.thread_id, "paying", command={"resume": "server"})
    with pytest.raises(ReviewClosed, match="answered by unknown") as caught:
        await project_engine.resume(run.thread_id, "engine", review_id=run.reviews[0].id)
    assert (caught.value.outcome or {})["answer"] == "server"
    late = {"resume": {run.reviews[0].id: "again"}}
    with pytest.raises(Exception, match="ReviewClosed"):
        await project_client.runs.wait(run.thread_id, "paying", command=late)
