"""Workflows that call models and tools, and engines that cope."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from langchain_core.messages import AnyMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from adjourn import AsyncEngine, Coping, Retry
from adjourn.testing import ModelServer

QUICK = Retry(attempts=3, wait=0.01)


class Talk(TypedDict, total=False):
    prompt: str
    said: Annotated[list[str], lambda old, new: [*old, *new]]
    messages: Annotated[list[AnyMessage], add_messages]


def model_of(server: ModelServer, name: str = "gpt-5-mini", **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=server.url, api_key="test-key", **more)  # type: ignore[arg-type]


def one(node: Any, name: str = "talk") -> Any:
    """A graph of one node."""
    graph = StateGraph(Talk)
    graph.add_node(name, node)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph


def talking(model: Any, times: int = 1) -> Any:
    """One async node that asks a model some times; the state says which model of the same client."""

    async def talk(state: Talk) -> Talk:
        return {"said": [(await model.ainvoke(state["prompt"])).text for _ in range(times)]}

    return one(talk)


def asking_by_name(server: ModelServer) -> Any:
    """One async node that asks the model whose name is the prompt."""

    async def talk(state: Talk) -> Talk:
        return {"said": [(await model_of(server, state["prompt"]).ainvoke("hi")).text]}

    return one(talk)


def scripted(replies: dict[str, Any]) -> Callable[[Any], Any]:
    """A script that answers by the name of the model: with one reply always, or with a list of them, the last for ever."""
    given = {name: list(lines) if isinstance(lines, list) else [lines] for name, lines in replies.items()}

    def answer(request: Any) -> Any:
        lines = given[request.model]
        return lines.pop(0) if len(lines) > 1 else lines[0]

    return answer


def asked(server: ModelServer, name: str) -> int:
    """How often a model was asked."""
    return sum(request.model == name for request in server.requests)


@asynccontextmanager
async def coping_engine(database: str, graph: Any, coping: Coping, **more: Any) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(database, workflows={"talk": graph}, coping={"talk": coping}, **more) as engine:
        yield engine
