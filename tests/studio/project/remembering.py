"""A graph of somebody who wants to know what helped the last time."""

from typing import Any, TypedDict

from langgraph.graph import START, StateGraph

from adjourn.nodes.cases import recall, remember


class Case(TypedDict, total=False):
    alert: str
    cure: str
    similar: list[dict[str, Any]]


cases = StateGraph(Case).add_node("recall", recall("incident", about="alert", into="similar")) \
    .add_node("remember", remember("incident", text="alert", outcome="cure")) \
    .add_edge(START, "recall").add_edge("recall", "remember").compile()  # fmt: skip
