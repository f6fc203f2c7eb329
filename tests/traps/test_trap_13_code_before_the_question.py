"""Trap 13: what stands before `interrupt()` in a node runs again with every answer."""

from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, approve, reject
from adjourn.graphs.review import build
from adjourn.nodes.analysts import rule_analyst
from support.workflows import Trail, chain

CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def test_langgraph_repeats_the_code_before_the_question(stock_saver: AsyncPostgresSaver) -> None:
    effects: list[str] = []

    def reserve_and_ask(state: Trail) -> Trail:
        effects.append("reserved")
        return {"answer": [interrupt("one?"), interrupt("two?")]}

    graph = chain(("both", reserve_and_ask)).compile(checkpointer=stock_saver)
    await graph.ainvoke({"name": "x"}, CONFIG)
    await graph.ainvoke(Command(resume="a"), CONFIG)
    await graph.ainvoke(Command(resume="b"), CONFIG)
    assert effects == ["reserved"] * 3


async def test_adjourns_asking_node_holds_no_other_code(database: str) -> None:
    """Analysis and action stand in nodes of their own: an answer repeats neither."""
    effects: list[str] = []

    def analyst(text: str, *, notes: Any = ()) -> Any:
        effects.append("analysed")
        return rule_analyst(text, notes=notes)

    def act(state: Any) -> None:
        effects.append("executed")

    workflow = build(analyst=analyst, action=act, rules=[lambda state: "always ask"])
    async with AsyncEngine.open(database, workflows={"review": workflow}) as engine:
        run = await engine.start("review", {"input_text": "A text."})
        assert effects == ["analysed"]
    async with AsyncEngine.open(database, workflows={"review": workflow}) as engine:
        run = await engine.resume(run.thread_id, reject("again"))
        assert effects == ["analysed", "analysed"]
        run = await engine.resume(run.thread_id, approve())
    assert run.status == "completed"
    assert effects == ["analysed", "analysed", "executed"]
