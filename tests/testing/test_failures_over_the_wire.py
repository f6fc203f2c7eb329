"""What goes wrong on the way to a model surfaces as the typed errors of the openai package, in both APIs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import openai
import pytest

from adjourn.testing import ModelServer, replies
from support.wire import Call, MakeModel

FAILURES = {
    "429": (replies.rate_limit, openai.RateLimitError),
    "500": (replies.server_error, openai.InternalServerError),
    "503": (lambda: replies.server_error(503), openai.InternalServerError),
    "401": (replies.unauthorized, openai.AuthenticationError),
    "404": (lambda: replies.failure(404, "No such model.", code="model_not_found"), openai.NotFoundError),
    "context": (replies.context_too_long, openai.BadRequestError),
    "cut before a byte": (lambda: replies.cut(after=0), openai.APIConnectionError),
    "cut in the body": (replies.cut, openai.APIConnectionError),
    "cut at the very end": (lambda: replies.cut(after=0.99), openai.APIConnectionError),
}


@pytest.mark.parametrize(("make", "error"), FAILURES.values(), ids=FAILURES)
async def test_each_failure_has_its_typed_error(
    connect: MakeModel, call: Call, make: Callable[[], replies.Reply], error: type[Exception]
) -> None:
    with ModelServer([make()], strict=True) as server, pytest.raises(error):
        await call(connect(server), "Is it fine?")


def test_an_error_carries_openais_code_and_the_request_id(connect: MakeModel) -> None:
    with ModelServer([replies.rate_limit(retry_after=7)]) as server, pytest.raises(openai.RateLimitError) as caught:
        connect(server).invoke("?")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"
    assert str(caught.value.request_id).startswith("req_")


def test_a_context_that_is_too_long_is_known_by_its_code(connect: MakeModel) -> None:
    """Not by LangChain's ContextOverflowError: it looks for the code in the text, where openai 3 no longer puts it."""
    with ModelServer([replies.context_too_long()]) as server, pytest.raises(openai.BadRequestError) as caught:
        connect(server).invoke("?")
    assert caught.value.code == "context_length_exceeded"


async def test_a_rate_limited_call_is_tried_again(connect: MakeModel, call: Call) -> None:
    with ModelServer([replies.rate_limit(retry_after=0.02), "Now it works."], strict=True) as server:
        message = await call(connect(server, max_retries=1), "?")
    assert message.text == "Now it works."


def test_the_wait_is_the_one_that_the_header_names(connect: MakeModel) -> None:
    arrivals: list[float] = []
    lines = iter([replies.rate_limit(retry_after=0.6), replies.text("Now it works.")])

    def script(request: object) -> replies.Reply:
        arrivals.append(time.monotonic())
        return next(lines)

    with ModelServer(script) as server:
        connect(server, max_retries=1).invoke("?")
    # The client's own first wait is at most 0.5 s, so a longer one is the header's.
    assert arrivals[1] - arrivals[0] >= 0.6


def test_retries_end_and_the_last_error_surfaces(connect: MakeModel) -> None:
    lines = [replies.rate_limit(retry_after=0.01)] * 3
    with ModelServer(lines, strict=True) as server, pytest.raises(openai.RateLimitError):
        connect(server, max_retries=2).invoke("?")
    assert len(server.requests) == 3


def test_a_wrong_key_is_not_tried_again(connect: MakeModel) -> None:
    with ModelServer([replies.unauthorized()], strict=True) as server, pytest.raises(openai.AuthenticationError):
        connect(server, max_retries=5).invoke("?")


async def test_silence_ends_in_the_clients_time_out(connect: MakeModel, call: Call) -> None:
    with ModelServer([replies.silence()]) as server, pytest.raises(openai.APITimeoutError):
        await call(connect(server, timeout=0.15), "?")


def test_a_silent_server_can_be_closed_under_a_waiting_client(connect: MakeModel) -> None:
    with ModelServer([replies.silence()]) as server:
        model = connect(server)
        errors: list[BaseException] = []
        caller = threading.Thread(target=lambda: errors.append(_error_of(lambda: model.invoke("?"))))
        caller.start()
        server.wait_for_requests(1)
        server.close()
        caller.join(timeout=5)
    assert [type(error).__name__ for error in errors] == ["OpenAIConnectionError"]


def test_a_slow_answer_waits_for_its_event(connect: MakeModel) -> None:
    go = threading.Event()
    with ModelServer([replies.slow("At last.", until=go)]) as server:
        model = connect(server)
        texts: list[str] = []
        caller = threading.Thread(target=lambda: texts.append(model.invoke("?").text))
        caller.start()
        server.wait_for_requests(1)
        assert texts == []
        go.set()
        caller.join(timeout=5)
    assert texts == ["At last."]


def test_a_slow_answer_waits_so_many_seconds(connect: MakeModel) -> None:
    with ModelServer([replies.slow("At last.", seconds=0.2)]) as server:
        before = time.monotonic()
        assert connect(server).invoke("?").text == "At last."
    assert time.monotonic() - before >= 0.2


async def test_a_cut_stream_gives_what_came_before_the_cut(connect: MakeModel) -> None:
    words = " ".join(f"word{number}" for number in range(200))
    got = ""
    with ModelServer([replies.cut(words, after=0.5)]) as server:
        stream = connect(server).astream("?")
        with pytest.raises(openai.APIConnectionError):  # noqa: PT012  the loop is the statement
            async for chunk in stream:
                got += chunk.text
    assert got.startswith("word0 word1 ")
    assert words.startswith(got)
    assert len(got) < len(words)


def test_what_fails_once_works_the_next_time(connect: MakeModel) -> None:
    with ModelServer([replies.server_error(), replies.cut(after=0), "Back again."], strict=True) as server:
        model = connect(server)
        with pytest.raises(openai.InternalServerError):
            model.invoke("?")
        with pytest.raises(openai.APIConnectionError):
            model.invoke("?")
        assert model.invoke("?").text == "Back again."


def _error_of(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  the caller says which
        call()
    return caught.value
