"""A workflow that reports the moments at which the crash tests kill its process, and counts what it did.

The child processes of tests/crashes import it. Each step and each effect appends a line to a file, which survives a kill.
"""

import os
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph

from adjourn.nodes.effects import once
from support.workflows import Trail, ask

LEDGER = "ADJOURN_TEST_LEDGER"


def note(line: str) -> None:
    """Append a line to the ledger, in one write that a kill cannot tear."""
    with Path(os.environ[LEDGER]).open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def ledger(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


class Moments:
    """Where to stop: `reach` of the child's program, for the one moment that it is asked for."""

    def __init__(self, wanted: str, reach: Any) -> None:
        self.wanted = wanted
        self.reach = reach

    def __call__(self, moment: str) -> None:
        if moment == self.wanted:
            self.reach(moment)


def crashing(at: Moments) -> StateGraph[Trail]:
    """first → pay (an effect) → ask → routed → last."""

    async def first(state: Trail) -> Trail:
        at("inside-a-node")
        note("first")
        return {"trail": ["first"]}

    async def charge(amount: int) -> str:
        at("before-the-effect")
        note("charged")
        at("between-an-effect-and-its-record")
        return "receipt"

    async def pay(state: Trail) -> Trail:
        receipt = await once("charge", charge, 10, on_uncertain="retry")
        at("after-the-effect")
        note("pay")
        return {"trail": ["pay"], "answer": receipt}

    def ask_and_note(state: Trail) -> Trail:
        update = ask(state)
        at("after-the-answer-is-read")
        note("ask")
        return update

    def route(state: Trail) -> str:
        at("inside-a-routing-function")
        return "last"

    async def last(state: Trail) -> Trail:
        at("inside-the-last-node")
        note("last")
        return {"trail": ["last"]}

    workflow = StateGraph(Trail)
    workflow.add_node("first", first)
    workflow.add_node("pay", pay)
    workflow.add_node("ask", ask_and_note)
    workflow.add_node("last", last)
    workflow.add_edge(START, "first")
    workflow.add_edge("first", "pay")
    workflow.add_edge("pay", "ask")
    workflow.add_conditional_edges("ask", route, ["last"])
    workflow.add_edge("last", END)
    return workflow
