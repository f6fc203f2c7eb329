"""Structured output through the real client, with each of LangChain's methods, in both APIs."""

from __future__ import annotations

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_openai.chat_models.base import OpenAIRefusalError
from openai import LengthFinishReasonError
from pydantic import BaseModel, ValidationError

from adjourn.testing import ModelServer, replies
from support.wire import MakeModel


class Verdict(BaseModel):
    """The verdict on a document."""

    summary: str
    risk: int


PROMPT = "Judge the contract and answer as JSON."
GOOD = {"summary": "Fine, as far as I can see", "risk": 2}
METHODS = ("json_schema", "function_calling", "json_mode")
Method = pytest.mark.parametrize("method", METHODS)


@Method
# langchain-openai 1.7.3 dumps the parsed object of a streamed chat completion under a type that says None.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
async def test_an_object_arrives_wherever_the_method_wants_it(connect: MakeModel, method: str, streaming: bool) -> None:
    with ModelServer([GOOD, Verdict(**GOOD)], strict=True) as server:
        model = connect(server, streaming=streaming).with_structured_output(Verdict, method=method)
        assert model.invoke(PROMPT) == Verdict(**GOOD)
        assert await model.ainvoke(PROMPT) == Verdict(**GOOD)
    wanted = None if method == "json_mode" else "Verdict"
    assert {request.schema_name for request in server.requests} == {wanted}


@Method
def test_a_plain_json_schema_gives_a_dict(connect: MakeModel, method: str) -> None:
    schema = {**Verdict.model_json_schema(), "additionalProperties": False}
    with ModelServer([GOOD]) as server:
        assert connect(server).with_structured_output(schema, method=method).invoke(PROMPT) == GOOD


@Method
def test_usage_is_reported_beside_the_object(connect: MakeModel, method: str) -> None:
    with ModelServer([replies.structured(GOOD, usage=replies.Usage(40, 9))]) as server:
        model = connect(server).with_structured_output(Verdict, method=method, include_raw=True)
        outcome = model.invoke(PROMPT)
    assert outcome["parsed"] == Verdict(**GOOD)
    assert outcome["raw"].usage_metadata["total_tokens"] == 49


@Method
def test_an_object_that_violates_the_schema_is_an_error_that_names_the_field(connect: MakeModel, method: str) -> None:
    with ModelServer([{"summary": "Fine", "risk": "high"}]) as server:
        model = connect(server).with_structured_output(Verdict, method=method)
        with pytest.raises((ValidationError, OutputParserException), match="risk"):
            model.invoke(PROMPT)


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_malformed_json_in_the_content_is_a_parse_error(connect: MakeModel, method: str) -> None:
    with ModelServer([replies.malformed_json()]) as server:
        model = connect(server).with_structured_output(Verdict, method=method)
        with pytest.raises((ValidationError, OutputParserException), match=r"(?i)json"):
            model.invoke(PROMPT)


def test_malformed_json_in_a_forced_call_is_an_invalid_call(connect: MakeModel) -> None:
    """LangChain then gives None without an error, which callers have to expect."""
    with ModelServer([replies.malformed_json('{"summary": "Fi')]) as server:
        model = connect(server).with_structured_output(Verdict, method="function_calling", include_raw=True)
        outcome = model.invoke(PROMPT)
    assert outcome["parsed"] is None
    assert outcome["raw"].invalid_tool_calls[0]["args"] == '{"summary": "Fi'


def test_json_that_ends_early_is_mended_by_langchain_in_json_mode(connect: MakeModel) -> None:
    """Worth knowing for schemas whose last fields are optional: half an object passes for a whole one."""

    class Note(BaseModel):
        """A note."""

        summary: str

    with ModelServer([replies.malformed_json('{"summary": "this never en')]) as server:
        note = connect(server).with_structured_output(Note, method="json_mode").invoke(PROMPT)
    assert note == Note(summary="this never en")


def test_a_refusal_is_a_typed_error(connect: MakeModel) -> None:
    with ModelServer([replies.refusal("No.")]) as server:
        model = connect(server).with_structured_output(Verdict, method="json_schema")
        with pytest.raises(OpenAIRefusalError, match=r"No\."):
            model.invoke(PROMPT)


def test_an_object_cut_off_at_the_output_limit_is_an_error(connect: MakeModel, responses_api: bool) -> None:
    with ModelServer([replies.text('{"summary": "Fi', truncated=True)]) as server:
        model = connect(server).with_structured_output(Verdict, method="json_schema")
        with pytest.raises(ValidationError if responses_api else LengthFinishReasonError):
            model.invoke(PROMPT)


def test_a_script_may_answer_by_the_object_that_is_asked_for(connect: MakeModel) -> None:
    class Translation(BaseModel):
        """The same in French."""

        french: str

    by_name = {"Verdict": GOOD, "Translation": {"french": "Bon"}}
    with ModelServer(lambda request: by_name[request.schema_name or ""]) as server:
        model = connect(server)
        assert model.with_structured_output(Translation).invoke("hi") == Translation(french="Bon")
        assert model.with_structured_output(Verdict, method="function_calling").invoke("hi") == Verdict(**GOOD)
