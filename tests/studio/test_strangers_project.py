"""A project that has never heard of adjourn, opened with `adjourn studio` and driven there."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine, NotPaused, ThreadBusy, approve
from support.eventually import eventually
from support.postgres import TEMPLATE, fresh_database
from support.recovering import leases_run_out

from .conftest import Studio, graphs_of, running_studio


async def new_thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


async def status(engine: AsyncEngine, thread_id: str) -> str:
    return (await engine.get(thread_id)).status


async def begun(client: LangGraphClient, file: Path) -> tuple[str, str]:
    """Start the workflow `slow` there and wait until its node runs; returns the ids of thread and run."""
    thread_id = await new_thread(client)
    run = await client.runs.create(thread_id, "slow", input={"file": str(file)})
    await eventually(Path(f"{file}.begun").exists)
    return thread_id, run["run_id"]


async def two_heartbeats(project: Studio, thread_id: str) -> None:
    """Wait until the lease of a thread was renewed twice."""
    seen: set[object] = set()

    async def renewed() -> bool:
        async with await psycopg.AsyncConnection.connect(project.database) as connection:
            cursor = await connection.execute(
                "select expires_at from adjourn.leases where thread_id = %s", (thread_id,)
            )
            seen.add(await cursor.fetchone())
        return len(seen) > 2

    await eventually(renewed)


async def test_its_files_stay_as_they_were(project: Studio) -> None:
    original = json.loads((Path(__file__).parent / "project" / "langgraph.json").read_text())
    assert json.loads((project.folder / "langgraph.json").read_text()) == original
    assert "checkpointer" not in original


async def test_a_thread_of_its_own_types_pauses_there_and_is_finished_by_the_engine(
    project_client: LangGraphClient, project_engine: AsyncEngine
) -> None:
    thread_id = await new_thread(project_client)
    await project_client.runs.wait(thread_id, "notes", input={"topic": "tea"})
    run = await project_engine.get(thread_id)
    assert (run.status, run.workflow, run.reviews[0].description) == ("paused", "notes", "Good?")
    done = await project_engine.resume(thread_id, "yes")
    assert (done.status, done.state["result"]) == ("completed", "hello, tea by me: yes")


async def test_a_thread_of_the_engine_is_finished_there_with_its_own_types(
    project_client: LangGraphClient, project_engine: AsyncEngine
) -> None:
    run = await project_engine.start("notes", {"topic": "tea"})

    async def shown() -> bool:
        found = await project_client.threads.search(metadata={"adjourn_status": "paused"}, limit=100)
        return run.thread_id in {thread["thread_id"] for thread in found}

    await eventually(shown)
    await project_client.runs.wait(run.thread_id, "notes", command={"resume": "fine"})
    found = await project_engine.get(run.thread_id)
    assert (found.status, found.state["result"]) == ("completed", "hello, tea by me: fine")


async def test_while_it_runs_there_the_engine_keeps_its_hands_off(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file = tmp_path / "go"
    thread_id, run_id = await begun(project_client, file)
    assert await status(project_engine, thread_id) == "running"
    with pytest.raises(NotPaused, match="being driven"):
        await project_engine.resume(thread_id, "now")
    with pytest.raises(ThreadBusy):
        await project_engine.retry(thread_id)
    assert await project_engine.recover() == []
    file.touch()
    await project_client.runs.join(thread_id, run_id)
    assert await status(project_engine, thread_id) == "paused"


async def test_while_the_engine_drives_it_the_server_is_refused(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread_id = tmp_path / "go", await new_thread(project_client)
    driving = asyncio.create_task(project_engine.start("slow", {"file": str(file)}, thread_id=thread_id))
    await eventually(Path(f"{file}.begun").exists)
    for given in ({"input": {"file": str(file)}}, {"command": {"resume": "now"}}):
        with pytest.raises(Exception, match="ThreadBusy"):
            await project_client.runs.wait(thread_id, "slow", **given)
    assert await status(project_engine, thread_id) == "running"
    file.touch()
    assert (await driving).status == "paused"


async def test_a_run_that_the_engine_cancels_stops_there_before_its_next_step(
    project: Studio, project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file = tmp_path / "go"
    thread_id, run_id = await begun(project_client, file)
    assert (await project_engine.cancel(thread_id, reason="no")).status == "cancelled"
    await two_heartbeats(project, thread_id)  # the server hears of it by the first
    file.touch()
    await project_client.runs.join(thread_id, run_id)
    run = await project_engine.get(thread_id)
    assert (run.status, run.reviews) == ("cancelled", ())
    assert (await project_client.threads.get_state(thread_id))["next"] == ["say"]
    with pytest.raises(Exception, match="NotPaused"):
        await project_client.runs.wait(thread_id, "slow", input=None)


async def test_a_run_that_is_cancelled_there_can_be_retried_by_the_engine(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file = tmp_path / "go"
    thread_id, run_id = await begun(project_client, file)
    await project_client.runs.cancel(thread_id, run_id, wait=True)
    run = await project_engine.get(thread_id)
    assert (run.status, (run.error or {})["type"]) == ("failed", "Interrupted")
    file.touch()
    again = await project_engine.retry(thread_id)
    assert (again.status, again.state["trail"]) == ("paused", ["waited"])


async def test_an_answer_that_the_engine_takes_while_the_server_drives_is_given_by_recovery(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread_id = tmp_path / "go", await new_thread(project_client)
    run = await project_client.runs.create(thread_id, "both", input={"file": str(file)})

    async def asked() -> bool:
        return bool((await project_engine.get(thread_id)).reviews)

    await eventually(Path(f"{file}.begun").exists)
    await eventually(asked)
    assert (await project_engine.resume(thread_id, "early")).status == "running"
    file.touch()
    await project_client.runs.join(thread_id, run["run_id"])
    assert await status(project_engine, thread_id) == "stalled"
    await project_engine.recover()
    done = await project_engine.get(thread_id)
    assert (done.status, sorted(done.state["trail"])) == ("completed", ["early", "waited"])


async def test_a_killed_server_leaves_a_stalled_run_that_the_engine_continues(
    server_of: Callable[[int | None], str], stranger: Callable[[], Path], tmp_path: Path
) -> None:
    file, folder = tmp_path / "go", stranger()
    with fresh_database(server_of(None), TEMPLATE) as database:
        with running_studio(folder, database) as running:
            async with get_client(url=running.url) as client:
                thread_id, _ = await begun(client, file)
            for process in psutil.Process(running.process.pid).children(recursive=True):
                process.kill()
            running.process.kill()
        leases_run_out(database)
        async with AsyncEngine.open(database, workflows=graphs_of(folder)) as engine:
            assert await status(engine, thread_id) == "stalled"
            file.touch()
            (run,) = await engine.recover()
            assert (run.thread_id, run.status, run.state["trail"]) == (thread_id, "paused", ["waited"])
            assert (await engine.resume(thread_id, "well")).state["trail"] == ["waited", "well"]


async def test_a_failure_there_is_recorded_and_gone_on_with_there_routing_included(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread_id = tmp_path / "built", await new_thread(project_client)
    with pytest.raises(Exception, match="ValueError"):
        await project_client.runs.wait(thread_id, "flaky", input={"file": str(file)})
    run = await project_engine.get(thread_id)
    assert (run.status, run.error) == (
        "failed",
        {"type": "ValueError", "message": "the route is not built yet", "node": None},
    )
    file.touch()
    await project_client.runs.wait(thread_id, "flaky", input=None)
    run = await project_engine.get(thread_id)
    assert (run.status, run.error, run.state["trail"]) == ("completed", None, ["first", "second"])


async def test_a_static_breakpoint_set_there_is_a_pause(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread_id = tmp_path / "built", await new_thread(project_client)
    file.touch()
    await project_client.runs.wait(thread_id, "flaky", input={"file": str(file)}, interrupt_before=["second"])
    assert await status(project_engine, thread_id) == "paused"
    done = await project_engine.resume(thread_id, approve())
    assert (done.status, done.state["trail"]) == ("completed", ["first", "second"])


async def test_a_finished_thread_takes_a_second_input_there(
    project_client: LangGraphClient, project_engine: AsyncEngine, tmp_path: Path
) -> None:
    file, thread_id = tmp_path / "built", await new_thread(project_client)
    file.touch()
    for _ in range(2):
        await project_client.runs.wait(thread_id, "flaky", input={"file": str(file)})
        assert await status(project_engine, thread_id) == "completed"
    found: Any = (await project_engine.get(thread_id)).state
    assert found["trail"] == ["first", "second", "first", "second"]


async def test_nothing_has_left_the_machine(project: Studio) -> None:
    assert project.foreign_hosts == []
