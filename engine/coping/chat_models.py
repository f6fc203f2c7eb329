"""LangChain's chat models, as coping needs them: their names, copies that do not retry, stand-ins, and kept answers."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ValidationError

from ...nodes.analysts.chat_models import open_model

__all__ = [
    "Unfit",
    "alone",
    "fitted",
    "kept_answer",
    "names_of",
    "opened",
    "question_key",
    "replayed",
    "storable_answer",
]


class Unfit(Exception):
    """A model cannot stand in for another, because it cannot be asked the same."""


def names_of(model: BaseChatModel, parameters: dict[str, Any]) -> tuple[str, ...]:
    """Return what a model is called: `provider:model`, then the model alone.

    Args:
        model: The model.
        parameters: What it is called with; may name another model of the same provider.
    """
    found = model._get_ls_params(**parameters)
    name = str(found.get("ls_model_name") or type(model).__name__)
    return f"{found.get('ls_provider') or type(model).__name__}:{name}", name


def alone(model: BaseChatModel) -> BaseChatModel:
    """Return a model whose client does not try again by itself, so that tries are not multiplied.

    It is known how to do that for models on OpenAI's client (ChatOpenAI, AzureChatOpenAI, and providers that build on
    them). Others are returned as they are; give them `max_retries=0` where their client retries.
    """
    roots: dict[str, Any] = {name: getattr(model, name, None) for name in ("root_client", "root_async_client")}
    if not any(getattr(client, "max_retries", 0) for client in roots.values()):
        return model
    copied = model.model_copy()
    for root, leaf in (("root_client", "client"), ("root_async_client", "async_client")):
        if roots[root] is not None:
            client = roots[root].with_options(max_retries=0)
            setattr(copied, root, client)
            setattr(copied, leaf, client.chat.completions)
    return copied


@lru_cache(maxsize=64)
def _made(spec: str) -> BaseChatModel:
    return open_model(spec)


def opened(stand_in: Any) -> BaseChatModel:
    """Return the model that a fallback names.

    Raises:
        ConfigurationError: It cannot be used.
    """
    model: BaseChatModel = stand_in if isinstance(stand_in, BaseChatModel) else _made(str(stand_in))
    return model


def fitted(first: BaseChatModel, other: BaseChatModel, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of one model as another takes them.

    A model of the same class takes them as they are. For one of another provider, tools are written anew; other
    parameters, such as the form of structured output, have no common form.

    Args:
        first: The model that they were made for.
        other: The model that is to stand in.
        parameters: What the first was called with.

    Raises:
        Unfit: They cannot be written for the other.
    """
    if type(other) is type(first):
        return {name: value for name, value in parameters.items() if name != "model"}
    given = {name: value for name, value in parameters.items() if name not in ("model", "ls_structured_output_format")}
    tools, choice = given.pop("tools", None), given.pop("tool_choice", None)
    given.pop("strict", None)
    given.pop("parallel_tool_calls", None)
    if any(value is not None for value in given.values()):
        named = ", ".join(sorted(given))
        raise Unfit(f"{names_of(other, {})[0]} could not stand in: it does not take {named} of {type(first).__name__}.")
    if not tools:
        return {}
    bound: Any = other.bind_tools(
        [convert_to_openai_tool(tool) for tool in tools], **({} if choice is None else {"tool_choice": _choice(choice)})
    )
    return dict(bound.kwargs)


def question_key(model: BaseChatModel, messages: Any, stop: Any, parameters: dict[str, Any]) -> str:
    """Return what makes two questions the same: the model with its parameters, and the conversation without its ids.

    It is LangChain's own key for its caches.
    """
    plain = [each.model_copy(update={"id": None}) for each in messages]
    return "\0".join(("answer", model._get_llm_string(stop=stop, **parameters), dumps(plain)))


def storable_answer(result: LLMResult) -> str | None:
    """Return an answer as it is kept, JSON; None for one that JSON cannot hold, or that is not one answer."""
    if len(result.generations) != 1 or not all(isinstance(each, ChatGeneration) for each in result.generations[0]):
        return None
    try:
        return json.dumps(
            [
                {"message": message_to_dict(each.message), "info": each.generation_info}  # type: ignore[union-attr]
                for each in result.generations[0]
            ]
        )
    except (TypeError, ValueError):
        return None


def kept_answer(kept: str) -> list[ChatGeneration] | None:
    """Return the answer that `storable_answer` made; None where it cannot be read any more."""
    try:
        return [
            ChatGeneration(message=messages_from_dict([each["message"]])[0], generation_info=each["info"])
            for each in json.loads(kept)
        ]
    except (KeyError, TypeError, ValueError, ValidationError):
        return None


def replayed(model: BaseChatModel, answer: list[ChatGeneration]) -> BaseChatModel:
    """Return a model that gives a kept answer, as LangChain gives one of its caches: callbacks and streams see it."""
    return model.model_copy(update={"cache": _Kept(answer)})


class _Kept(BaseCache):
    """A cache of LangChain that knows one answer."""

    def __init__(self, answer: list[ChatGeneration]) -> None:
        self._answer = answer

    def lookup(self, prompt: str, llm_string: str) -> Any:
        return self._answer

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        return

    def clear(self, **kwargs: Any) -> None:
        return


def _choice(choice: Any) -> Any:
    """Return the name of a tool that is forced, which every provider's `bind_tools` takes."""
    if isinstance(choice, dict):
        return choice.get("function", choice).get("name", "any")
    return "any" if choice == "required" else choice
