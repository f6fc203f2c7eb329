"""Nodes run without callbacks where there are none, and as in bare LangGraph in every other respect."""

from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig
from langgraph._internal._runnable import RunnableSeq
from langgraph.config import get_config
from langgraph.graph import StateGraph

from adjourn import AsyncEngine
from support.workflows import Trail, ask, chain, mark

GIVEN: Trail = {"name": "x", "trail": []}


class Hears(AsyncCallbackHandler):
    """Remembers of what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    async def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
        self.heard.append((more["name"], _metadata(more)))

    async def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        self.heard.append(("model", _metadata(more)))


def _metadata(more: dict[str, Any]) -> dict[str, Any]:
    return {key: more["metadata"][key] for key in ("langgraph_node", "langgraph_step") if key in more["metadata"]}


def seeing(seen: list[Any]) -> StateGraph[Trail]:
    """Nodes that remember their configuration, as it is handed to them and as it is found."""

    async def given(state: Trail, config: RunnableConfig) -> Trail:
        seen.append(_told(config))
        return {"trail": ["given"]}

    async def found(state: Trail) -> Trail:
        seen.append(_told(get_config()))
        return {"trail": ["found"]}

    return chain(("given", given), ("found", found))


def _told(config: RunnableConfig) -> dict[str, Any]:
    names = ("langgraph_node", "langgraph_step", "langgraph_triggers", "langgraph_path")
    return {
        "keys": sorted(config),
        "metadata": {name: config["metadata"].get(name) for name in names},
        "tags": config.get("tags"),
        "limit": config.get("recursion_limit"),
        "configurable": sorted(key for key in config["configurable"] if not key.startswith("__pregel")),
    }


async def test_a_node_sees_what_it_sees_in_bare_langgraph(database: str) -> None:
    seen: list[Any] = []
    graph = seeing(seen)
    async with AsyncEngine.open(database, workflows={"seeing": graph}) as engine:
        await engine.start("seeing", GIVEN)
        ours = seen.copy()
        seen.clear()
        bare = graph.compile(checkpointer=engine._storage.saver)
        await bare.ainvoke(GIVEN, {"configurable": {"thread_id": "bare"}})
    assert len(seen) == 2
    assert ours == seen


async def test_a_listener_of_a_model_inside_a_node_hears_where_it_is(database: str) -> None:
    hears = Hears()
    model = FakeListChatModel(responses=["yes"] * 9, callbacks=[hears])

    async def think(state: Trail) -> Trail:
        return {"trail": [str((await model.ainvoke("?")).content)]}

    async with AsyncEngine.open(database, workflows={"thinking": chain(("think", think))}) as engine:
        assert (await engine.start("thinking", GIVEN)).state["trail"] == ["yes"]
    assert hears.heard == [("model", {"langgraph_node": "think", "langgraph_step": 1})]


async def test_who_listens_to_a_graph_hears_of_its_nodes(database: str) -> None:
    hears = Hears()
    graph = chain(("a", mark("a")), ("ask", ask), ("b", mark("b"))).compile(name="heard").with_config(callbacks=[hears])
    async with AsyncEngine.open(database, workflows={"heard": graph}) as engine:
        run = await engine.start("heard", GIVEN)
        await engine.resume(run.thread_id, "approve")
    assert [name for name, _ in hears.heard] == ["heard", "a", "ask", "heard", "ask", "b"]


@pytest.mark.parametrize("listens", [False, True])
async def test_nobody_is_told_where_nobody_listens(
    database: str, monkeypatch: pytest.MonkeyPatch, listens: bool
) -> None:
    told: list[Any] = []
    start = RunnableSeq._astart

    async def telling(self: RunnableSeq, *args: Any) -> Any:
        told.append(self.name)
        return await start(self, *args)

    monkeypatch.setattr(RunnableSeq, "_astart", telling)
    graph = chain(("a", mark("a")), ("inner", chain(("b", mark("b"))).compile()), ("ask", ask)).compile(name="g")
    if listens:
        graph = graph.with_config(callbacks=[Hears()])
    async with AsyncEngine.open(database, workflows={"g": graph}) as engine:
        run = await engine.start("g", GIVEN)
        run = await engine.resume(run.thread_id, "approve")
        assert run.state["trail"] == ["a", "a", "b", "ask"]  # what goes into the inner graph comes out of it again
    assert bool(told) == listens


async def test_a_subclass_of_ours_is_used_only_where_langgraph_uses_its_own(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"g": chain(("a", mark("a")))}) as engine:
        workflow = engine.registry.find("g")
        async with engine._binder.bound(workflow, "t") as graph:
            made = graph.nodes["a"].node
            assert type(made).__mro__[1] is RunnableSeq
            assert isinstance(made, RunnableSeq)
            assert len(made.steps) == 2
        assert type(graph.nodes["__start__"].node) is not type(made)
