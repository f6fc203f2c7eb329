"""Each kind of model error over real HTTP leads to what the rules say; the server counts the calls that it got."""

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel

from adjourn import AsyncEngine, Breaker, Coping, Principal, Rate, Retry, Run
from adjourn.testing import ModelServer, ScriptedChatModel, replies
from support.coping import QUICK, Talk, asked, asking_by_name, coping_engine, model_of, one, scripted, talking
from support.eventually import eventually

PASSING = {
    "429": replies.rate_limit(),
    "429-with-retry-after": replies.rate_limit(retry_after=0.05),
    "500": replies.server_error(),
    "503": replies.server_error(503),
    "cut": replies.cut(after=0),
}
FINAL = {
    "400": replies.failure(400, "Bad request.", kind="invalid_request_error"),
    "401": replies.unauthorized(),
    "422": replies.failure(422, "It does not fit.", kind="invalid_request_error"),
    "context-too-long": replies.context_too_long(),
    "429-of-an-empty-account": replies.failure(429, "No quota.", code="insufficient_quota"),
    "429-for-an-hour": replies.rate_limit(retry_after=3600),
}


async def runs_of(engine: AsyncEngine, prompts: Any, workflow: str = "talk") -> dict[str, Run]:
    runs = await asyncio.gather(*(engine.start(workflow, {"prompt": each}) for each in prompts))
    return dict(zip(prompts, runs, strict=True))


async def test_what_may_pass_is_tried_as_often_as_it_may_be_and_the_rest_exactly_once(database: str) -> None:
    with ModelServer(scripted({**PASSING, **FINAL, "silence": replies.silence()})) as server:
        graph = asking_by_name(server)
        coping = {"talk": Coping(retry=QUICK), "silent": Coping(retry=QUICK, model_timeout=0.5)}
        async with AsyncEngine.open(database, workflows={"talk": graph, "silent": graph}, coping=coping) as engine:
            runs = await runs_of(engine, PASSING | FINAL)
            # when nothing else is under way: each call must have come to the server before its time is over
            runs["silence"] = await engine.start("silent", {"prompt": "silence"})
        assert {run.status for run in runs.values()} == {"failed"}
        assert asked(server, "silence") == 3
        # neither the client, which has two retries of its own, nor the node multiplies them
        assert {name: asked(server, name) for name in PASSING} == dict.fromkeys(PASSING, 3)
        assert {name: asked(server, name) for name in FINAL} == dict.fromkeys(FINAL, 1)
        assert runs["silence"].error == {
            "type": "TimeoutError", "message": "openai:silence did not answer within 0.5 s.", "node": "talk",
        }  # fmt: skip


async def in_async_code(model: Any) -> str:
    return (await model.ainvoke("hi")).text


def in_a_thread(model: Any) -> str:
    return model.invoke("hi").text


async def in_pieces(model: Any) -> str:
    return "".join([chunk.text async for chunk in model.astream("hi")])


def in_pieces_in_a_thread(model: Any) -> str:
    return "".join([chunk.text for chunk in model.stream("hi")])


async def by_an_agent(model: Any) -> str:
    return (await create_agent(model, []).ainvoke({"messages": [("user", "hi")]}))["messages"][-1].text


def by_an_agent_in_a_thread(model: Any) -> str:
    return create_agent(model, []).invoke({"messages": [("user", "hi")]})["messages"][-1].text


async def on_a_loop_of_its_own(model: Any) -> str:
    return await asyncio.to_thread(lambda: asyncio.run(in_async_code(model)))


WAYS = (
    in_async_code,
    in_a_thread,
    in_pieces,
    in_pieces_in_a_thread,
    by_an_agent,
    by_an_agent_in_a_thread,
    on_a_loop_of_its_own,
)


def node_for(way: Any, server: ModelServer) -> Any:
    if asyncio.iscoroutinefunction(way):

        async def talk(state: Any) -> Any:
            return {"said": [await way(model_of(server, way.__name__))]}
    else:

        def talk(state: Any) -> Any:
            return {"said": [way(model_of(server, way.__name__))]}

    return one(talk)


async def test_it_holds_however_a_node_calls_the_model(database: str) -> None:
    lines = [replies.rate_limit(), replies.silence(), replies.text("hello there, all of you")]
    with ModelServer(scripted({way.__name__: lines for way in WAYS})) as server:
        graphs = {way.__name__: node_for(way, server) for way in WAYS}
        coping = {"*": Coping(retry=QUICK, model_timeout=2.0)}
        async with AsyncEngine.open(database, workflows=graphs, coping=coping) as engine:
            runs = await asyncio.gather(*(engine.start(name, {"prompt": "hi"}) for name in graphs))
            for name, run in zip(graphs, runs, strict=True):
                assert (run.error, run.state.get("said")) == (None, ["hello there, all of you"]), name
                assert asked(server, name) == 3


async def test_it_holds_for_functional_workflows_and_branches(database: str) -> None:
    @task
    async def later(name: str) -> str:
        return (await model_of(server, name).ainvoke("hi")).text

    @task
    def in_thread(name: str) -> str:
        return model_of(server, name).invoke("hi").text

    @entrypoint()
    async def functional(given: dict[str, str]) -> list[str]:
        return [await later("later"), await in_thread("in_thread")]

    def branch(state: Any) -> Any:
        return {"said": [model_of(server, state["prompt"]).invoke("hi").text]}

    branching = StateGraph(Talk)
    branching.add_node("branch", branch)
    branching.add_conditional_edges(START, lambda _: [Send("branch", {"prompt": name}) for name in ("one", "two")])
    lines = [replies.rate_limit(), replies.text("hello")]
    with ModelServer(scripted(dict.fromkeys(("later", "in_thread", "one", "two"), lines))) as server:
        graphs = {"functional": functional, "branching": branching}
        async with AsyncEngine.open(database, workflows=graphs, coping={"*": Coping(retry=QUICK)}) as engine:
            runs = [await engine.start(name, {"prompt": "hi"}) for name in graphs]
        assert [run.error for run in runs] == [None, None]
        # a node that was run again would ask twice what had been answered
        assert len(server.requests) == 8


async def test_a_blocking_call_on_the_loop_is_refused_with_what_to_do(database: str) -> None:
    async def talk(state: Any) -> Any:
        return {"said": [model_of(server).invoke("hi").text]}

    with ModelServer([], strict=True) as server:
        async with coping_engine(database, one(talk), Coping(retry=QUICK)) as engine:
            run = await engine.start("talk", {"prompt": "hi"})
    assert run.error is not None
    assert run.error["type"] == "ConfigurationError"
    assert "ainvoke" in run.error["message"]


class Blocking(BaseChatModel):
    """A model without async code."""

    @property
    def _llm_type(self) -> str:
        return "blocking"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hello"))])


async def test_blocking_models_need_no_threads_beside_those_of_their_nodes(database: str) -> None:
    def talk(state: Any) -> Any:
        return {"said": [Blocking().invoke("hi").text]}

    async with coping_engine(database, one(talk), Coping(retry=QUICK, model_timeout=20)) as engine:
        # more than the loop has threads for blocking work; were another needed for each call, all would wait for ever
        runs = await asyncio.wait_for(runs_of(engine, [str(each) for each in range(40)]), 30)
    assert [run.state["said"] for run in runs.values()] == [["hello"]] * 40


class Verdict(BaseModel):
    fine: bool


@tool
def look(place: str) -> str:
    """Look at a place."""
    return f"{place} is fine"


async def test_another_model_stands_in_for_one_that_is_down(database: str) -> None:
    async def talk(state: Any) -> Any:
        model = model_of(server, "down")
        if state["prompt"] == "structured":
            found = await model.with_structured_output(Verdict).ainvoke("hi")
            return {"said": [str(found.fine)]}
        found = await model.bind_tools([look], tool_choice="look").ainvoke("hi")
        return {"said": [call["name"] for call in found.tool_calls]}

    def answer(request: Any) -> Any:
        if request.model == "down":
            return replies.server_error()
        if request.model == "down-too":
            return replies.cut(after=0)
        return replies.tool_calls(replies.tool_call("look", {"place": "x"})) if request.tools else Verdict(fine=True)

    with ModelServer(answer) as server:
        coping = Coping(retry=QUICK, fallback=(model_of(server, "down-too"), model_of(server, "up")))
        async with coping_engine(database, one(talk), coping) as engine:
            runs = await runs_of(engine, ["structured", "tools"])
        assert {name: run.state.get("said") for name, run in runs.items()} == {
            "structured": ["True"],
            "tools": ["look"],
        }
        assert (asked(server, "down"), asked(server, "down-too"), asked(server, "up")) == (6, 6, 2)


async def test_a_model_of_another_provider_stands_in_where_it_can_be_asked_the_same(database: str) -> None:
    async def talk(state: Any) -> Any:
        model = model_of(server, "down")
        if state["prompt"] == "structured":
            return {"said": [str((await model.with_structured_output(Verdict).ainvoke("hi")).fine)]}
        return {"said": [(await model.bind_tools([look]).ainvoke("hi")).text]}

    with ModelServer(lambda _: replies.server_error()) as server:
        other = ScriptedChatModel(["from elsewhere"])
        async with coping_engine(database, one(talk), Coping(retry=QUICK, fallback=(other,))) as engine:
            runs = await runs_of(engine, ["structured", "tools"])
    assert runs["tools"].state["said"] == ["from elsewhere"]
    assert runs["structured"].error is not None
    assert "500" in runs["structured"].error["message"]
    assert len(other.calls) == 1  # it was not asked for what it would take for something else
    assert other.calls[0].tools


async def test_a_breaker_opens_half_opens_and_closes(database: str) -> None:
    lines = {"m": [*[replies.server_error()] * 4, replies.text("hello")], "up": "from up"}
    with ModelServer(scripted(lines)) as server:
        graph = asking_by_name(server)
        coping = {
            "talk": Coping(retry=Retry(attempts=1), breaker=Breaker(failures=3, seconds=0.5)),
            "with-help": Coping(
                retry=QUICK, breaker=Breaker(failures=3, seconds=0.5), fallback=(model_of(server, "up"),)
            ),
        }
        async with AsyncEngine.open(database, workflows={"talk": graph, "with-help": graph}, coping=coping) as engine:
            for _ in range(3):
                assert (await engine.start("talk", {"prompt": "m"})).status == "failed"
            refused = await engine.start("talk", {"prompt": "m"})
            assert refused.error is not None
            assert refused.error["type"] == "CircuitOpen"
            assert asked(server, "m") == 3

            async def tried() -> bool:
                await engine.start("talk", {"prompt": "m"})
                return asked(server, "m") == 4

            await eventually(tried)  # one call is let through, fails, and opens it again
            assert (await engine.start("with-help", {"prompt": "m"})).state["said"] == ["from up"]
            assert asked(server, "m") == 4

            async def closed() -> bool:
                return (await engine.start("talk", {"prompt": "m"})).status == "completed"

            await eventually(closed)
            assert (await engine.start("talk", {"prompt": "m"})).status == "completed"


async def test_a_wrong_request_opens_no_breaker(database: str) -> None:
    with ModelServer(lambda _: replies.context_too_long()) as server:
        coping = Coping(breaker=Breaker(failures=1))
        async with coping_engine(database, talking(model_of(server)), coping) as engine:
            for _ in range(3):
                assert (await engine.start("talk", {"prompt": "hi"})).status == "failed"
        assert len(server.requests) == 3


async def test_calls_of_a_model_are_spaced_over_all_engines(database: str, monkeypatch: Any) -> None:
    from adjourn.engine.coping import calls

    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(calls, "sleep", sleep)
    with ModelServer(lambda _: "hello") as server:
        coping = Coping(rate={"gpt-5-mini": Rate(calls=1, seconds=100, burst=2)})
        other = Principal("dana", tenant="other")
        async with (
            coping_engine(database, talking(model_of(server)), coping) as first,
            coping_engine(database, talking(model_of(server)), coping, principal=other) as second,
        ):
            for engine in (first, second, first, second):
                assert (await engine.start("talk", {"prompt": "hi"})).status == "completed"
    assert waits[:2] == [0, 0]
    assert [round(wait, -1) for wait in waits[2:]] == [100, 200]
    waits.clear()
    with ModelServer([replies.rate_limit(retry_after=20), "hello"], strict=True) as server:
        coping = Coping(retry=Retry(attempts=2, wait=0.01), rate=Rate(calls=1, seconds=3, burst=5))
        async with coping_engine(database, talking(model_of(server, "full")), coping) as engine:
            assert (await engine.start("talk", {"prompt": "hi"})).status == "completed"
    # its turn, what the server asked for, and the next turn, which comes no sooner in any process
    assert [round(wait) for wait in waits] == [0, 20, 20]
