"""Pauses of foreign graphs, one by one: savers of their own, breakpoints, parallel questions, tool calls."""

import asyncio
from typing import Any

import pytest
from anygraph.graphs import KINDS, State, ask, begin, graph_of, left
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from adjourn import AsyncEngine, ConfigurationError, InvalidDecision, approve, edit
from support.eventually import eventually


async def test_a_subgraph_with_a_saver_of_its_own_is_refused_and_one_that_shares_the_runs_is_not(database: str) -> None:
    def outer(inner: Any) -> Any:
        builder = StateGraph(State)
        builder.add_node("inner", inner)
        builder.add_edge(START, "inner")
        return builder

    own = graph_of(begin, ask).compile(checkpointer=InMemorySaver())
    shared = graph_of(begin, ask).compile(checkpointer=True)
    async with AsyncEngine.open(database, workflows={"own": outer(own), "shared": outer(shared)}) as engine:
        with pytest.raises(ConfigurationError, match=r"subgraph 'inner'.*Compile it without one"):
            await engine.start("own", {"text": "t"})
        assert len(await engine.runs()) == 0
        run = await engine.start("shared", {"text": "t"})
        run = await engine.resume(run.thread_id, "yes")
        assert (run.status, run.state["log"]) == ("completed", ["begin", "ask yes"])
    with pytest.raises(ConfigurationError, match="Export the graph without it"):
        async with AsyncEngine.open(database, workflows={"own": own}):
            pass


async def test_each_breakpoint_has_a_review_of_its_own_even_in_a_subgraph(database: str) -> None:
    kinds = ("breakpoints_in_a_subgraph", "breakpoints_all")
    graphs = {name: KINDS[name].graph for name in kinds}
    async with AsyncEngine.open(database, workflows=graphs) as engine:
        for name in kinds:
            seen: list[Any] = []
            run = await engine.start(name, {"log": []}, on_event=seen.append)
            reviews = []
            while run.status == "paused":
                assert seen[-1].reviews == run.reviews
                reviews.append(run.reviews[0])
                run = await engine.resume(run.thread_id, "approve", on_event=seen.append)
            assert len({review.id for review in reviews}) == len(reviews) == KINDS[name].pauses
            assert "before middle" in " ".join(review.description for review in reviews)


async def test_parallel_questions_may_be_answered_in_any_order(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"fan": KINDS["send_one_by_one"].graph}) as engine:
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
            run = await engine.start("fan", {"text": "t"})
            for question in [run.reviews[place] for place in order]:
                run = await engine.resume(run.thread_id, f"for {question.value}", review_id=question.id)
            assert sorted(run.state["log"]) == ["a for a", "b for b", "c for c"]


async def test_of_several_tool_calls_each_gets_the_decision_that_was_meant_for_it(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"agent": KINDS["agent_per_call"].graph}) as engine:
        run = await engine.start("agent", {"messages": [("user", "pay")]})
        pay, send = run.reviews
        assert (pay.action, pay.args, pay.allowed) == ("pay", {"amount": 10}, ("approve", "edit", "reject", "respond"))
        assert (send.action, send.allowed) == ("send", ("approve", "reject"))
        for bad in (edit({"amount": "ten"}), edit({"sum": 7}), "42", {"type": "edit"}):
            with pytest.raises(InvalidDecision):
                await engine.resume(run.thread_id, {pay.id: bad, send.id: approve()})
        with pytest.raises(InvalidDecision, match="edit is not allowed"):
            await engine.resume(run.thread_id, {pay.id: approve(), send.id: edit({"to": "dana"})})
        assert (await engine.get(run.thread_id)).reviews == run.reviews
        run = await engine.resume(run.thread_id, approve(), review_id=send.id)
        assert [review.id for review in run.reviews] == [pay.id]
        run = await engine.resume(run.thread_id, {"type": "respond", "message": "paid by hand"})
    tools = {message.name: message.content for message in run.state["messages"] if message.type == "tool"}
    assert (tools["pay"], tools["send"]) == ("paid by hand", "sent to kim")


async def test_an_answer_is_taken_while_a_sibling_still_runs_and_the_drive_goes_on_with_it(database: str) -> None:
    reached, let_go = asyncio.Event(), asyncio.Event()

    async def slow(state: State) -> State:
        reached.set()
        await let_go.wait()
        return {"log": ["slow"]}

    builder = StateGraph(State)
    for node in (left, slow):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
    workflows = {"siblings": builder}
    async with (
        AsyncEngine.open(database, workflows=workflows) as engine,
        AsyncEngine.open(database, workflows=workflows) as other,
    ):
        starting = asyncio.create_task(engine.start("siblings", {"text": "t"}, thread_id="t"))
        await reached.wait()

        async def asked() -> bool:
            return len((await other.get("t")).reviews) == 1

        await eventually(asked)
        run = await other.resume("t", "yes", by="dana")
        assert run.status == "running"
        let_go.set()
        run = await starting
    assert (run.status, sorted(run.state["log"])) == ("completed", ["left yes", "slow"])
