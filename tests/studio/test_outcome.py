"""A thread's end is seen from its checkpoint alone, and it is what LangGraph says with the graph at hand."""

import operator
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels import EphemeralValue, LastValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import START
from langgraph.func import entrypoint, task
from langgraph.graph import END, MessagesState, StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import Command, Send, interrupt

from adjourn.checkpoints.storage import open_saver
from adjourn.engine.outcome import has_tasks, status_after
from adjourn.graphs.review import builder as review
from support import workflows


class Trail(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    round: int


def step(name: str) -> Callable[[Trail], Trail]:
    return lambda state: {"trail": [name]}


def asks(name: str) -> Callable[[Trail], Trail]:
    return lambda state: {"trail": [f"{name}: {interrupt(name)}"]}


def diamond(*, defer: bool = False, middle: Any = None) -> StateGraph[Trail]:
    """a → (b, c → c2) → d, which waits for both; b asks."""
    workflow = StateGraph(Trail)
    for name in ("a", "c", "c2"):
        workflow.add_node(name, step(name))
    workflow.add_node("b", middle or asks("b"))
    workflow.add_node("d", step("d"), defer=defer)
    workflow.add_edge(START, "a")
    workflow.add_edge("a", "b")
    workflow.add_edge("a", "c")
    workflow.add_edge("c", "c2")
    if defer:
        workflow.add_edge("b", "d")
        workflow.add_edge("c2", "d")
    else:
        workflow.add_edge(["b", "c2"], "d")
    workflow.add_edge("d", END)
    return workflow


def deferred_join() -> StateGraph[Trail]:
    """Two joins into a deferred node, and names that hold the characters of a join's name."""
    workflow = StateGraph(Trail)
    for name in ("a+b", "c", "slow", "slower"):
        workflow.add_node(name, step(name) if name != "c" else asks(name))
    workflow.add_node("last", step("last"), defer=True)
    workflow.add_edge(START, "a+b")
    workflow.add_edge(START, "c")
    workflow.add_edge(START, "slow")
    workflow.add_edge("slow", "slower")
    workflow.add_edge(["a+b", "c"], "last")
    return workflow


def loop() -> StateGraph[Trail]:
    def again(state: Trail) -> Command[Any]:
        number = state.get("round", 0) + 1
        interrupt(f"round {number}")
        return Command(goto=END if number == 3 else "again", update={"round": number})

    return StateGraph(Trail).add_node("again", again, destinations=("again", END)).add_edge(START, "again")


def sends() -> StateGraph[Trail]:
    workflow = StateGraph(Trail).add_node("each", asks("each")).add_node("after", step("after"))
    workflow.add_conditional_edges(START, lambda _: [Send("each", {}), Send("each", {})], ["each"])
    return workflow.add_edge("each", "after").add_edge("after", END)


def nested() -> StateGraph[Trail]:
    return StateGraph(Trail).add_node("inner", diamond().compile()).add_node("z", step("z")) \
        .add_edge(START, "inner").add_edge("inner", "z")  # fmt: skip


def dead_end() -> StateGraph[Trail]:
    """A router that ends the run without naming END, and a join that is never complete."""
    workflow = StateGraph(Trail).add_node("a", asks("a")).add_node("b", step("b")).add_node("c", step("c"))
    workflow.add_edge(START, "a")
    workflow.add_conditional_edges("a", lambda _: END, ["b", END])
    return workflow.add_edge(["a", "b"], "c")


@task
def part(name: str) -> str:
    return name


@entrypoint()
def functional(name: str) -> str:
    first = part(name).result()
    return f"{first} {interrupt('and?')} {part('end').result()}"


def chat() -> StateGraph[MessagesState]:
    answer = lambda state: {"messages": [("ai", str(interrupt("?")))]}  # noqa: E731
    return StateGraph(MessagesState).add_node("model", answer).add_edge(START, "model")


SHAPES: dict[str, tuple[Any, Any]] = {
    "chain": (workflows.asking, {"trail": []}),
    "plain question": (workflows.plain, {}),
    "fan-out by Send": (sends(), {}),
    "parallel questions": (workflows.parallel(), {}),
    "join": (diamond(), {}),
    "deferred node": (diamond(defer=True), {}),
    "deferred join": (deferred_join(), {}),
    "loop by Command": (loop(), {}),
    "subgraph": (nested(), {}),
    "dead end": (dead_end(), {}),
    "functional": (functional, "x"),
    "messages": (chat(), {"messages": [("user", "hi")]}),
    "review": (review, {"input_text": "We may sue. The deadline is missed and the data are lost."}),
}


@pytest.fixture
async def saver(database: str) -> AsyncIterator[BaseCheckpointSaver[str]]:
    async with open_saver(database) as opened:
        yield opened


def on(shape: Any, saver: BaseCheckpointSaver[str]) -> Any:
    compiled = shape.compile() if isinstance(shape, StateGraph) else shape
    return compiled.copy({"checkpointer": saver})


async def agrees(graph: Any, saver: Any, config: Any) -> list[bool]:
    """Compare every root checkpoint with LangGraph's own answer; return them, newest first."""
    found = []
    async for saved in saver.alist({"configurable": {**config["configurable"], "checkpoint_ns": ""}}):
        snapshot = await graph.aget_state(saved.config)
        assert has_tasks(saved) == bool(snapshot.tasks), saved.checkpoint
        found.append(bool(snapshot.tasks))
    return found


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_checkpoint_of_every_shape_is_read_as_langgraph_reads_it(shape: str, saver: Any) -> None:
    builder, given = SHAPES[shape]
    graph, config = on(builder, saver), {"configurable": {"thread_id": shape}}
    await graph.ainvoke(given, config)
    rounds = 0
    while (snapshot := await graph.aget_state(config)).tasks:
        assert await agrees(graph, saver, config)
        answers: dict[str, Any] = {one.id: {"decisions": [{"type": "approve"}]} for one in snapshot.interrupts}
        await graph.ainvoke(Command(resume=answers) if answers else None, config)
        rounds += 1
    assert rounds >= 1
    assert (await agrees(graph, saver, config))[0] is False
    assert status_after(await saver.aget_tuple(config)) == "completed"


async def test_a_second_input_on_a_finished_thread_opens_it_again(saver: Any) -> None:
    graph, config = on(chat(), saver), {"configurable": {"thread_id": "again"}}
    for text in ("one", "two"):
        await graph.ainvoke({"messages": [("user", text)]}, config)
        assert status_after(await saver.aget_tuple(config)) == "paused"
        await graph.ainvoke(Command(resume="well"), config)
        assert status_after(await saver.aget_tuple(config)) == "completed"
    await agrees(graph, saver, config)


async def test_a_static_breakpoint_is_a_pause(saver: Any) -> None:
    graph, config = on(diamond(middle=step("b")), saver), {"configurable": {"thread_id": "breakpoint"}}
    await graph.ainvoke({}, config, interrupt_before=["d"])
    assert status_after(await saver.aget_tuple(config)) == "paused"
    await graph.ainvoke(None, config)
    assert status_after(await saver.aget_tuple(config)) == "completed"


@pytest.mark.parametrize("failing", ["b", "router"])
async def test_a_thread_whose_node_or_router_failed_is_not_finished(failing: str, saver: Any) -> None:
    def fail(state: Trail) -> Any:
        raise ValueError("no")

    workflow = StateGraph(Trail).add_node("a", step("a")).add_node("b", fail if failing == "b" else step("b"))
    workflow.add_edge(START, "a")
    workflow.add_conditional_edges("a", fail if failing == "router" else lambda _: "b", ["b"])
    graph, config = on(workflow, saver), {"configurable": {"thread_id": failing}}
    with pytest.raises(ValueError, match="no"):
        await graph.ainvoke({}, config)
    await agrees(graph, saver, config)
    assert status_after(await saver.aget_tuple(config)) == "paused"


async def test_a_thread_that_was_edited_goes_on_where_the_edit_says(saver: Any) -> None:
    graph, config = on(diamond(middle=step("b")), saver), {"configurable": {"thread_id": "edited"}}
    await graph.ainvoke({}, config)
    await graph.aupdate_state(config, {"trail": ["edited"]}, as_node="a")
    assert await agrees(graph, saver, config)
    assert status_after(await saver.aget_tuple(config)) == "paused"


@pytest.mark.parametrize("as_node", ["b", "c2"])
@pytest.mark.parametrize("shape", ["join", "deferred node", "deferred join"])
async def test_an_edit_that_fills_a_part_of_a_join_is_read_as_langgraph_reads_it(
    shape: str, as_node: str, saver: Any
) -> None:
    graph, config = on(SHAPES[shape][0], saver), {"configurable": {"thread_id": "part"}}
    as_node = "a+b" if shape == "deferred join" else as_node
    await graph.ainvoke({}, config)
    while (snapshot := await graph.aget_state(config)).tasks:
        await graph.ainvoke(Command(resume={one.id: "yes" for one in snapshot.interrupts}), config)
    await graph.aupdate_state(config, {"trail": ["edited"]}, as_node=as_node)
    await agrees(graph, saver, config)


async def test_a_finished_thread_that_was_sent_elsewhere_and_asks_is_paused(saver: Any) -> None:
    graph, config = on(dead_end(), saver), {"configurable": {"thread_id": "sent"}}
    await graph.ainvoke({}, config)
    await graph.ainvoke(Command(resume="yes"), config)
    await graph.ainvoke(Command(goto="a"), config)
    saved = await saver.aget_tuple(config)
    assert (await graph.aget_state(config)).tasks == ()  # what LangGraph makes of it
    assert status_after(saved) == "paused"


async def test_a_graph_with_channels_of_its_own_is_never_taken_for_finished(saver: Any) -> None:
    node = NodeBuilder().subscribe_only("a").do(lambda value: value + value).write_to("b")
    graph = Pregel(
        nodes={"double": node},
        channels={"a": EphemeralValue(str), "b": LastValue(str)},
        input_channels=["a"],
        output_channels=["b"],
        checkpointer=saver,
    )
    config = {"configurable": {"thread_id": "pregel"}}
    assert await graph.ainvoke({"a": "x"}, config) == {"b": "xx"}
    assert status_after(await saver.aget_tuple(config)) == "paused"


def test_a_thread_without_a_checkpoint_is_not_finished() -> None:
    assert status_after(None) == "paused"
