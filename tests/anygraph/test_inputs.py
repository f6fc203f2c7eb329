"""What a graph is given: JSON becomes the types that its schema names, context reaches graphs of every age."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Required

import pytest
from anygraph.graphs import KINDS, Mood, Place, State, graph_of
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
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


NOTHING = "does not fit: it says nothing"
TOGETHER = "There is nothing to plan; start a new run with `plan`, or with `main_task`"


@pytest.mark.parametrize(
    ("workflow", "given", "said"),
    [
        ("review", {"input_text": " \n\t"}, f"'input_text' {NOTHING}"),
        ("council", {"main_task": ""}, f"'main_task' {NOTHING}"),
        ("adaptive", {"main_task": "\u2003"}, f"'main_task' {NOTHING}"),
        ("delegation", {"main_task": " "}, TOGETHER),
        ("delegation", {}, TOGETHER),
    ],
)
async def test_an_input_that_says_nothing_is_refused_before_anything_is_stored(
    workflow: str, given: dict[str, Any], said: str, database: str
) -> None:
    async with AsyncEngine.open(database) as engine:
        for begin in (engine.start, engine.submit):
            with pytest.raises(InvalidInput, match=said):
                await begin(workflow, given)
        assert len(await engine.runs()) == 0


def _broken(value: int) -> int:
    raise LookupError("no such table")


class Bounded(TypedDict, total=False):
    level: Required[Annotated[int, Field(gt=0)]]
    code: Annotated[str, Field(max_length=3)]
    when: Annotated[date, BeforeValidator(lambda text: date(*map(int, reversed(text.split(".")))))]
    broken: Annotated[int, AfterValidator(_broken)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"level": 0}, r"'level' does not fit: Input should be greater than 0\."),
        ({"level": "high"}, "'level' must be int, not a str"),
        ({"level": 1, "code": "long"}, "'code' does not fit: String should have at most 3"),
        ({"level": 1, "broken": 1}, "'broken' cannot be checked: LookupError: no such table"),
    ],
)
async def test_a_constraint_of_a_key_holds_before_anything_is_stored(
    given: dict[str, Any], said: str, database: str
) -> None:
    async with AsyncEngine.open(database, workflows={"bounded": graph_of(lambda state: {}, schema=Bounded)}) as engine:
        with pytest.raises(InvalidInput, match=said):
            await engine.start("bounded", given)
        assert len(await engine.runs()) == 0
        run = await engine.start("bounded", {"level": 1, "when": "2.1.2026"})
        assert run.state["when"] == date(2026, 1, 2)
