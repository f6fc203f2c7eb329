"""Graphs of somebody who has never heard of adjourn."""

import asyncio
import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


@dataclass
class Note:
    text: str
    author: str


class Notes(TypedDict, total=False):
    topic: str
    note: Note
    result: str


def write(state: Notes) -> Notes:
    return {"note": Note(f"{os.environ['GREETING']}, {state['topic']}", "me")}


def ask(state: Notes) -> Notes:
    return {"result": f"{state['note'].text} by {state['note'].author}: {interrupt('Good?')}"}


notes = StateGraph(Notes).add_node(write).add_node(ask) \
    .add_edge(START, "write").add_edge("write", "ask").add_edge("ask", END).compile()  # fmt: skip


class Waiting(TypedDict, total=False):
    file: str
    trail: Annotated[list[str], operator.add]


async def wait(state: Waiting) -> Waiting:
    Path(state["file"] + ".begun").touch()
    while not Path(state["file"]).exists():
        await asyncio.sleep(0.02)
    return {"trail": ["waited"]}


def say(state: Waiting) -> Waiting:
    return {"trail": [str(interrupt("And now?"))]}


slow = StateGraph(Waiting).add_node(wait).add_node(say) \
    .add_edge(START, "wait").add_edge("wait", "say").compile()  # fmt: skip


def first(state: Waiting) -> Waiting:
    return {"trail": ["first"]}


def second(state: Waiting) -> Waiting:
    return {"trail": ["second"]}


def route(state: Waiting) -> str:
    if not Path(state["file"]).exists():
        raise ValueError("the route is not built yet")
    return "second"


flaky = StateGraph(Waiting).add_node(first).add_node(second) \
    .add_edge(START, "first").add_conditional_edges("first", route, ["second"]).compile()  # fmt: skip


both = StateGraph(Waiting).add_node(wait).add_node(say) \
    .add_edge(START, "wait").add_edge(START, "say").compile()  # fmt: skip
