"""Loops end the step; tools may be limited, validated, timed, tried again and refused."""

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt

from adjourn import AsyncEngine, Breaker, Coping, Loops, Retry, ToolRules
from adjourn.testing import ModelServer, ScriptedChatModel, replies
from support.coping import QUICK, coping_engine, model_of, one

looks: list[str] = []


@pytest.fixture(autouse=True)
def no_looks() -> None:
    looks.clear()


@tool
def look(place: str) -> str:
    """Look at a place."""
    looks.append(place)
    return f"{place} is not ready"


@tool
async def look_later(place: str) -> str:
    """Look at a place."""
    looks.append(place)
    return f"{place} is not ready"


def looking(server: ModelServer, *tools: BaseTool) -> Any:
    return create_agent(model_of(server), list(tools))


def for_ever(name: str, place: str = "here") -> Any:
    return lambda _: replies.tool_calls(replies.tool_call(name, {"place": place}))


START: dict[str, Any] = {"messages": [("user", "look")]}


@pytest.mark.parametrize("which", [look, look_later], ids=["plain", "async"])
async def test_an_agent_that_calls_the_same_again_and_again_is_stopped(database: str, which: BaseTool) -> None:
    with ModelServer(for_ever(which.name)) as server:
        coping = Coping(loops=Loops(calls=3))
        async with coping_engine(database, looking(server, which), coping) as engine:
            run = await engine.start("talk", START)
        assert run.error is not None
        assert (run.error["type"], run.error["node"]) == ("LoopDetected", "tools")
        assert looks == ["here"] * 3
        assert len(server.requests) == 4


async def test_other_arguments_other_agents_and_tools_that_wait_are_no_loop(database: str) -> None:
    places = iter(["a", "b", "c", "a", "b", "c"])

    def answer(request: Any) -> Any:
        place = next(places, None)
        return "done" if place is None else replies.tool_calls(replies.tool_call("look", {"place": place}))

    with ModelServer(answer) as server:
        async with coping_engine(database, looking(server, look), Coping(loops=Loops(calls=2))) as engine:
            assert (await engine.start("talk", START)).status == "completed"
    calls = [replies.tool_calls(replies.tool_call("look", {"place": "x"}))] * 5
    with ModelServer([*calls, "done"], strict=True) as server:
        coping = Coping(loops=Loops(calls=2, ignore=("look",)))
        async with coping_engine(database, looking(server, look), coping) as engine:
            assert (await engine.start("talk", START)).status == "completed"


async def test_a_loop_is_seen_across_the_answers_of_people_and_engines(database: str) -> None:
    @tool
    def ask(place: str) -> str:
        """Ask a person."""
        looks.append(place)
        return str(interrupt("really?"))

    with ModelServer(for_ever("ask")) as server:
        coping = Coping(loops=Loops(calls=3))
        runs = []
        async with coping_engine(database, looking(server, ask), coping) as engine:
            runs.append(await engine.start("talk", START, thread_id="t"))
        for _ in range(3):
            async with coping_engine(database, looking(server, ask), coping) as engine:
                runs.append(await engine.resume("t", "no"))
        assert [run.status for run in runs] == ["paused"] * 3 + ["failed"]
        assert runs[-1].error is not None
        assert runs[-1].error["type"] == "LoopDetected"


async def test_a_tool_node_that_hides_errors_is_stopped_all_the_same(database: str) -> None:
    async def call(state: Any, config: RunnableConfig) -> Any:
        node = ToolNode([look_later], handle_tool_errors=True)
        for _ in range(3):
            asked = ScriptedChatModel([replies.tool_calls(replies.tool_call("look_later", {"place": "x"}))])
            await node.ainvoke({"messages": [await asked.ainvoke("hi")]}, config)
        return {"said": ["never mind"]}

    async with coping_engine(database, one(call), Coping(loops=Loops(calls=2))) as engine:
        run = await engine.start("talk", {"prompt": "hi"})
    assert run.error is not None
    assert run.error["type"] == "LoopDetected"
    assert looks == ["x", "x"]


async def test_only_allowed_tools_run(database: str) -> None:
    with ModelServer(for_ever("look")) as server:
        async with coping_engine(
            database, looking(server, look, look_later), Coping(allow_tools=("look_later",))
        ) as engine:
            run = await engine.start("talk", START)
    assert run.error is not None
    assert run.error["type"] == "ToolRefused"
    assert looks == []


async def test_arguments_are_held_against_a_json_schema_and_the_model_may_correct_them(database: str) -> None:
    schema = {
        "type": "object",
        "properties": {"place": {"type": "string", "enum": ["here", "there"]}},
        "required": ["place"],
        "additionalProperties": False,
    }

    async def go(**args: Any) -> str:
        looks.append(args["place"])
        return "fine"

    strict = StructuredTool(name="go", description="Go.", args_schema=schema, coroutine=go)
    calls = [
        replies.tool_calls(replies.tool_call("go", {"place": "nowhere"})),
        replies.tool_calls(replies.tool_call("go", {"place": "there"})),
        "done",
    ]
    with ModelServer(calls, strict=True) as server:
        async with coping_engine(database, looking(server, strict), Coping(allow_tools=("go",))) as engine:
            run = await engine.start("talk", START)
        assert run.status == "completed"
        assert looks == ["there"]
        assert "'nowhere' is not one of" in server.requests[1].tool_results[0]


async def test_tools_are_tried_again_timed_and_refused_only_where_their_rules_say_so(database: str) -> None:
    tries: dict[str, int] = {}

    async def fail(name: str) -> str:
        tries[name] = tries.get(name, 0) + 1
        raise ConnectionError("the line is dead")

    @tool
    async def once(place: str) -> str:
        """Fail."""
        return await fail("once")

    @tool
    async def thrice(place: str) -> str:
        """Fail."""
        return await fail("thrice")

    @tool
    def thrice_in_a_thread(place: str) -> str:
        """Fail."""
        return asyncio.run(fail("thrice_in_a_thread"))

    @tool
    async def never_ends(place: str) -> str:
        """Wait."""
        tries["never_ends"] = tries.get("never_ends", 0) + 1
        await asyncio.Event().wait()
        return ""

    rules = {
        "thrice": ToolRules(retry=QUICK, breaker=Breaker(failures=3)),
        "thrice_in_a_thread": ToolRules(retry=QUICK),
        "never_ends": ToolRules(retry=Retry(attempts=2, wait=0.01), timeout=0.1),
    }
    tools: list[BaseTool] = [once, thrice, thrice_in_a_thread, never_ends]
    graphs = {each.name: calling(each) for each in tools}
    async with AsyncEngine.open(database, workflows=graphs, coping={"*": Coping(tools=rules)}) as engine:
        runs = {name: await engine.start(name, {"prompt": "hi"}) for name in graphs}
        again = await engine.start("thrice", {"prompt": "hi"})
    assert tries == {"once": 1, "thrice": 3, "thrice_in_a_thread": 3, "never_ends": 2}
    assert {name: run.error and run.error["type"] for name, run in runs.items()} == {
        "once": "ConnectionError",
        "thrice": "ConnectionError",
        "thrice_in_a_thread": "ConnectionError",
        "never_ends": "TimeoutError",
    }
    assert again.error is not None
    assert again.error["type"] == "CircuitOpen"


async def test_a_time_out_that_a_plain_tool_cannot_have_is_refused_where_it_is_named(database: str) -> None:
    ran = []

    @tool
    def blocking(place: str) -> str:
        """Look."""
        ran.append(place)
        return "seen"

    graphs = {"named": calling(blocking), "all": calling(blocking)}
    coping = {
        "named": Coping(tools={"blocking": ToolRules(timeout=9)}),
        "all": Coping(tools={"*": ToolRules(timeout=9)}),
    }
    async with AsyncEngine.open(database, workflows=graphs, coping=coping) as engine:
        refused = await engine.start("named", {"prompt": "hi"})
        assert refused.error is not None
        assert (refused.error["type"], ran) == ("ConfigurationError", [])
        assert "cannot be stopped" in refused.error["message"]
        assert ((await engine.start("all", {"prompt": "hi"})).status, ran) == ("completed", ["x"])


def calling(called: BaseTool) -> Any:
    async def call(state: Any) -> Any:
        return {"said": [await called.ainvoke({"place": "x"})]}

    return one(call)
