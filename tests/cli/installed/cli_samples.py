"""An installed package that brings workflows by entry points, for the tests of the command."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from adjourn.state.questions import question

HOSTILE = "\x1b[31mred\x1b[0m [bold]not bold[/bold] \x9b2J\x1b]0;title\x07 \u202eevil\u202c :smile: ä"


class State(TypedDict, total=False):
    """What the samples know."""

    count: int
    file: str
    text: str
    answer: Any
    answers: Annotated[list[str], operator.add]
    who: str


class Counting(TypedDict):
    """An input with types."""

    count: int
    text: str


def _single(node: Any, schema: Any = None) -> StateGraph[Any]:
    workflow = StateGraph(State, input_schema=schema or State)
    workflow.add_node(node.__name__, node)
    workflow.add_edge(START, node.__name__)
    workflow.add_edge(node.__name__, END)
    return workflow


def ask_colour(state: State) -> State:
    return {"answer": interrupt("Which colour?")}


def count_up(state: State) -> State:
    return {"count": state["count"] + 1, "answer": {"at": None, "text": state["text"]}}


def need_file(state: State) -> State:
    """Fail until the file is there."""
    return {"text": Path(state["file"]).read_text()}


def ask_hostile(state: State) -> State:
    shown = question(f"pay {HOSTILE}", {"to": HOSTILE}, HOSTILE, allowed=("approve", "edit"), context={"why": HOSTILE})
    return {"answer": interrupt(shown), "text": HOSTILE}


def ask_one(state: State) -> State:
    return {"answers": [f"{state['who']}: {interrupt({'question': 'Well, ' + state['who'] + '?'})}"]}


async def wait_for_file(state: State) -> State:
    """Wait until the file is there."""
    Path(f"{state['file']}.waiting").touch()
    while not Path(state["file"]).exists():
        await asyncio.sleep(0.02)
    return {"text": "it came"}


def _approved_first() -> StateGraph[Any]:
    workflow = StateGraph(State)
    workflow.add_node("ask_hostile", ask_hostile)
    workflow.add_node("wait_for_file", wait_for_file)
    workflow.add_edge(START, "ask_hostile")
    workflow.add_edge("ask_hostile", "wait_for_file")
    workflow.add_edge("wait_for_file", END)
    return workflow


def _pair() -> StateGraph[Any]:
    workflow = StateGraph(State)
    workflow.add_node("ask_one", ask_one)
    workflow.add_conditional_edges(START, lambda _: [Send("ask_one", {"who": who}) for who in ("ann", "bob")])
    workflow.add_edge("ask_one", END)
    return workflow


colour = _single(ask_colour)
counting = _single(count_up, Counting)
failing = _single(need_file)
hostile = _single(ask_hostile)
pair = _pair()
slow = _single(wait_for_file)
slow_once_approved = _approved_first()
