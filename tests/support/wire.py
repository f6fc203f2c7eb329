"""Ways to call a chat model, for tests that must hold for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable
    from langchain_openai import ChatOpenAI

__all__ = ["WAYS", "Call", "MakeModel", "call_model"]

MakeModel: TypeAlias = "Callable[..., ChatOpenAI]"
Call: TypeAlias = "Callable[[Runnable[Any, Any], Any], Awaitable[AIMessage]]"
WAYS: Final = ("invoke", "ainvoke", "stream", "astream")


async def call_model(way: str, model: Runnable[Any, Any], prompt: Any) -> AIMessage:
    """Call a model in one of `WAYS`; the chunks of a stream are added up."""
    from langchain_core.messages import AIMessageChunk

    if way == "invoke":
        return model.invoke(prompt)
    if way == "ainvoke":
        return await model.ainvoke(prompt)
    chunks = list(model.stream(prompt)) if way == "stream" else [chunk async for chunk in model.astream(prompt)]
    assert len(chunks) > 2, "the answer came in one piece"
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    return whole
