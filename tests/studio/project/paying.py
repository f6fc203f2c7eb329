"""A graph of somebody who knows one thing of adjourn: `once`."""

from pathlib import Path
from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from adjourn.nodes.effects import once, once_sync


class Payment(TypedDict, total=False):
    file: str
    answer: str


def pay(file: str, what: str) -> str:
    with Path(file).open("a") as ledger:
        ledger.write(f"{what}\n")
    return what


async def ask(state: Payment) -> Payment:
    """Runs again, with its effect, when it is answered."""
    await once("reserve", pay, state["file"], "reserved")
    return {"answer": interrupt("Pay?")}


def settle(state: Payment) -> Payment:
    once_sync("pay", pay, state["file"], f"paid by {state['answer']}")
    return {}


paying = StateGraph(Payment).add_node(ask).add_node(settle) \
    .add_edge(START, "ask").add_edge("ask", "settle").compile()  # fmt: skip
