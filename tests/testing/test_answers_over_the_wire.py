"""The real OpenAI client gets its answers from the loopback server, in both APIs, whole and streamed."""

from __future__ import annotations

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from adjourn.testing import ModelRequest, ModelServer, openai_chat, openai_responses, replies
from support.wire import Call, MakeModel


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


@tool
def clock(zone: str) -> str:
    """Tell the time in a zone."""
    return f"noon in {zone}"


async def test_a_text_arrives_with_its_usage_figures(connect: MakeModel, call: Call) -> None:
    line = replies.text("The contract, dated 2024, is fine.", usage=replies.Usage(12, 7))
    with ModelServer([line], strict=True) as server:
        message = await call(connect(server), "Is it fine?")

    assert message.text == "The contract, dated 2024, is fine."
    usage = message.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (12, 7, 19)
    assert message.response_metadata["model_name"] == "gpt-5-mini"


async def test_parallel_tool_calls_arrive_with_ids_of_their_own(connect: MakeModel, call: Call) -> None:
    line = replies.tool_calls(
        replies.tool_call("weather", {"city": "Oslo, Norway"}), replies.tool_call("clock", {"zone": "UTC"})
    )
    with ModelServer([line], strict=True) as server:
        message = await call(connect(server).bind_tools([weather, clock]), "Weather and time?")

    assert [(c["name"], c["args"]) for c in message.tool_calls] == [
        ("weather", {"city": "Oslo, Norway"}),
        ("clock", {"zone": "UTC"}),
    ]
    assert len({c["id"] for c in message.tool_calls}) == 2
    assert server.requests[0].tools[0]["name"] == "weather"


async def test_a_text_may_stand_beside_a_tool_call(connect: MakeModel, call: Call) -> None:
    line = replies.tool_calls(replies.tool_call("clock", {"zone": "UTC"}), content="Let me look.")
    with ModelServer([line]) as server:
        message = await call(connect(server).bind_tools([clock]), "Time?")

    assert message.text == "Let me look."
    assert [c["name"] for c in message.tool_calls] == ["clock"]


async def test_a_refusal_arrives_as_a_refusal_and_not_as_text(
    connect: MakeModel, call: Call, responses_api: bool
) -> None:
    with ModelServer([replies.refusal("No, thank you.")]) as server:
        message = await call(connect(server), "Do harm.")

    assert message.text == ""
    if responses_api:
        assert any(block.get("refusal") == "No, thank you." for block in message.content)


async def test_broken_arguments_of_a_tool_call_are_an_invalid_call(connect: MakeModel, responses_api: bool) -> None:
    line = replies.tool_calls(replies.tool_call("weather", '{"city": "Os'))
    with ModelServer([line]) as server:
        message = await connect(server).bind_tools([weather]).ainvoke("Weather?")

    assert message.tool_calls == []
    assert [c["args"] for c in message.invalid_tool_calls] == ['{"city": "Os']


def test_an_answer_at_the_output_limit_says_so(connect: MakeModel, responses_api: bool) -> None:
    with ModelServer([replies.text("It is", truncated=True)]) as server:
        metadata = connect(server).invoke("Is it fine?").response_metadata

    if responses_api:
        assert (metadata["status"], metadata["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    else:
        assert metadata["finish_reason"] == "length"


def test_a_conversation_with_tools_is_read_back_alike_in_both_apis(connect: MakeModel) -> None:
    lines = [replies.tool_calls(replies.tool_call("weather", {"city": "Oslo"}, call_id="call_7")), "Rain."]
    with ModelServer(lines, strict=True) as server:
        model = connect(server).bind_tools([weather])
        asked = [("system", "Be brief."), HumanMessage("Weather in Oslo?")]
        called = model.invoke(asked)
        result = weather.invoke(called.tool_calls[0])
        assert model.invoke([*asked, called, result]).text == "Rain."

    last = server.requests[-1]
    assert last.last_text == "Weather in Oslo?"
    assert last.tool_results == ["rain in Oslo"]
    assert [role for role, _ in last.messages if role != "assistant"] == ["system", "user", "tool"]


def test_ids_never_repeat_across_servers(connect: MakeModel) -> None:
    seen = set()
    for _ in range(2):  # two processes of one thread each start a server; LangGraph merges messages by id
        with ModelServer(["one", replies.tool_calls(replies.tool_call("clock", {"zone": "UTC"}))]) as server:
            model = connect(server)
            seen |= {model.invoke("?").id, model.invoke("?").tool_calls[0]["id"]}
    assert len(seen) == 4


def test_results_of_tools_are_told_from_what_the_user_said(connect: MakeModel) -> None:
    with ModelServer(["ok"]) as server:
        call = {"name": "clock", "args": {}, "id": "c1"}
        connect(server).invoke(
            [("user", "Time?"), AIMessage("", tool_calls=[call]), ToolMessage("noon", tool_call_id="c1")]
        )
    assert (server.requests[0].last_text, server.requests[0].tool_results) == ("Time?", ["noon"])


def test_a_stream_reports_usage_only_to_whom_asks(connect: MakeModel, responses_api: bool) -> None:
    with ModelServer(["yes"]) as server:
        chunks = list(connect(server, stream_usage=False).stream("Is it fine?"))
    reported = [chunk for chunk in chunks if chunk.usage_metadata]
    assert bool(reported) is responses_api  # the Responses API always does, chat completions on request


def test_the_openai_package_alone_is_served_as_well() -> None:
    models = ("gpt-5-mini", "local")
    with ModelServer(["Fine."], models=models) as server, openai.OpenAI(base_url=server.url, api_key="x") as client:
        assert tuple(model.id for model in client.models.list()) == models
        done = client.responses.create(model="local", input="Is it fine?")
    assert done.output_text == "Fine."
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens) == (3, 1)


LINES = {
    "truncated text": replies.text("Yes, it is.", truncated=True),
    "refusal": replies.refusal(),
    "parallel calls": replies.tool_calls(
        replies.tool_call("clock", {"zone": "UTC"}), replies.tool_call("clock"), content="so"
    ),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_every_shape_passes_the_openai_packages_own_types(line: replies.Reply) -> None:
    """The package builds its types without checking them; here they are checked."""
    answer = line.outcome
    assert isinstance(answer, replies.Answer)
    chat = ModelRequest("chat", {"model": "m", "messages": [], "stream_options": {"include_usage": True}}, {})
    other = ModelRequest("responses", {"model": "m", "input": "hello"}, {})

    ChatCompletion.model_validate(openai_chat.completion(answer, chat, ident="1", created=1))
    for chunk in openai_chat.chunks(answer, chat, ident="1", created=1):
        ChatCompletionChunk.model_validate(chunk)
    Response.model_validate(openai_responses.response(answer, other, ident="1", created=1))
    any_event: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    numbered = [any_event.validate_python(e) for e in openai_responses.events(answer, other, ident="1", created=1)]
    assert [event.sequence_number for event in numbered] == list(range(len(numbered)))
