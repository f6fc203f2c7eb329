"""What may be stored is what will come back."""

import asyncio
import enum
from dataclasses import dataclass
from typing import Any, TypedDict

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS, JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from adjourn.checkpoints import Saver, Storage, open_saver
from adjourn.checkpoints.serde import serializer
from adjourn.errors import InvalidInput
from support.processes import child
from support.saving import config, put


@dataclass
class Money:
    amount: int


class Colour(enum.Enum):
    RED = "red"


class Offer(BaseModel):
    price: Money
    colour: Colour


class State(TypedDict):
    price: Any


def test_a_type_that_is_not_listed_is_refused_when_it_is_written() -> None:
    with pytest.raises(InvalidInput) as caught:
        serializer().dumps_typed({"deep": [{"inside": Money(3)}]})
    assert f'("{__name__}", "Money")' in str(caught.value)
    assert "open_saver(allow=[…])" in str(caught.value)


def test_a_type_inside_a_listed_type_must_be_listed_too() -> None:
    with pytest.raises(InvalidInput, match="Colour"):
        serializer([Offer, Money]).dumps_typed(Offer(price=Money(1), colour=Colour.RED))


@pytest.mark.parametrize("value", [Money(1), Colour.RED, Offer(price=Money(1), colour=Colour.RED), [Money(2)]])
def test_listed_types_come_back_as_they_were(value: object) -> None:
    serde = serializer([Money, (__name__, "Colour"), Offer])
    assert serde.loads_typed(serde.dumps_typed(value)) == value


@pytest.mark.parametrize(
    "value", [None, b"x", "text", [1, {"a": (2,)}], HumanMessage("hi"), [AIMessage("yes")], {1, 2}]
)
def test_plain_data_and_messages_need_no_list(value: object) -> None:
    stock = JsonPlusSerializer()
    assert serializer().dumps_typed(value) == stock.dumps_typed(value)


def test_strict_can_be_switched_off() -> None:
    serde = serializer(strict=False)
    assert serde.loads_typed(serde.dumps_typed(Money(3))) == Money(3)


def test_a_payload_made_by_hand_that_names_a_callable_calls_nothing(tmp_path: Any) -> None:
    proof = tmp_path / "called"
    inner = ormsgpack.packb(("os", "system", (f"touch {proof}",)))
    payload = ormsgpack.packb(ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS, inner))
    assert serializer().loads_typed(("msgpack", payload)) == [f"touch {proof}"]
    assert not proof.exists()
    with pytest.raises(NotImplementedError):
        serializer().loads_typed(("pickle", b"cos\nsystem\n(S'true'\ntR."))


async def test_a_run_with_an_unlisted_type_fails_with_the_line_to_add(storage: Storage) -> None:
    builder = StateGraph(State)
    builder.add_node("offer", lambda state: {"price": Money(1)})
    builder.add_edge(START, "offer")
    builder.add_edge("offer", END)
    with pytest.raises(InvalidInput, match=r"'price'.*Money") as caught:
        await builder.compile(checkpointer=storage.saver).ainvoke({"price": 0}, config("t"))
    assert caught.value.thread_id == "t"


async def test_the_line_to_add_is_all_that_it_takes(database: str) -> None:
    async with open_saver(database, allow=[Money, (__name__, "Colour")]) as saver:
        await put(saver, "t", price=[Money(5)], colour=Colour.RED)
        found = await saver.aget_tuple(config("t"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"price": [Money(5)], "colour": Colour.RED}


async def test_a_question_that_would_come_back_changed_is_refused_before_anybody_is_asked(storage: Storage) -> None:
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"price": interrupt(Money(1))})
    builder.add_edge(START, "ask")
    with pytest.raises(InvalidInput, match="Money"):
        await builder.compile(checkpointer=storage.saver).ainvoke({"price": 0}, config("t"))


async def test_the_error_of_a_node_is_always_stored(storage: Storage) -> None:
    class Odd(Exception):
        def model_dump(self) -> object:
            return object()

    def fail(state: State) -> None:
        raise Odd("the reason")

    builder = StateGraph(State)
    builder.add_node("fail", fail)
    builder.add_edge(START, "fail")
    with pytest.raises(Odd):
        await builder.compile(checkpointer=storage.saver).ainvoke({"price": 0}, config("t"))
    found = await storage.saver.aget_tuple(config("t"))
    assert found is not None
    assert [value for _, channel, value in found.pending_writes or [] if channel == "__error__"] == [
        "Odd('the reason')"
    ]


async def test_copies_with_other_lists_work_side_by_side(storage: Storage) -> None:
    copies: list[Any] = [storage.saver, storage.saver.with_allowlist({(__name__, "Money")})]
    outcomes = await asyncio.gather(
        *(put(copies[n % 2], f"t{n}", price=[Money(n)]) for n in range(20)), return_exceptions=True
    )
    assert [isinstance(outcome, InvalidInput) for outcome in outcomes] == [True, False] * 10
    for n in range(1, 20, 2):
        found = await copies[1].aget_tuple(config(f"t{n}"))
        assert found.checkpoint["channel_values"] == {"price": [Money(n)]}
    assert isinstance(copies[1], Saver)


def test_a_resumed_run_in_a_second_process_gets_every_type_of_the_state(database: str) -> None:
    program = """
        import asyncio, enum, sys
        from dataclasses import dataclass
        from typing import Any, TypedDict
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import Command, interrupt
        from pydantic import BaseModel
        from adjourn.checkpoints import graph_types, open_saver

        @dataclass
        class Money:
            amount: int

        class Colour(enum.Enum):
            RED = "red"

        class Offer(BaseModel):
            price: Money
            colour: Colour

        class State(TypedDict):
            offer: Offer
            tags: set[str]
            answer: str

        builder = StateGraph(State)
        builder.add_node("offer", lambda state: {"offer": Offer(price=Money(3), colour=Colour.RED), "tags": {"a"}})
        builder.add_node("ask", lambda state: {"answer": interrupt("ok?")})
        builder.add_edge(START, "offer"); builder.add_edge("offer", "ask"); builder.add_edge("ask", END)

        async def main():
            async with open_saver(sys.argv[1]) as saver:
                graph = builder.compile(checkpointer=saver.with_allowlist(graph_types(builder)))
                given = {"tags": set()} if sys.argv[2] == "first" else Command(resume="yes")
                ended = await graph.ainvoke(given, {"configurable": {"thread_id": "t"}}, durability="sync")
                if sys.argv[2] == "second":
                    assert ended == {"offer": Offer(price=Money(3), colour=Colour.RED), "tags": {"a"}, "answer": "yes"}
        asyncio.run(main())
    """
    for part in ("first", "second"):
        with child(program, database, part) as process:
            process.finish()
