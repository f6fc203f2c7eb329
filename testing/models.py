"""A LangChain chat model that plays a script without HTTP.

LangChain's own fakes were looked at first: `GenericFakeChatModel` loses tool calls and usage when it streams, cannot
bind tools, and its script cannot see what is asked. So this one implements `BaseChatModel`, and leaves binding of
structured output, callbacks and events to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from .messages import chunks, ready, written
from .replies import ReplyLike
from .script import Script, ScriptExhausted

__all__ = ["ModelCall", "ModelLine", "ScriptedChatModel"]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a `ScriptedChatModel`.

    Args:
        messages: What the model was given, oldest first.
        tools: The names of the tools that were bound.
        forced_tool: The tool that had to be called, if there was exactly one such.
    """

    messages: tuple[BaseMessage, ...]
    tools: tuple[str, ...] = ()
    forced_tool: str | None = None

    @property
    def last_text(self) -> str:
        """The text of the last message."""
        return str(self.messages[-1].text) if self.messages else ""


ModelLine: TypeAlias = ReplyLike | AIMessage | BaseException


class ScriptedChatModel(BaseChatModel):
    """A chat model whose answers a test writes down. It is safe to call from several threads and tasks.

    A line of the script is a `str`, a `dict` or Pydantic model (structured output), an answer of
    `adjourn.testing.replies` (`text`, `structured`, `malformed_json`, `tool_calls`, `refusal`), an `AIMessage`, or an
    exception, which is raised. Failures and ways of HTTP need a `ModelServer`. Models made of it by `bind_tools` and
    `with_structured_output` share its script and its calls.

    Args:
        script: The lines, one for each call, or a function from a `ModelCall` to one.
        **kwargs: Fields of LangChain's `BaseChatModel`.

    Raises (when it is called):
        ScriptExhausted: The script has no line left.
        TypeError: A line is nothing that such a model can say.
    """

    _script: Script[ModelCall, ModelLine] = PrivateAttr()
    _calls: list[ModelCall] = PrivateAttr(default_factory=list)

    def __init__(self, script: Iterable[ModelLine] | Callable[[ModelCall], ModelLine], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._script = Script(script, owner=type(self).__name__)

    @property
    def calls(self) -> list[ModelCall]:
        """The calls so far, in order."""
        return list(self._calls)

    def assert_used_up(self) -> None:
        """Check that each line of the script was used.

        Raises:
            ScriptExhausted: Lines are left over, or were missing.
        """
        if problem := self._script.problem():
            raise ScriptExhausted(problem)

    @property
    def _llm_type(self) -> str:
        return "adjourn-scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools to offer.

        Args:
            tools: As LangChain takes them.
            tool_choice: A name, `any` or `required` to force a call; `auto`, `none` or None to leave it open.
            **kwargs: Handed on.
        """
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._play(messages, kwargs))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # In the loop's own thread, in place of LangChain's executor: nothing here blocks, and the order stays plain.
        return self._generate(messages, stop, None, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        # LangChain itself reports the tokens of chunks to callbacks.
        yield from chunks(self._play(messages, kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in chunks(self._play(messages, kwargs)):
            yield chunk

    def _play(self, messages: list[BaseMessage], bound: dict[str, Any]) -> AIMessage:
        tools = tuple(tool["function"]["name"] for tool in bound.get("tools") or ())
        call = ModelCall(tuple(messages), tools, _forced(tools, bound.get("tool_choice")))
        self._calls.append(call)
        line = self._script.next(call)
        if isinstance(line, BaseException):
            raise line
        return ready(line, messages) if isinstance(line, AIMessage) else written(line, messages, call.forced_tool)


def _forced(tools: tuple[str, ...], choice: str | None) -> str | None:
    if choice in tools:
        return choice
    return tools[0] if choice in {"any", "required"} and len(tools) == 1 else None
