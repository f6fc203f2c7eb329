"""The loopback server itself: what it records, what it says when the script ends, how it closes."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from adjourn.testing import ModelRequest, ModelServer, ScriptExhausted, replies
from support.wire import MakeModel

# No proxy of the machine, and no certificates to load: nothing here speaks TLS.
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def post(server: ModelServer, body: object = BODY, path: str = "/chat/completions") -> httpx.Response:
    return httpx.post(server.url + path, json=body, headers={"Authorization": "Bearer sk-secret"}, **PLAIN)


def test_it_listens_on_the_loopback_address_only() -> None:
    with ModelServer([]) as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_a_request_is_recorded_with_its_key_masked() -> None:
    with ModelServer(["hi"]) as server:
        post(server)
    (request,) = server.requests
    assert (request.api, request.model, request.last_text) == ("chat", "m", "hello")
    assert request.headers["authorization"] == "***"
    assert "sk-secret" not in repr(request)


def test_a_script_that_runs_out_says_so_and_is_not_tried_again(connect: MakeModel) -> None:
    with ModelServer(["one"]) as server:
        model = connect(server, max_retries=3)
        model.invoke("?")
        with pytest.raises(openai.InternalServerError, match="holds 1 line and was asked for line 2"):
            model.invoke("?")
    assert len(server.requests) == 2


@pytest.mark.parametrize(("lines", "calls"), [(["one"], 2), (["one", "two"], 1)], ids=["too few", "left over"])
def test_a_strict_server_raises_at_exit_when_the_script_does_not_fit(lines: list[str], calls: int) -> None:
    server = ModelServer(lines, strict=True)
    with pytest.raises(ScriptExhausted, match=f"was asked for {calls}"), server:
        _ = [post(server) for _ in range(calls)]


def test_another_error_is_not_hidden_by_the_scripts(connect: MakeModel) -> None:
    with pytest.raises(KeyError) as caught, ModelServer(["unused"], strict=True):
        raise KeyError("the real reason")
    assert "was asked for 0" in caught.value.__notes__[0]


def test_an_assertion_in_a_script_function_fails_the_test() -> None:
    def script(request: ModelRequest) -> str:
        assert request.last_text == "goodbye", "wrong prompt"
        return "ok"

    with pytest.raises(AssertionError, match="wrong prompt"), ModelServer(script) as server:
        assert "wrong prompt" in post(server).json()["error"]["message"]


def test_a_line_that_is_no_reply_is_named_at_exit() -> None:
    with pytest.raises(TypeError, match="not int"), ModelServer([42]) as server:  # type: ignore[list-item]
        assert post(server).status_code == 500


async def test_a_function_answers_many_callers_at_once_by_content(connect: MakeModel) -> None:
    together = threading.Barrier(16)

    def script(request: ModelRequest) -> str:
        together.wait(timeout=20)  # nobody is answered before all have asked
        return f"echo {request.last_text}"

    with ModelServer(script) as server:
        model = connect(server)
        answers = await asyncio.gather(*(model.ainvoke(f"n{number}") for number in range(16)))
    assert [answer.text for answer in answers] == [f"echo n{number}" for number in range(16)]


def test_each_line_of_a_list_goes_to_exactly_one_of_many_threads() -> None:
    lines = [f"line {number}" for number in range(24)]
    with ModelServer(lines, strict=True) as server, ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: post(server).json(), lines))
    assert sorted(body["choices"][0]["message"]["content"] for body in bodies) == sorted(lines)


def test_closing_leaves_no_thread_behind_even_with_unanswered_calls() -> None:
    before = set(threading.enumerate())
    never = threading.Event()
    lines = [replies.silence(), replies.slow("no", until=never), replies.slow("no", seconds=60)]
    with ModelServer(lines) as server, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(post, server) for _ in range(3)]
        server.wait_for_requests(3)
        server.close()
        assert [type(call.exception(timeout=5)) for call in calls] == [httpx.RemoteProtocolError] * 3
    assert set(threading.enumerate()) == before


def test_closing_does_not_wait_for_a_caller_that_never_finishes_its_request() -> None:
    with (
        ModelServer(["hi"]) as server,
        socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0)) as caller,
    ):
        caller.sendall(b"POST /v1/responses HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        post(server)  # connections are accepted in order, so the first one has been
        server.close()
        assert caller.recv(1) == b""


def test_a_cut_before_the_first_byte_sends_nothing_at_all() -> None:
    with ModelServer([replies.cut(after=0)]) as server, pytest.raises(httpx.RemoteProtocolError) as caught:
        post(server)
    assert "without sending a response" in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1])
def test_a_cut_takes_a_share_below_one(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 up to"):
        replies.cut(after=share)


def test_waiting_for_calls_that_do_not_come_ends() -> None:
    with ModelServer([]) as server, pytest.raises(TimeoutError, match="0 of 1"):
        server.wait_for_requests(1, timeout=0.01)


def test_outside_of_its_block_it_has_no_url() -> None:
    with pytest.raises(RuntimeError, match="with ModelServer"):
        _ = ModelServer([]).url


def test_a_server_runs_once() -> None:
    with ModelServer([]) as server:
        pass
    with pytest.raises(RuntimeError, match="make a new one"), server:
        pass


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/chat/completions", b"{no", 400),
        ("/chat/completions", b"[]", 400),
        ("/embeddings", b"{}", 400),
        ("/embeddings", b'{"input": [1, 2]}', 400),
        ("/images", b"{}", 404),
    ],
)
def test_what_it_does_not_serve_is_refused_in_openais_form(path: str, content: bytes, status: int) -> None:
    with ModelServer(["unused"]) as server:
        response = httpx.post(server.url + path, content=content, **PLAIN)
        assert httpx.get(f"{server.url}/files", **PLAIN).status_code == 404
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert server.requests == []


def test_texts_with_words_in_common_are_near_each_other() -> None:
    texts = ["the disk is full", "a full disk, again", "checkout slow"]
    with ModelServer([]) as server:
        answer = post(server, {"model": "m", "input": texts}, "/embeddings").json()
        packed = post(server, {"model": "m", "input": texts[0], "encoding_format": "base64"}, "/embeddings").json()
    assert (answer["model"], answer["usage"]["prompt_tokens"]) == ("m", 10)
    first, like, other = (each["embedding"] for each in answer["data"])
    near, far = (sum(a * b for a, b in zip(first, each, strict=True)) for each in (like, other))
    assert near > 0.4 > 0.3 > far
    unpacked = struct.unpack("<64f", base64.b64decode(packed["data"][0]["embedding"]))
    assert unpacked == pytest.approx(first, abs=1e-6)
    assert server.embedded == [*texts, texts[0]]
    assert server.requests == []


def test_a_function_that_makes_vectors_may_fail() -> None:
    def broken(text: str) -> list[float]:
        raise AssertionError("not this text")

    with pytest.raises(AssertionError, match="not this text"), ModelServer([], embed=broken) as server:
        assert post(server, {"model": "m", "input": "x"}, "/embeddings").status_code == 500


def test_its_environment_leads_a_child_process_here() -> None:
    ask = "init_chat_model('openai:gpt-5-mini').invoke('hi').text"
    code = f"from langchain.chat_models import init_chat_model; print({ask})"
    with ModelServer(["from the other process"]) as server:
        # A shell may name other servers; those of the test win.
        misled = {**os.environ, "OPENAI_API_BASE": "http://127.0.0.1:9/v1", "LANGSMITH_GATEWAY": "true"}
        child = subprocess.run(
            [sys.executable, "-c", code],
            env={**misled, **server.environment()},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert child.stdout == "from the other process\n"
