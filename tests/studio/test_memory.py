"""The server's store is the engine's memory, and the council runs there, too."""

from uuid import uuid4

from langgraph_sdk.client import LangGraphClient

from adjourn import AsyncEngine


async def test_what_the_server_stores_the_engine_finds_and_the_other_way_round(
    client: LangGraphClient, engine: AsyncEngine
) -> None:
    memory = engine._binder._memory
    await client.store.put_item(["cases"], key="1", value={"by": "the server"})
    found = await memory.aget(("cases",), "1")
    assert found is not None
    assert found.value == {"by": "the server"}
    await memory.aput(("cases",), "2", {"by": "the engine"})
    assert (await client.store.get_item(["cases"], "2"))["value"] == {"by": "the engine"}
    found_there = await client.store.search_items(["cases"])
    assert {item["key"] for item in found_there["items"]} == {"1", "2"}


async def test_a_council_that_the_server_drives_is_remembered_by_the_engine(
    client: LangGraphClient, engine: AsyncEngine
) -> None:
    thread = (await client.threads.create(thread_id=str(uuid4())))["thread_id"]
    given = {
        "main_task": "Was the disk full?",
        "material": "The disk was full.",
        "options": ["disk full", "network down"],
    }
    state = await client.runs.wait(thread, "council", input=given)
    assert state["final_result"]["decision"] == "disk full"  # type: ignore[call-overload]
    item = await engine._binder._memory.aget(("adjourn", "council", "council"), thread)
    assert item is not None
    assert item.value["agents"] == {"advocate": [1.0], "analyst": [1.0], "sceptic": [1.0]}
