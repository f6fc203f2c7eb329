"""Calls of models: every call that LangChain's chat models make inside a node goes through here.

All chat models of LangChain are called through four methods of one class, whoever made them and wherever: nodes of
adjourn, agents of `create_agent`, and nodes of users. These methods are wrapped once in a process, when an engine has
rules for a workflow. Outside of a drive with rules they do what they did.

Not seen are calls that go past LangChain (a provider's own client), models whose class replaces these methods, and the
beta `stream_events(version="v3")` of LangChain, which has a way of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import wraps
from typing import Any, Final, cast

from langchain_core.language_models import BaseChatModel

from .asking import ask, ask_streaming
from .bridge import from_thread
from .place import Place, in_place, inside_model, place_here, refuse_blocking

__all__ = ["guard_models"]

# What the methods take beside the parameters of the model itself.
_OF_THE_CALL: Final = ("callbacks", "tags", "metadata", "run_name", "run_id")
_installed: list[bool] = []


def guard_models() -> None:
    """Wrap the methods of LangChain's chat models; a second time does nothing."""
    if _installed:
        return
    _installed.append(True)
    chat: Any = BaseChatModel
    chat.agenerate = _agenerate(BaseChatModel.agenerate)
    chat.generate = _generate(BaseChatModel.generate)
    chat.astream = _astream(BaseChatModel.astream)
    chat.stream = _stream(BaseChatModel.stream)


def _here() -> Place | None:
    place = place_here()
    return None if place is None or place.in_model else place


def _agenerate(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def agenerate(
        self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        place = _here()
        if place is None:
            return await original(self, messages, stop, callbacks, **kwargs)
        of_call, parameters = _split({**kwargs, "callbacks": callbacks})

        async def attempt(model: BaseChatModel, own: dict[str, Any], number: int) -> Any:
            with in_place(inside_model(place)):
                return await model.agenerate(messages, stop, **_for_try(of_call, number), **own)

        return await ask(place, self, messages, stop, parameters, attempt)

    return agenerate


def _generate(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def generate(self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any) -> Any:
        place = _here()
        if place is None:
            return original(self, messages, stop, callbacks, **kwargs)
        refuse_blocking(place, "a model")
        of_call, parameters = _split({**kwargs, "callbacks": callbacks})

        def work(model: BaseChatModel, own: dict[str, Any], number: int) -> Any:
            with in_place(inside_model(place)):
                return model.generate(messages, stop, **_for_try(of_call, number), **own)

        async def on_loop(model: BaseChatModel, own: dict[str, Any], number: int) -> Any:
            with in_place(inside_model(place)):
                return await model.agenerate(messages, stop, **_for_try(of_call, number), **own)

        def guarded(perform: Callable[..., Any]) -> Any:
            async def attempt(model: BaseChatModel, own: dict[str, Any], number: int) -> Any:
                # async code can be stopped when its time is over; other code stays in the node's own thread
                return await (on_loop if _is_async(model) else perform)(model, own, number)

            return ask(place, self, messages, stop, parameters, attempt)

        return from_thread(place.drive, guarded, work)

    return generate


def _astream(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def astream(
        self: BaseChatModel,
        input: Any,  # noqa: A002
        config: Any = None,
        *,
        stop: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        place = _here()
        if place is None:
            async for chunk in original(self, input, config, stop=stop, **kwargs):
                yield chunk
            return

        def begin(model: BaseChatModel, own: dict[str, Any]) -> AsyncIterator[Any]:
            return _inside(place, model.astream(input, config, stop=stop, **own))

        # an answer that nobody hears to its end is counted as far as it came
        async with aclosing(ask_streaming(place, self, input, kwargs, begin)) as chunks:
            async for chunk in chunks:
                yield chunk

    return astream


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def stream(
        self: BaseChatModel,
        input: Any,  # noqa: A002
        config: Any = None,
        *,
        stop: Any = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        place = _here()
        if place is None:
            yield from original(self, input, config, stop=stop, **kwargs)
            return
        refuse_blocking(place, "a model")
        chunks = cast("AsyncGenerator[Any, None]", self.astream(input, config, stop=stop, **kwargs))
        drive = place.drive

        async def following() -> Any:
            with in_place(place):
                return await anext(chunks, None)

        try:
            while (chunk := drive.wait_for(following()).result()) is not None:
                yield chunk
        finally:
            drive.wait_for(chunks.aclose()).result()

    return stream


async def _inside(place: Place, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    while True:
        with in_place(inside_model(place)):
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
        yield chunk


def _split(kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    of_call = {name: value for name, value in kwargs.items() if name in _OF_THE_CALL}
    return of_call, {name: value for name, value in kwargs.items() if name not in of_call}


def _for_try(of_call: dict[str, Any], number: int) -> dict[str, Any]:
    # one id for one run in traces: a second try is a run of its own
    return of_call if number == 1 else {**of_call, "run_id": None}


def _is_async(model: BaseChatModel) -> bool:
    return type(model)._agenerate is not BaseChatModel._agenerate
