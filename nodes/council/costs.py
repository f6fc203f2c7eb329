"""What agents cost: calls of models and tokens, whoever makes them, counted through LangChain's callbacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from ...state.council import Usage

__all__ = ["Meter", "metering"]


class Meter(BaseCallbackHandler):
    """Counts the model calls that are made while it is in force; safe in several threads."""

    run_inline = True  # in the caller's thread: a count that comes later would be lost

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = self._read = self._written = 0

    def usage(self) -> Usage:
        """Return what was counted so far."""
        with self._lock:
            return {"model_calls": self._calls, "input_tokens": self._read, "output_tokens": self._written}

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Count a call; one that fails costs, too."""
        with self._lock:
            self._calls += 1

    def on_llm_start(self, *_: Any, **__: Any) -> None:
        """Count a call of a model that is no chat model."""
        self.on_chat_model_start()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Count the tokens that the model reports."""
        for generations in response.generations:
            for generation in generations:
                message = generation.message if isinstance(generation, ChatGeneration) else None
                if isinstance(message, AIMessage) and message.usage_metadata:
                    with self._lock:
                        self._read += message.usage_metadata["input_tokens"]
                        self._written += message.usage_metadata["output_tokens"]


_meter: ContextVar[Meter | None] = ContextVar("adjourn_meter", default=None)
register_configure_hook(_meter, inheritable=True)


@contextmanager
def metering(meter: Meter) -> Iterator[None]:
    """Count every model call that is made inside, in tasks and threads that begin there, too."""
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)
