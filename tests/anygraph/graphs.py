"""One graph of each kind that people write with LangGraph; none of them knows adjourn.

`KINDS` says for each how it starts, what it is answered, question by question, and what its end must look like. The
programs of test_kinds.py run in child processes, so everything here must be importable by name.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.channels.delta import DeltaChannel
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from adjourn import Review, Run, approve, edit, reject
from adjourn.testing import ModelCall, ScriptedChatModel
from support.tools import pay, send


@dataclass(frozen=True)
class Kind:
    """How one kind of graph is driven.

    Args:
        graph: What is registered: a builder, a compiled graph, or a function.
        input: What it starts with.
        answer: Says what to answer, given the open questions and how often was answered before: a plain answer for the
            only question, or a map of answers.
        ended: Whether the state at the end is right.
        pauses: How often it pauses.
        context: Its run-time context.
    """

    graph: Any
    input: Any
    answer: Callable[[tuple[Review, ...], int], Any]
    ended: Callable[[dict[str, Any]], bool]
    pauses: int = 1
    context: Any = None


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    text: str


def graph_of(*nodes: Callable[..., Any], schema: Any = State, **options: Any) -> StateGraph[Any]:
    builder = StateGraph(schema, **options)
    names = [node.__name__ for node in nodes]
    for name, node in zip(names, nodes, strict=True):
        builder.add_node(name, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


def begin(state: Any) -> dict[str, Any]:
    return {"log": ["begin"]}


def finish(state: Any) -> dict[str, Any]:
    return {"log": ["finish"]}


# -- one interrupt, several in one node, in a loop


def ask(state: State) -> State:
    return {"log": [f"ask {interrupt({'question': 'Go on?'})}"]}


def ask_thrice(state: State) -> State:
    return {"log": [f"{interrupt('one')} {interrupt('two')} {interrupt('three')}"]}


def draft(state: State) -> State:
    return {"text": state.get("text", "") + "x"}


def judge(state: State) -> State:
    return {"log": [interrupt({"text": state["text"]})]}


def loop() -> StateGraph[Any]:
    builder = StateGraph(State)
    builder.add_node("draft", draft)
    builder.add_node("judge", judge)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "judge")
    builder.add_conditional_edges("judge", lambda state: "draft" if state["log"][-1] == "again" else END)
    return builder


# -- parallel: branches, Send, beside a branch that asks nothing


def left(state: State) -> State:
    return {"log": [f"left {interrupt('left')}"]}


def right(state: State) -> State:
    return {"log": [f"right {interrupt('right')}"]}


async def middle(state: State) -> State:
    return {"log": ["middle"]}


def branches() -> StateGraph[Any]:
    builder = StateGraph(State)
    for node in (left, right, middle):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
    builder.add_node("finish", finish)
    builder.add_edge(["left", "right", "middle"], "finish")
    builder.add_edge("finish", END)
    return builder


def each(state: Any) -> State:
    return {"log": [f"{state['text']} {interrupt(state['text'])}"]}


def fan_out() -> StateGraph[Any]:
    builder = StateGraph(State)
    builder.add_node("each", each)
    builder.add_conditional_edges(START, lambda _: [Send("each", {"text": text}) for text in ("a", "b", "c")], ["each"])
    builder.add_edge("each", END)
    return builder


# -- subgraphs


def as_node() -> StateGraph[Any]:
    inner = graph_of(begin, ask).compile()
    builder = StateGraph(State)
    builder.add_node("inner", inner)
    builder.add_node("finish", finish)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "finish")
    builder.add_edge("finish", END)
    return builder


invoked = graph_of(begin, ask).compile()


def call_inside(state: State) -> State:
    return {"log": ["inside", *invoked.invoke({"log": []})["log"]]}


async def call_inside_async(state: State) -> State:
    return {"log": ["inside", *(await invoked.ainvoke({"log": []}))["log"]]}


# -- functional


class Note(BaseModel):
    title: str
    day: date


@task
def write_note(title: str) -> Note:
    return Note(title=title, day=date(2026, 11, 20))


@task
async def ask_about(note: Note) -> str:
    return str(interrupt({"note": note.title}))


@entrypoint()
async def functional(title: str) -> dict[str, Any]:
    note = await write_note(title)
    said = await ask_about(note)
    return {"note": f"{note.title} of {note.day.isoformat()}", "said": said}


@entrypoint()
def functional_final(number: int) -> entrypoint.final[int, int]:
    return entrypoint.final(value=number + int(interrupt("how many?")), save=number)


# -- answers that must have a shape


class Colour(BaseModel):
    name: str
    depth: int = 1


class Size(TypedDict):
    width: int


@dataclass
class Shape:
    corners: int


def typed_answers(state: State) -> State:
    colour = interrupt("Which colour?", response_schema=Colour)
    size = interrupt("Which size?", response_schema=Size)
    shape = interrupt("Which shape?", response_schema=Shape)
    choice = interrupt("Which?", response_schema={"enum": ["a", "b"]})
    return {"log": [f"{colour.name} {colour.depth} {size['width']} {shape.corners} {choice}"]}


# -- agents


@tool
def look(what: str) -> str:
    """Look something up."""
    return f"{what} found"


CALLS = [
    {"name": "pay", "args": {"amount": 10}, "id": "c1"},
    {"name": "look", "args": {"what": "the address"}, "id": "c2"},
    {"name": "send", "args": {"to": "kim"}, "id": "c3"},
]


def agent(mode: Literal["batched", "per_call"]) -> Any:
    model = ScriptedChatModel(reply)
    gate = HumanInTheLoopMiddleware(
        interrupt_on={"pay": True, "send": {"allowed_decisions": ["approve", "reject"]}}, interrupt_mode=mode
    )
    return create_agent(model, [pay, send, look], middleware=[gate])


def reply(call: ModelCall) -> AIMessage:
    """Call the tools once, then say what came of it: the same in every process."""
    if call.messages[-1].type == "tool":
        return AIMessage("done")
    return AIMessage("", tool_calls=CALLS)


def tools_said(state: dict[str, Any]) -> set[str]:
    """What the tools, or the people in their place, said at last."""
    said = [message.content for message in state["messages"] if message.type == "tool"]
    return {text.splitlines()[-1].rpartition("reason: ")[2] for text in said}


def per_call(reviews: tuple[Review, ...]) -> dict[str, Any]:
    answers = {"pay": edit({"amount": 7}), "send": reject("not today")}
    return {review.id: answers.get(review.action or "") for review in reviews}


# -- states with types of their own


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.StrEnum):
    HIGH = "high"


@dataclass
class Place:
    street: str
    opened: date


class Person(BaseModel):
    name: str
    mood: Mood
    home: Place
    level: Level = Level.HIGH
    friends: list[Person] = []


KIM = Person(
    name="kim", mood=Mood.GOOD, home=Place("Main Street", date(2020, 1, 2)), friends=[
        Person(name="dana", mood=Mood.BAD, home=Place("Side Street", date(2021, 3, 4)))
    ]
)  # fmt: skip


def check_person(person: Person, level: Level) -> str:
    assert isinstance(person, Person), type(person)
    assert isinstance(person.mood, Mood), type(person.mood)
    assert isinstance(person.home, Place), type(person.home)
    assert isinstance(person.friends[0].home.opened, date)
    assert isinstance(person.friends[0].level, Level), type(person.friends[0].level)
    # LangGraph's own PostgreSQL saver keeps a text that is a channel's whole value as a mere text
    assert level == Level.HIGH
    assert person == KIM
    return "typed"


class PydanticState(BaseModel):
    person: Person | None = None
    level: Level = Level.HIGH
    log: Annotated[list[str], operator.add] = []


@dataclass
class DataclassState:
    person: Person | None = None
    level: Level = Level.HIGH
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class TypedDictState(TypedDict, total=False):
    person: Person
    level: Level
    log: Annotated[list[str], operator.add]


class LooseState(TypedDict, total=False):
    person: Any
    level: Any
    log: Annotated[list[str], operator.add]


def fill(state: Any) -> dict[str, Any]:
    return {"person": KIM, "level": Level.HIGH, "log": ["fill"]}


def ask_typed(state: Any) -> dict[str, Any]:
    person = state["person"] if isinstance(state, dict) else state.person
    level = state["level"] if isinstance(state, dict) else state.level
    # the question itself is an object too
    said = interrupt(Place("Main Street", date(2020, 1, 2)))
    return {"log": [f"{check_person(person, level)} {said}"]}


# -- a context, custom events, synchronous nodes only, a delta channel


@dataclass
class Desk:
    owner: str
    level: Level
    place: Place


def ask_with_context(state: State, runtime: Runtime[Desk]) -> State:
    said = interrupt("Go on?")
    desk = runtime.context
    assert isinstance(desk, Desk), type(desk)
    assert isinstance(desk.level, Level), type(desk.level)
    assert isinstance(desk.place, Place), type(desk.place)
    return {"log": [f"{desk.owner} {said}"]}


def tell(state: State) -> State:
    get_stream_writer()({"progress": 0.5})
    return {"log": ["tell"]}


def append(log: list[str], writes: list[list[str]]) -> list[str]:
    return [*(log or []), *(line for write in writes for line in write)]


def ask_any(state: Any) -> dict[str, Any]:
    return {"log": [f"ask {interrupt('Go on?')}"]}


class DeltaState(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(append)]
    text: str


def read_all(state: DeltaState) -> DeltaState:
    # only the graph can add the deltas up, so what they came to is told in another key
    return {"text": " ".join(state["log"])}


# -- static breakpoints


def stepper(**options: Any) -> Any:
    return graph_of(begin, middle, finish).compile(**options)


def stepper_inside() -> StateGraph[Any]:
    builder = StateGraph(State)
    builder.add_node("inner", stepper(interrupt_before=["middle", "finish"]))
    builder.add_node("last", begin)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "last")
    builder.add_edge("last", END)
    return builder


def only(value: Any) -> Callable[[tuple[Review, ...], int], Any]:
    return lambda reviews, count: value


def in_turn(*values: Any) -> Callable[[tuple[Review, ...], int], Any]:
    return lambda reviews, count: values[count]


def last_first(reviews: tuple[Review, ...], count: int) -> Any:
    """Answer the last of several questions."""
    return {reviews[-1].id: f"yes {count}"}


def all_at_once(reviews: tuple[Review, ...], count: int) -> Any:
    return {review.id: f"yes to {review.value}" for review in reviews}


def ends_with(*log: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state["log"] == list(log)


def holds(*log: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: sorted(state["log"]) == sorted(log)


BREAK = only(approve())
STEPS = ends_with("begin", "middle", "finish")

KINDS: dict[str, Kind] = {
    "one": Kind(graph_of(begin, ask, finish), {"text": "t"}, only("yes"), ends_with("begin", "ask yes", "finish")),
    "several_in_one_node": Kind(
        graph_of(ask_thrice), {"text": "t"}, in_turn("a", None, {"c": []}), ends_with("a None {'c': []}"), pauses=3
    ),
    "loop": Kind(
        loop(), {"text": ""}, in_turn("again", "again", "good"), lambda state: state["text"] == "xxx", pauses=3
    ),
    "parallel_one_by_one": Kind(
        branches(), {"text": "t"}, last_first, holds("middle", "right yes 0", "left yes 1", "finish"), pauses=2
    ),
    "parallel_at_once": Kind(
        branches(), {"text": "t"}, all_at_once, holds("left yes to left", "right yes to right", "middle", "finish")
    ),
    "send_one_by_one": Kind(fan_out(), {"text": "t"}, last_first, holds("c yes 0", "b yes 1", "a yes 2"), pauses=3),
    "send_at_once": Kind(fan_out(), {"text": "t"}, all_at_once, ends_with("a yes to a", "b yes to b", "c yes to c")),
    "subgraph_as_node": Kind(as_node(), {"log": []}, only("yes"), ends_with("begin", "ask yes", "finish")),
    "subgraph_called": Kind(
        graph_of(begin, call_inside), {"text": "t"}, only("yes"), ends_with("begin", "inside", "begin", "ask yes")
    ),
    "subgraph_called_async": Kind(
        graph_of(call_inside_async), {"text": "t"}, only("yes"), ends_with("inside", "begin", "ask yes")
    ),
    "functional": Kind(
        functional, "hello", only("fine"),
        lambda state: state == {"value": {"note": "hello of 2026-11-20", "said": "fine"},
                                "save": {"note": "hello of 2026-11-20", "said": "fine"}},
    ),
    "functional_final": Kind(functional_final, 5, only(3), lambda state: state == {"value": 8, "save": 5}),
    "typed_answers": Kind(
        graph_of(typed_answers), {"text": "t"}, in_turn({"name": "red"}, {"width": 3}, {"corners": 4}, "b"),
        ends_with("red 1 3 4 b"), pauses=4,
    ),
    "agent_batched": Kind(
        agent("batched"), {"messages": [("user", "pay and send")]}, only([edit({"amount": 7}), reject("not today")]),
        lambda state: tools_said(state) == {"not today", "paid 7", "the address found"},
    ),
    "agent_per_call": Kind(
        agent("per_call"), {"messages": [("user", "pay and send")]}, lambda reviews, count: per_call(reviews),
        lambda state: tools_said(state) == {"not today", "paid 7", "the address found"},
    ),
    "pydantic_state": Kind(
        graph_of(fill, ask_typed, schema=PydanticState), {}, only("yes"), ends_with("fill", "typed yes")
    ),
    "dataclass_state": Kind(
        graph_of(fill, ask_typed, schema=DataclassState), {}, only("yes"), ends_with("fill", "typed yes")
    ),
    "typed_dict_state": Kind(
        graph_of(fill, ask_typed, schema=TypedDictState), {"log": []}, only("yes"), ends_with("fill", "typed yes")
    ),
    "loose_state": Kind(
        graph_of(fill, ask_typed, schema=LooseState), {"log": []}, only("yes"), ends_with("fill", "typed yes")
    ),
    "context": Kind(
        graph_of(ask_with_context, context_schema=Desk), {"text": "t"}, only("yes"), ends_with("kim yes"),
        context=Desk("kim", Level.HIGH, Place("Main Street", date(2020, 1, 2))),
    ),
    "custom_events": Kind(graph_of(tell, ask), {"text": "t"}, only("yes"), ends_with("tell", "ask yes")),
    "delta_channel": Kind(
        graph_of(begin, ask_any, read_all, schema=DeltaState), {"log": ["start"]}, only("yes"),
        lambda state: state["text"] == "start begin ask yes",
    ),
    "breakpoint_before": Kind(stepper(interrupt_before=["middle"]), {"log": []}, BREAK, STEPS),
    "breakpoint_after": Kind(stepper(interrupt_after=["begin"]), {"log": []}, BREAK, STEPS),
    "breakpoints_several": Kind(
        stepper(interrupt_before=["middle"], interrupt_after=["middle"]), {"log": []}, BREAK, STEPS, pauses=2
    ),
    "breakpoints_all": Kind(stepper(interrupt_before="*"), {"log": []}, BREAK, STEPS, pauses=3),
    "breakpoints_in_a_subgraph": Kind(
        stepper_inside(), {"log": []}, BREAK, ends_with("begin", "middle", "finish", "begin"), pauses=2
    ),
    "breakpoint_and_question": Kind(
        graph_of(begin, ask, finish).compile(interrupt_before=["ask"]), {"log": []}, in_turn(approve(), "yes"),
        ends_with("begin", "ask yes", "finish"), pauses=2,
    ),
}  # fmt: skip


def summary(verb: Callable[..., Run], *args: Any, **kwargs: Any) -> str:
    """How a run stands after a verb, on one line for a failed test's output."""
    try:
        run = verb(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{run.status} {run.error} {run.state} {[review.value for review in run.reviews]}"
