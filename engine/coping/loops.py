"""Loops: the same tool called with the same arguments again and again, as pure functions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from ...state.values import digest, json_problem

__all__ = ["Call", "call_of", "calls_in", "graph_around", "namespace_of"]

Call = tuple[str, str]


def call_of(tool: str, arguments: Any) -> Call:
    """Return what makes two calls the same: the tool, and its arguments in canonical form.

    Args:
        tool: Its name.
        arguments: Its arguments; what JSON lacks is taken as Python writes it.
    """
    return tool, digest(arguments) if json_problem(arguments, "arguments") is None else digest(repr(arguments))


def calls_in(messages: Any) -> Counter[Call]:
    """Count the calls that a conversation asked for since a person said something; nothing where there is none.

    The messages of an agent are part of its checkpoint, so this count survives crashes and other processes.

    Args:
        messages: What the state holds under `messages`.
    """
    counted: Counter[Call] = Counter()
    for message in reversed(messages if isinstance(messages, list | tuple) else ()):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, AIMessage):
            counted.update(call_of(call["name"], call["args"]) for call in message.tool_calls)
    return counted


def namespace_of(config: Any) -> str:
    """Return the namespace of the task that a configuration belongs to; empty outside of tasks.

    Args:
        config: A configuration of LangChain, or None.
    """
    return str(((config or {}).get("configurable") or {}).get("checkpoint_ns") or "")


def graph_around(namespace: str) -> str:
    """Return the namespace of the graph that a task is part of: one agent at one place.

    Args:
        namespace: That of the task. Parts that are numbers count calls within a task and say nothing here.
    """
    parts = [part for part in namespace.split("|") if not part.isdigit()]
    return "|".join(parts[:-1])
