"""Loops: the same tool called with the same arguments again and again, as pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from ...state.values import digest, json_problem

__all__ = ["Call", "call_of", "calls_in"]

Call = tuple[str, str]


def call_of(tool: str, arguments: Any) -> Call:
    """Return what makes two calls the same: the tool, and its arguments in canonical form.

    Args:
        tool: Its name.
        arguments: Its arguments; what JSON lacks is taken as Python writes it.
    """
    return tool, digest(arguments) if json_problem(arguments, "arguments") is None else digest(repr(arguments))


def calls_in(state: Any) -> Counter[Call]:
    """Count the calls that a conversation asked for since a person said something; nothing where there is none.

    The messages of an agent are part of its checkpoint, so this count survives crashes and other processes.

    Args:
        state: What a node is given: a state with `messages`, a list of messages, or what stands around a state.
    """
    counted: Counter[Call] = Counter()
    for message in reversed(_messages(state)):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, AIMessage):
            counted.update(call_of(call["name"], call["args"]) for call in message.tool_calls)
    return counted


def _messages(state: Any) -> Sequence[Any]:
    if isinstance(state, Mapping):
        return _messages(state["state"] if "tool_call" in state and "state" in state else state.get("messages"))
    if isinstance(state, list | tuple):
        return state
    found = getattr(state, "messages", None)
    return found if isinstance(found, list | tuple) else ()
