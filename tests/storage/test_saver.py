"""The saver that `open_storage` gives to LangGraph."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from adjourn.checkpoints import open_storage
from adjourn.settings import load_settings


class State(TypedDict):
    text: str


def graph() -> StateGraph[State, None, State, State]:
    builder = StateGraph(State)
    builder.add_node("shout", lambda state: {"text": state["text"].upper()})
    builder.add_edge(START, "shout")
    builder.add_edge("shout", END)
    return builder


async def test_a_run_is_found_again_after_the_storage_was_closed(any_database: str) -> None:
    config = {"configurable": {"thread_id": "t"}}
    async with open_storage(load_settings(), any_database) as storage:
        await graph().compile(checkpointer=storage.saver).ainvoke({"text": "hello"}, config)
    async with open_storage(load_settings(), any_database) as storage:
        found = await graph().compile(checkpointer=storage.saver).aget_state(config)
    assert found.values == {"text": "HELLO"}
