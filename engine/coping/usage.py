"""The tokens of an answer: as the model reports them, or estimated where it reports none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import LLMResult

from .spending import Usage

__all__ = ["estimated", "usage_of"]


def usage_of(result: Any, asked: Any) -> Usage:
    """Return the tokens of an answer.

    A model that reports none (a stream of many servers, for example) is counted by LangChain's estimate, about four
    characters a token.

    Args:
        result: LangChain's result, or a message; None for an answer that never began.
        asked: The conversation, or several.
    """
    if result is None:
        return Usage()
    messages = _messages_in(result)
    reported = [found for each in messages if (found := getattr(each, "usage_metadata", None))]
    if reported:
        return Usage(sum(each["input_tokens"] for each in reported), sum(each["output_tokens"] for each in reported))
    return Usage(estimated(asked), count_tokens_approximately(messages))


def estimated(asked: Any) -> int:
    """Return about how many tokens a prompt has.

    Args:
        asked: A conversation in any form that LangChain's models take, or a list of conversations.
    """
    if isinstance(asked, Sequence) and not isinstance(asked, str) and asked and isinstance(asked[0], list):
        return sum(estimated(each) for each in asked)
    if hasattr(asked, "to_messages"):
        return count_tokens_approximately(asked.to_messages())
    return count_tokens_approximately(convert_to_messages([asked] if isinstance(asked, str | BaseMessage) else asked))


def _messages_in(result: Any) -> list[BaseMessage]:
    if isinstance(result, LLMResult):
        return [each.message for batch in result.generations for each in batch if hasattr(each, "message")]
    return [result]
