"""What a graph is given: JSON becomes the types that its schema names, context reaches graphs of every age."""

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from anygraph.graphs import KINDS, Mood, Place, State, graph_of
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from adjourn import AsyncEngine, InvalidInput
from adjourn.engine.events import Custom


class Order(BaseModel):
    place: Place
    moods: list[Mood]


class Shop(TypedDict, total=False):
    order: Order
    day: date
    count: int
    notes: Annotated[list[Any], lambda old, new: [*(old or []), *new]]


def look(state: Shop) -> Shop:
    kinds = [type(state["order"]), type(state["order"].moods[0]), type(state["day"]), type(state["count"])]
    return {"notes": [kind.__name__ for kind in kinds]}


AS_JSON = {
    "order": {"place": {"street": "Main Street", "opened": "2020-01-02"}, "moods": ["good"]},
    "day": "2026-11-20",
    "count": 3,
    "notes": [{"free": "form"}],
}


async def test_json_becomes_the_types_that_the_schema_names(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"shop": graph_of(look, schema=Shop)}) as engine:
        run = await engine.start("shop", AS_JSON)
        assert run.status == "completed", run.error
        assert run.state["notes"] == [{"free": "form"}, "Order", "Mood", "date", "int"]
        with pytest.raises(InvalidInput, match=r"order\.moods\.0"):
            await engine.start("shop", AS_JSON | {"order": {**AS_JSON["order"], "moods": ["angry"]}})  # type: ignore[dict-item]


async def test_a_function_gets_the_type_that_it_names(database: str) -> None:
    @entrypoint()
    async def described(order: Order) -> str:
        return f"{type(order).__name__} {order.place.street}"

    async with AsyncEngine.open(database, workflows={"described": described}) as engine:
        run = await engine.start("described", AS_JSON["order"])
    assert run.state["value"] == "Order Main Street"


async def test_a_function_that_asks_shows_what_it_was_given(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"functional": KINDS["functional"].graph}) as engine:
        assert (await engine.start("functional", "hello")).state == {"input": "hello"}


class Strict(BaseModel):
    name: str
    level: int = 1


@dataclass
class StrictToo:
    name: str
    level: int = 1


def pass_by(state: Any) -> dict[str, Any]:
    return {"level": 2}


@pytest.mark.parametrize("schema", [Strict, StrictToo])
async def test_what_a_model_requires_is_asked_for_before_anything_is_stored(schema: type, database: str) -> None:
    async with AsyncEngine.open(database, workflows={"strict": graph_of(pass_by, schema=schema)}) as engine:
        with pytest.raises(InvalidInput, match="lacks the key 'name'"):
            await engine.start("strict", {"level": 2})
        assert len(await engine.runs()) == 0
        run = await engine.start("strict", {"name": "x"})
        assert (run.status, run.state) == ("completed", {"name": "x", "level": 2})


def ask_by_config(state: State, config: RunnableConfig) -> State:
    interrupt("Go on?")
    wanted = ("model", "thread_id", "checkpoint_id")
    return {"log": [str(config["configurable"].get(name)) for name in wanted]}


async def test_a_graph_without_a_context_schema_finds_its_context_in_the_config(database: str) -> None:
    graphs = {"old": graph_of(ask_by_config)}
    async with AsyncEngine.open(database, workflows=graphs) as engine:
        foreign = {"model": "small", "thread_id": "another", "checkpoint_id": "x", "__pregel_resume_map": {}}
        run = await engine.start("old", {"text": "t"}, thread_id="t", context=foreign)
    async with AsyncEngine.open(database, workflows=graphs) as engine:
        run = await engine.resume("t", "yes")
    assert run.state["log"] == ["small", "t", "None"]


async def test_what_a_node_writes_to_its_stream_is_an_event(database: str) -> None:
    inner = graph_of(KINDS["custom_events"].graph.nodes["tell"].runnable.func).compile()
    outer = StateGraph(State)
    outer.add_node("inner", inner)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)
    events: list[Any] = []
    async with AsyncEngine.open(database, workflows={"outer": outer}) as engine:
        run = await engine.start("outer", {"log": []}, on_event=events.append)
    assert Custom(run.thread_id, ("inner",), {"progress": 0.5}) in events


async def test_a_subgraph_with_a_saver_of_its_own_is_refused_and_one_that_shares_the_runs_is_not(database: str) -> None:
    from anygraph.graphs import ask, begin
    from langgraph.checkpoint.memory import InMemorySaver

    from adjourn import ConfigurationError

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
    from adjourn import InvalidDecision, approve, edit

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


async def test_an_answer_while_a_sibling_is_still_running_is_taken_once_it_has_ended(database: str) -> None:
    from adjourn import NotPaused

    reached, let_go = asyncio.Event(), asyncio.Event()

    async def slow(state: State) -> State:
        reached.set()
        await let_go.wait()
        return {"log": ["slow"]}

    builder = KINDS["one"].graph.__class__(State)
    from anygraph.graphs import left

    for node in (left, slow):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
    async with AsyncEngine.open(database, workflows={"siblings": builder}) as engine:
        starting = asyncio.create_task(engine.start("siblings", {"text": "t"}, thread_id="t"))
        await reached.wait()
        with pytest.raises(NotPaused, match="being driven"):
            await engine.resume("t", "yes")
        let_go.set()
        await starting
        run = await engine.resume("t", "yes")
    assert (run.status, sorted(run.state["log"])) == ("completed", ["left yes", "slow"])
