"""What users' functions may return and raise beside what they should, and what a state of one's own may hold."""

import asyncio
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore
from rich.text import Text

from adjourn.cli.adaptive_view import adaptive_line
from adjourn.errors import BudgetExceeded, InvalidInput
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import (
    Output,
    Part,
    Rules,
    Strategy,
    Task,
    Work,
    adapting,
    attempting,
    choosing,
    finishing,
    measuring,
)
from adjourn.nodes.adaptive.checking import check_constraints
from adjourn.nodes.adaptive.ensemble import voted
from adjourn.nodes.adaptive.records import standings
from adjourn.nodes.adaptive.rules import reason_of, remedies_of
from adjourn.nodes.adaptive.shipped import cached_responses, shipped_strategies, standard_processing
from adjourn.nodes.adaptive.strategies import first_available
from adjourn.state.adaptive import AdaptiveState
from adjourn.state.values import json_problem

TASK = Task("Count", ["a", "b"])
OUTPUTS: list[tuple[dict[str, Any], str]] = [
    ({"parts": 0}, "Output.parts must be a whole number of at least 1, not 0"),
    ({"parts": "many"}, "Output.parts must be a whole number"),
    ({"failures": None}, "Output.failures must be a mapping"),
    ({"failures": {"1": "a", "2": "b"}}, "2 of 1 parts"),
    ({"seconds_before": math.nan}, "Output.seconds_before must be"),
]


def raising(problem: BaseException) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise problem

    return act


async def attempted(act: Any, **state: Any) -> Any:
    given = {"main_task": "x", "current_strategy": "s", **state}
    return (await attempting({"s": act}, memory=None)(given))["attempts"][-1]


@pytest.mark.parametrize(("options", "says"), OUTPUTS)
async def test_an_output_that_makes_no_sense_fails_its_attempt_and_not_the_run(
    options: dict[str, Any], says: str
) -> None:
    assert says in (await attempted(lambda _: Output("x", **options)))["error"]


async def test_failures_of_any_kind_are_short_words_that_can_be_stored() -> None:
    failures: Any = {"\ud800\x00": ValueError("no"), 3: "x" * 100_000, "l" * 100_000: object()}
    kept = (await attempted(lambda _: Output("x", 3, failures)))["failures"]
    assert json_problem(kept) is None
    assert len(str(kept)) < 3000


async def test_a_strategy_whose_availability_cannot_be_told_is_passed_over_and_says_why() -> None:
    for available, says in (
        (raising(OSError("no folder")), "OSError: no folder"),
        (raising(SystemExit(3)), "SystemExit: 3"),
        (lambda _: True, "must return None or why not, not True"),
        (lambda _: False, "must return None or why not, not False"),
    ):
        known = {"a": Strategy(str, available), "b": Strategy(str)}
        name, refused = await first_available(["a", "b"], known, TASK)
        assert (name, says in refused["a"]) == ("b", True), refused
        assert says in (await attempted(Strategy(str, available)))["error"]
    with pytest.raises(BudgetExceeded):
        await first_available(["a"], {"a": Strategy(str, raising(BudgetExceeded("nothing left")))}, TASK)


@pytest.mark.parametrize(
    ("split", "says"),
    [
        (lambda _: ["a"], "Work.split must return"),
        (lambda _: None, "Work.split must return"),
        (lambda _: {1: "a", "1": "b"}, "two parts of the name '1'"),
    ],
)
async def test_a_split_that_is_none_is_told_what_it_should_be(split: Any, says: str) -> None:
    strategy = standard_processing(Work(lambda part: part.content, split=split))
    assert says in (await attempted(strategy))["error"]


async def test_what_a_run_may_use_is_checked_in_a_graph_of_ones_own_too() -> None:
    simple = shipped_strategies(Work(str, simple=str))["simplified_processing"]
    for given, says in (
        ({"max_workers": 0}, "max_workers must be a whole number from 1 to 100, not 0"),
        ({"max_workers": 101}, "from 1 to 100, not 101"),
        ({"timeout_seconds": "x"}, "timeout_seconds must be a number of seconds"),
        ({"timeout_seconds": math.nan}, "timeout_seconds must be a number of seconds"),
    ):
        with pytest.raises(InvalidInput, match=says):
            await asyncio.wait_for(attempted(simple, material=["a", "b"], resource_constraints=given), 5)
        with pytest.raises(InvalidInput, match=says):
            check_constraints(given)
    state: Any = {
        "attempts": [{"strategy": "s", "error": None}],
        "current_strategy": "s",
        "performance_metrics": {"accuracy": 0.1},
        "resource_constraints": {"max_attempts": "3"},
    }
    with pytest.raises(InvalidInput, match="max_attempts must be a whole number"):
        await adapting({"s": str, "t": str})(state)


def test_rules_of_ones_own_stand_beside_the_usual_ones() -> None:
    own = Rules(reasons={"cost": "too_dear", "accuracy": "wrong"}, remedies={"too_dear": ["c"]})
    assert [reason_of([name], own) for name in ("cost", "accuracy", "response_time")] == [
        "too_dear", "wrong", "slow_response",
    ]  # fmt: skip
    order = ["a", "b", "c", "cached_responses"]
    assert next(remedies_of("too_dear", "a", order, [], own)) == "c"
    assert next(remedies_of("slow_response", "a", order, [], own)) == "cached_responses"


def test_remedies_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInput, match="There is no strategy 'quik'; known: quick. Did you mean 'quick'?"):
        build(strategies={"quick": str}, rules=Rules(remedies={"slow_response": ["quik"]}))
    with pytest.raises(InvalidInput, match="a list of names, not 'quick'"):
        Rules(remedies={"slow_response": "quick"})
    build(strategies={"quick": str}, rules=Rules(reasons={"accuracy": "x"}))  # the usual ones may be missing


async def test_a_kept_answer_does_not_grow_younger_by_being_given_again() -> None:
    store, day = InMemoryStore(), datetime(2026, 1, 1, tzinfo=UTC)

    async def run(strategies: dict[str, Any], strategy: str, now: datetime) -> Any:
        graph: StateGraph[Any] = StateGraph(AdaptiveState)
        graph.add_node("attempt", attempting(strategies, memory="m"))
        graph.add_node("finish", finishing(memory="m", clock=lambda: now))
        graph.add_edge(START, "attempt").add_edge("attempt", "finish")
        return await graph.compile(store=store).ainvoke({"main_task": "x", "current_strategy": strategy})

    async def kept_at() -> Any:
        return (await store.asearch(("adjourn", "adaptive", "m", "answers")))[0].value["at"]

    # whatever name it goes by
    strategies = {"anew": lambda task: task.attempt, "kept": cached_responses()}
    await run(strategies, "anew", day)
    done = await run(strategies, "kept", day + timedelta(days=1))
    assert (done["final_result"]["result"], done["final_result"]["good"]) == (1, True)
    assert await kept_at() == day.isoformat()
    await run(strategies, "anew", day + timedelta(days=2))
    assert await kept_at() == (day + timedelta(days=2)).isoformat()


def test_a_line_that_cannot_be_drawn_is_left_out() -> None:
    events = ("chosen", "attempt", "attempted", "measured", "adapted", "finished")
    for junk in ("cut…", None, 3, [], {}):
        for event in events:
            names = (
                "strategy why records number seconds parts failed error metrics poor reason to refused decided_by good"
            )
            line = adaptive_line({"type": "adaptive", "event": event, **dict.fromkeys(names.split(), junk)})
            assert line is None or isinstance(line, Text), f"{event} with {junk!r}"


async def test_a_type_of_task_as_long_as_a_book_is_not_kept_in_each_record() -> None:
    store = InMemoryStore()
    graph = build(strategies={"s": str}, memory="m").compile(store=store)
    for thread in ("1", "2"):
        config: Any = {"configurable": {"thread_id": thread}}
        done = await graph.ainvoke({"main_task": "x", "task_type": "t" * 100_000}, config)
    assert done["start"]["why"] == "best_record"
    items = await store.asearch(("adjourn", "adaptive", "m", "records"))
    assert max(len(str(item.value)) for item in items) < 1000
    assert "ttt" not in str([item.namespace for item in items]), "namespaces are in clear, whatever the key"


def test_records_that_somebody_else_wrote_are_left_out() -> None:
    odd: Any = [
        {"attempts": 7},
        {"attempts": ["x", None, {"score": 0.5}]},
        {"attempts": [{"strategy": "a", "score": 1}]},
    ]
    assert set(standings(odd)) == {"a"}


async def test_choosing_begins_with_something_even_when_all_refuse() -> None:
    known = {"a": Strategy(str, raising(OSError("gone"))), "b": Strategy(str, lambda _: "closed")}
    state: Any = {"main_task": "x"}
    assert (await choosing(known, memory=None)(state))["current_strategy"] == "a"


async def test_a_plain_function_that_hangs_is_left_to_itself_when_its_time_is_over() -> None:
    held, ended = threading.Event(), []

    def hang(_: Any) -> None:
        held.wait(5)
        ended.append(1)

    try:
        for act in (hang, standard_processing(Work(hang))):
            late = await attempted(act, resource_constraints={"timeout_seconds": 0.02})
            assert late["error"] == "there was no result after 0.02 seconds"
            assert not ended, "nobody waited for it"
    finally:
        held.set()


async def test_a_node_that_is_stopped_stops_and_is_no_attempt_that_failed() -> None:
    begun = asyncio.Event()

    async def act(_: Task) -> None:
        begun.set()
        await asyncio.Event().wait()

    node = asyncio.create_task(attempted(act))
    await begun.wait()
    node.cancel()
    with pytest.raises(asyncio.CancelledError):
        await node


async def test_a_strategy_is_told_why_it_is_tried_and_the_best_result_so_far() -> None:
    told: list[Task] = []

    def tried(task: Task) -> Any:
        told.append(task)
        return {"n": task.attempt}

    measurers = {"response_time": lambda attempted: [0.3, 0.1, 1.0][attempted.result["n"] - 1]}
    graph = build(strategies=dict.fromkeys("abc", tried), measurers=measurers, memory=None).compile()
    await graph.ainvoke({"main_task": "x", "task_type": "t", "resource_constraints": {"max_workers": 3}})
    assert [(task.attempt, task.reason, task.best_result) for task in told] == [
        (1, None, None),
        (2, "slow_response", {"n": 1}),
        (3, "slow_response", {"n": 1}),
    ]
    assert {(task.task_type, task.max_workers) for task in told} == {("t", 3)}


async def test_what_a_person_refused_is_not_kept_and_what_a_person_took_is() -> None:
    store = InMemoryStore()
    graph: StateGraph[Any] = StateGraph(AdaptiveState)
    graph.add_node("finish", finishing(memory="m"))
    graph.add_edge(START, "finish")
    finish = graph.compile(store=store)
    word: Any = {"by": "dana", "at": "", "decision": "", "message": None}
    for decision, kept in (("reject", 0), ("respond", 1)):
        state = {"main_task": "x", "human_decision": decision, "human_result": "y", "human_interactions": [word]}
        await finish.ainvoke(state)
        assert len(await store.asearch(("adjourn", "adaptive", "m", "answers"))) == kept


async def test_the_runs_own_trouble_is_no_abstention_of_a_voter() -> None:
    class Poor:
        def __call__(self, part: Part) -> str:
            return "mine"

        async def vote(self, part: Part, answers: Any) -> Any:
            raise BudgetExceeded("nothing left")

    for voters in ({"a": str, "b": raising(BudgetExceeded("nothing left"))}, {"a": str, "b": Poor()}):
        with pytest.raises(BudgetExceeded):
            await voted(Part(TASK, "1", "x"), voters)


def test_names_are_words() -> None:
    for name in (1, "", " ", "a\x00b", "half \ud800", "a\nb"):
        with pytest.raises(InvalidInput, match="A strategy has a name in words"):
            build(strategies={name: str})  # type: ignore[dict-item]
        with pytest.raises(InvalidInput, match="A metric has a name in words"):
            build(measurers={name: len})  # type: ignore[dict-item]


async def test_the_target_of_a_run_comes_before_that_of_its_workflow() -> None:
    attempt = await attempted(lambda _: "x")
    for own, expected in (({}, 1.0), ({"target_seconds": 1.0}, 0.5)):
        state: Any = {"attempts": [{**attempt, "seconds": 2.0}], "result": "x", "resource_constraints": own}
        measured = await measuring(memory=None, target_seconds=2.0)(state)
        assert measured["performance_metrics"]["response_time"] == expected
