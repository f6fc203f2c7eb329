"""Agents that are compiled graphs: LangChain agents, and graphs with a `request` and an `answer`.

Such a graph runs by itself, cut off from the run around it: it has no checkpoints there, and what it does to the
world outside may be done again when its process dies. A graph that may pause for a person, or has such effects, is a
child run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel
from pydantic import BaseModel

from ...errors import ConfigurationError, RunFailed
from ...state.council import Request
from .schemas import answer_schema, plain

__all__ = ["ASKED", "check_graph", "detached", "given_to", "graph_agent", "is_named", "taken_from"]

Graph: TypeAlias = Pregel[Any, Any, Any, Any]


ASKED: Final = (
    "it asked a person, and only an agent that is a child run may do that: compile it with a name of its own, and say "
    "member(…, may_pause=True)"
)
"""The cause when a graph turned out to ask people."""


def graph_agent(name: str, graph: Graph) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    """Make an agent of a compiled graph; `member` does this.

    A graph with a channel `messages` is talked to as a LangChain agent: its `structured_response` is the answer if it has
    one, otherwise its last message. Any other graph gets the request under `request` and answers under `answer`.

    Args:
        name: The agent's name, for errors.
        graph: The graph, compiled without a checkpointer.

    Raises:
        ConfigurationError: It has neither, or it was compiled with a checkpointer.
    """
    check_graph(name, graph)

    async def act(request: Request) -> Any:
        with detached():
            found = await graph.ainvoke(given_to(graph, request))
        if isinstance(found, dict) and found.get("__interrupt__"):
            raise RunFailed(ASKED)
        return taken_from(graph, found, request)

    return act


def is_named(graph: Any) -> bool:
    """Say whether a graph has a name of its own, as child runs need."""
    return getattr(graph, "name", None) not in (None, "", "LangGraph")


def check_graph(name: str, graph: Graph) -> None:
    """Refuse a graph of which it is not clear how to ask it."""
    if graph.checkpointer not in (None, False):
        raise ConfigurationError(
            f"The graph of the agent {name!r} has a checkpointer of its own; compile it without one."
        )
    if "messages" not in graph.channels and not {"request", "answer"} <= graph.channels.keys():
        raise ConfigurationError(
            f"The graph of the agent {name!r} has neither the key `messages` nor the keys `request` and `answer`. "
            "Give it these, or a function that calls it."
        )


def given_to(graph: Graph | str, request: Request) -> dict[str, Any]:
    """Return the input of a graph for a request."""
    if isinstance(graph, str) or "messages" not in graph.channels:
        return {"request": request}
    from .model_agent import instructions, marked, shown

    form = json.dumps(answer_schema(request).model_json_schema())
    told = f"{instructions(request)}\n\nAnswer with one JSON object of this schema, and nothing else:\n{form}"
    return {"messages": [{"role": "user", "content": f"{told}\n\n{marked(shown(request))}"}]}


def taken_from(graph: Graph | str, state: Any, request: Request) -> Any:
    """Return the answer of a graph to a request, from the state that it ended with."""
    if isinstance(graph, str) or "messages" not in graph.channels:
        return state.get("answer")
    said = state.get("structured_response")
    if said is not None:
        return plain(said) if isinstance(said, BaseModel) else said
    messages = state.get("messages") or []
    last = messages[-1] if messages else None
    text = last.text if isinstance(last, BaseMessage) else str((last or {}).get("content") or "")
    return text if request["kind"] == "vote" else _parsed(text)


def _parsed(text: str) -> Any:
    """Read an answer in JSON, alone or in a fenced block; other text is the answer as it stands."""
    inner = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        found = json.loads(inner)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


@contextmanager
def detached() -> Iterator[None]:
    """Let graphs that are called inside run by themselves, not as a part of the node around them."""
    token = var_child_runnable_config.set(None)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
