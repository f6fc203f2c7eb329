"""Workflows that start child runs, for tests."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from adjourn.nodes.children import child


class Runs(TypedDict, total=False):
    """What came back from children."""

    name: str
    got: Annotated[list[Any], operator.add]


def working(function: Any) -> StateGraph[Runs]:
    """A graph of a node that starts children, and one behind it."""
    workflow = StateGraph(Runs)
    workflow.add_node("work", function)
    workflow.add_node("last", lambda state: {"got": ["last"]})
    workflow.add_edge(START, "work")
    workflow.add_edge("work", "last")
    workflow.add_edge("last", END)
    return workflow


def parent_of(workflow: Any, given: Any = None, **options: Any) -> StateGraph[Runs]:
    """A graph whose node has one child, and keeps the trail that it left, or the message of its failure."""

    async def work(state: Runs) -> Runs:
        result: Any = await child("it", workflow, given or {"name": state["name"]}, **options)
        return {"got": [told(result)]}

    return working(work)


def told(result: Any) -> Any:
    """What a test looks at of a child's result."""
    if isinstance(result, Exception):
        return f"{type(result).__name__}: {getattr(result, 'status', '')}"
    return result.get("trail", result.get("got", result.get("value")))
