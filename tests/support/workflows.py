"""Small workflows for the engine's tests; each is real, each is as small as what it shows."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from adjourn.state.questions import question


class Trail(TypedDict, total=False):
    """What ran, in order."""

    name: str
    trail: Annotated[list[str], operator.add]
    answer: Any


def chain(*steps: Any) -> StateGraph[Trail]:
    """A graph of (name, function) steps, one after the other."""
    workflow = StateGraph(Trail)
    names = [name for name, _ in steps]
    for name, function in steps:
        workflow.add_node(name, function)
    for before, after in zip([START, *names], [*names, END], strict=True):
        workflow.add_edge(before, after)
    return workflow


def mark(name: str) -> Any:
    """A node that only writes down that it ran."""

    def node(state: Trail) -> Trail:
        return {"trail": [name]}

    return node


def ask(state: Trail) -> Trail:
    """A node that asks about one action, in our own form."""
    shown = question("pay", {"amount": 10}, "Pay?", allowed=("approve", "edit", "reject", "respond"))
    answer = interrupt(shown)
    return {"trail": ["ask"], "answer": answer}


def ask_plain(state: Trail) -> Trail:
    """A node that asks for a plain value."""
    return {"trail": ["ask_plain"], "answer": interrupt("Which colour?")}


asking = chain(("before", mark("before")), ("ask", ask), ("after", mark("after")))
plain = chain(("ask_plain", ask_plain), ("after", mark("after")))


class Flaky:
    """A workflow whose middle node fails until it is mended."""

    def __init__(self) -> None:
        self.broken = True
        self.attempts = 0
        self.graph = chain(("before", mark("before")), ("flaky", self.flaky), ("after", mark("after")))

    def flaky(self, state: Trail) -> Trail:
        self.attempts += 1
        if self.broken:
            raise ValueError("the service is down")
        return {"trail": ["flaky"]}


class Parallel(TypedDict, total=False):
    """Answers by the name of who was asked."""

    who: str
    answers: Annotated[list[str], operator.add]


def ask_one(state: Parallel) -> Parallel:
    return {"answers": [f"{state['who']}: {interrupt({'question': 'Well, ' + state['who'] + '?'})}"]}


def parallel() -> StateGraph[Parallel]:
    """Two people are asked at once."""
    workflow = StateGraph(Parallel)
    workflow.add_node("ask_one", ask_one)
    workflow.add_conditional_edges(START, lambda _: [Send("ask_one", {"who": who}) for who in ("ann", "bob")])
    workflow.add_edge("ask_one", END)
    return workflow
