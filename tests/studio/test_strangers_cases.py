"""The cases of a stranger's project: one memory for the server and for the engine."""

from uuid import uuid4

from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine

from .conftest import Studio


async def test_a_case_that_the_server_leaves_the_engine_finds_and_a_deleted_thread_leaves_none(
    project: Studio, project_client: LangGraphClient, project_engine: AsyncEngine
) -> None:
    alert = "Disk full on web-01."
    thread = (await project_client.threads.create(thread_id=str(uuid4())))["thread_id"]
    await project_client.runs.wait(thread, "cases", input={"alert": alert, "cure": "rotated the logs"})
    run = await project_engine.start("cases", {"alert": alert, "cure": "the same again"})
    assert [case["outcome"] for case in run.state["similar"]] == ["rotated the logs"]
    await project_client.threads.delete(thread)
    assert [case.outcome for case in await project_engine.cases(about=alert)] == ["the same again"]
