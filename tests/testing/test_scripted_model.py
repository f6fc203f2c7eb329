"""The chat model that plays a script without HTTP behaves as a real one does for whoever calls it."""

from __future__ import annotations

import asyncio
from typing import TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, ValidationError

from adjourn.testing import ModelCall, ScriptedChatModel, ScriptExhausted, replies
from support.wire import Call


class Verdict(BaseModel):
    """The verdict on a document."""

    summary: str
    risk: int


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


GOOD = {"summary": "Fine", "risk": 2}
CALLS = replies.tool_calls(
    replies.tool_call("weather", {"city": "Oslo, Norway"}),
    replies.tool_call("weather", {"city": "Rome"}),
    content="So:",
)


async def test_a_text_is_said_with_usage_in_every_way_of_calling(call: Call) -> None:
    message = await call(ScriptedChatModel(["It is fine, I think."]), "Is it fine?")
    assert message.text == "It is fine, I think."
    assert message.usage_metadata == {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    assert message.response_metadata["finish_reason"] == "stop"


async def test_parallel_tool_calls_are_said_in_every_way_of_calling(call: Call) -> None:
    message = await call(ScriptedChatModel([CALLS]).bind_tools([weather]), "Weather?")
    assert message.text == "So:"
    assert [c["args"] for c in message.tool_calls] == [{"city": "Oslo, Norway"}, {"city": "Rome"}]
    assert len({c["id"] for c in message.tool_calls}) == 2


def test_the_last_chunk_of_a_stream_is_marked_and_carries_the_usage() -> None:
    *_, last = ScriptedChatModel(["one two"]).stream("?")
    assert (last.chunk_position, last.usage_metadata is not None) == ("last", True)


async def test_a_message_of_the_script_is_played_whole_and_left_unchanged(call: Call) -> None:
    line = AIMessage("Look:", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "c1"}], id="m1")
    before = line.model_copy(deep=True)
    model = ScriptedChatModel([line, line])
    for _ in range(2):
        message = await call(model, "Weather?")
        assert (message.id, message.text, message.tool_calls[0]["id"]) == ("m1", "Look:", "c1")
    assert line == before


async def test_an_exception_of_the_script_is_raised(call: Call) -> None:
    model = ScriptedChatModel([ConnectionError("the model is gone"), "Back again, as good as new."])
    with pytest.raises(ConnectionError, match="gone"):
        await call(model, "?")
    assert (await call(model, "?")).text == "Back again, as good as new."


async def test_broken_tool_arguments_are_an_invalid_call() -> None:
    line = replies.tool_calls(replies.tool_call("weather", '{"city": "Os'))
    message = await ScriptedChatModel([line]).bind_tools([weather]).ainvoke("?")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == '{"city": "Os'


@pytest.mark.parametrize("line", [GOOD, Verdict(summary="Fine", risk=2)], ids=["dict", "model"])
async def test_structured_output_comes_as_the_schema_wants_it(line: dict[str, object] | Verdict) -> None:
    model = ScriptedChatModel([line] * 3)
    assert model.with_structured_output(Verdict).invoke("?") == Verdict(**GOOD)
    assert await model.with_structured_output(Verdict.model_json_schema()).ainvoke("?") == GOOD
    assert model.invoke("?").text.replace(" ", "") == '{"summary":"Fine","risk":2}'
    assert [c.forced_tool for c in model.calls] == ["Verdict", "Verdict", None]


def test_an_object_that_violates_the_schema_is_a_validation_error() -> None:
    with pytest.raises(ValidationError, match="risk"):
        ScriptedChatModel([{"summary": "Fine", "risk": "high"}]).with_structured_output(Verdict).invoke("?")


def test_malformed_json_gives_none_as_langchain_does_it() -> None:
    outcome = (
        ScriptedChatModel([replies.malformed_json()]).with_structured_output(Verdict, include_raw=True).invoke("?")
    )
    assert outcome["parsed"] is None
    assert outcome["raw"].invalid_tool_calls


def test_a_function_answers_by_what_is_asked() -> None:
    def script(asked: ModelCall) -> str:
        return f"{asked.last_text}, {len(asked.messages)} messages, tools: {', '.join(asked.tools)}"

    model = ScriptedChatModel(script).bind_tools([weather])
    assert model.invoke([("system", "Be brief."), ("user", "Hello")]).text == "Hello, 2 messages, tools: weather"


async def test_many_tasks_share_one_script_and_get_one_line_each() -> None:
    lines = [f"line {number}" for number in range(32)]
    model = ScriptedChatModel(lines)
    answers = await asyncio.gather(*(model.ainvoke("?") for _ in lines))
    assert sorted(answer.text for answer in answers) == sorted(lines)
    model.assert_used_up()


def test_a_script_that_runs_out_says_so() -> None:
    model = ScriptedChatModel(["one"])
    model.invoke("?")
    with pytest.raises(ScriptExhausted, match="ScriptedChatModel holds 1 line and was asked for line 2"):
        model.invoke("?")


def test_lines_that_were_not_used_can_be_found() -> None:
    model = ScriptedChatModel(["one", "two"])
    model.invoke("?")
    with pytest.raises(ScriptExhausted, match="holds 2 lines and was asked for 1"):
        model.assert_used_up()


@pytest.mark.parametrize("line", [replies.rate_limit(), replies.silence(), replies.cut(), replies.slow("x", seconds=1)])
def test_what_needs_http_is_refused_with_a_hint(line: replies.Reply) -> None:
    with pytest.raises(TypeError, match="ModelServer"):
        ScriptedChatModel([line]).invoke("?")


def test_it_drives_a_langchain_agent() -> None:
    model = ScriptedChatModel([CALLS, "Rain in both."])
    agent = create_agent(model, [weather])
    messages = agent.invoke({"messages": [HumanMessage("Weather in Oslo and Rome?")]})["messages"]
    assert [message.text for message in messages[2:]] == ["rain in Oslo, Norway", "rain in Rome", "Rain in both."]
    model.assert_used_up()


async def test_its_tokens_show_once_each_in_the_stream_of_a_graph() -> None:
    class State(TypedDict):
        answer: str

    model = ScriptedChatModel(["one two three"])

    async def ask(state: State) -> State:
        return {"answer": (await model.ainvoke("?")).text}

    graph = StateGraph(State).add_node(ask).add_edge(START, "ask").add_edge("ask", END).compile()
    chunks = [chunk async for chunk, _ in graph.astream({"answer": ""}, stream_mode="messages")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["one ", "two ", "three"]
