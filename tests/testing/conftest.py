"""What the tests of `adjourn.testing` share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from adjourn.testing import ModelServer
from support.wire import WAYS, call_model

if TYPE_CHECKING:  # pytest reads this file before it starts the processes that run tests: nothing heavy here
    from langchain_openai import ChatOpenAI

    from support.wire import Call, MakeModel


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("LANGSMITH_GATEWAY", raising=False)
    # Nothing here speaks TLS, and to load the machine's certificates takes each client longer than its test.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path_factory.getbasetemp()))


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def responses_api(request: pytest.FixtureRequest) -> bool:
    """Both APIs, one after the other."""
    return bool(request.param)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, responses_api: bool) -> MakeModel:
    """Make the real client for a server, led there by the environment alone, as a workflow would be."""

    def make(server: ModelServer, **kwargs: Any) -> ChatOpenAI:
        from langchain_openai import ChatOpenAI

        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        defaults = {"model": "gpt-5-mini", "max_retries": 0, "use_responses_api": responses_api, "stream_usage": True}
        return ChatOpenAI(**{**defaults, **kwargs})

    return make


@pytest.fixture(params=WAYS)
def call(request: pytest.FixtureRequest) -> Call:
    """Call a model: whole and streamed, sync and async."""
    return partial(call_model, request.param)
