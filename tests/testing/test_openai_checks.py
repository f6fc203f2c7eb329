"""The loopback server refuses what OpenAI refuses, so that such mistakes show in tests and not in production."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel

from adjourn.testing import ModelRequest, ModelServer, openai_checks
from support.wire import MakeModel


class Open(BaseModel):
    """An object with keys that the schema does not name."""

    scores: dict[str, float]


CALL = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "call_1"}, {"name": "f", "args": {}, "id": "call_2"}])


@pytest.mark.parametrize(
    "conversation",
    [
        [HumanMessage("go"), CALL, ToolMessage("done", tool_call_id="call_1")],
        [HumanMessage("go"), CALL, HumanMessage("and?")],
        [HumanMessage("go"), ToolMessage("done", tool_call_id="call_1")],
    ],
    ids=["one result is missing", "no result", "a result without a call"],
)
def test_a_tool_call_without_its_result_is_refused(connect: MakeModel, conversation: list[Any]) -> None:
    with ModelServer(["unused"]) as server, pytest.raises(openai.BadRequestError, match="call_"):
        connect(server).invoke(conversation)


def test_an_open_object_is_refused_in_strict_mode(connect: MakeModel) -> None:
    """`dict[str, float]` in a Pydantic model is fine for Python, and an HTTP 400 at OpenAI."""
    with ModelServer([{"scores": {}}]) as server:
        model = connect(server).with_structured_output(Open, method="json_schema", strict=True)
        # LangChain warns beside the error, which names its other method.
        warned = pytest.warns(UserWarning, match="function_calling")
        with warned, pytest.raises(openai.BadRequestError, match=r"root\.scores, 'additionalProperties'"):
            model.invoke("?")


def test_an_open_object_is_taken_by_function_calling_without_strict(connect: MakeModel) -> None:
    with ModelServer([{"scores": {"risk": 0.5}}]) as server:
        model = connect(server).with_structured_output(Open, method="function_calling")
        assert model.invoke("?") == Open(scores={"risk": 0.5})


def test_json_mode_needs_the_word_json_in_the_prompt(connect: MakeModel) -> None:
    with ModelServer(["{}"]) as server, pytest.raises(openai.BadRequestError, match="word 'json'"):
        connect(server).with_structured_output(Open, method="json_mode").invoke("Give me scores.")


def test_a_refused_request_is_recorded_and_uses_up_no_reply(connect: MakeModel) -> None:
    with ModelServer(["fine"], strict=True) as server:
        model = connect(server)
        with pytest.raises(openai.BadRequestError):
            model.invoke([])
        assert model.invoke("?").text == "fine"
    assert len(server.requests) == 2


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "faults"),
    [
        (CLOSED, 0),
        ({**CLOSED, "required": []}, 1),
        ({**CLOSED, "additionalProperties": True}, 1),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}, 1),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "object"}]}}}, 1),
        ({**CLOSED, "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": {"type": "object"}}}, 1),
        ({**CLOSED, "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": CLOSED}}, 0),
    ],
)
def test_strict_mode_wants_closed_objects_with_all_keys_required(schema: dict[str, Any], faults: int) -> None:
    assert len(list(openai_checks.strict_faults(schema))) == faults


@pytest.mark.parametrize("body", [{}, {"model": "m"}, {"model": "m", "messages": "x", "n": 3}])
def test_an_incomplete_request_is_refused(body: dict[str, Any]) -> None:
    fault = openai_checks.find_fault(ModelRequest("chat", body, {}))
    assert fault is not None
    assert fault.status == 400
