"""The workflow `adaptive` through the engine: attempts, reasons, people, memory, and what is refused."""

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from adjourn import AsyncEngine, Principal, approve, edit, reject, respond
from adjourn.errors import BudgetExceeded, InvalidInput, LeaseLost
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import Part, Strategy, Task, Work, measuring, shipped_strategies
from adjourn.nodes.adaptive.checking import check_constraints
from adjourn.state.adaptive import AdaptiveState, has_attempts
from adjourn.testing import ModelServer
from benchmarks.adaptive import NAMES, world_of

_numbers = itertools.count()
Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


def of(name: str) -> Callable[[Any], float]:
    return lambda attempted: attempted.result[name]


TOLD = {"response_time": of("time"), "accuracy": of("accuracy")}


def gives(time: Any = 1.0, accuracy: Any = 1.0, **more: Any) -> Callable[[Task], Any]:
    """A strategy whose metrics are said beforehand."""
    return lambda task: {"time": time, "accuracy": accuracy, **more}


@pytest.fixture
def opened(adaptive_database: str) -> Open:
    """Open an engine whose workflow `a` is built with what the test says, with a memory of its own."""

    def open_with(*, tenant: str = "default", **options: Any) -> AbstractAsyncContextManager[AsyncEngine]:
        options = {"measurers": TOLD, "memory": f"test {next(_numbers)}", **options}
        principal = Principal("kim", tenant=tenant)
        return AsyncEngine.open(adaptive_database, workflows={"a": build(**options)}, principal=principal)

    return open_with


async def test_a_slow_strategy_is_changed_for_the_first_that_helps_and_the_history_says_why(opened: Open) -> None:
    strategies = {
        **shipped_strategies(Work(lambda part: part.content)),
        "standard_processing": gives(time=0.2),
        "parallel_execution": Strategy(gives(), lambda task: "no room today"),
        "simplified_processing": gives(time=0.9, accuracy=0.8),
    }
    async with opened(strategies=strategies) as engine:
        run = await engine.start("a", {"main_task": "Do it."})
    state = run.state
    assert run.status == "completed"
    (change,) = state["adaptation_history"]
    assert (change["from"], change["to"], change["reason"]) == (
        "standard_processing", "simplified_processing", "slow_response",
    )  # fmt: skip
    assert change["metrics_before"] == {"response_time": 0.2, "accuracy": 1.0}
    assert [each["poor"] for each in state["attempts"]] == [["response_time"], []]
    assert state["performance_metrics"] == {"response_time": 0.9, "accuracy": 0.8}
    assert state["current_strategy"] == "simplified_processing"
    final = state["final_result"]
    assert (final["strategy"], final["decided_by"], final["good"], final["attempts"]) == (
        "simplified_processing", "metrics", True, 2,
    )  # fmt: skip
    assert has_attempts(state)
    assert json.dumps(state)


async def test_low_accuracy_asks_a_person_whose_word_is_the_result(opened: Open) -> None:
    strategies = {**shipped_strategies(), "standard_processing": gives(accuracy=0.3, answer="perhaps")}
    async with opened(strategies=strategies, memory="law") as engine:
        run = await engine.start("a", {"main_task": "Is it lawful?"})
        assert run.status == "paused"
        (review,) = run.reviews
        assert run.state["adaptation_history"][-1]["to"] == "human_in_loop"
        assert "1 attempt was not good enough (low_accuracy); a person comes next." in review.description
        assert review.args["result"]["answer"] == "perhaps"
        (shown,) = review.context["attempts"]
        assert shown.endswith(" s: response_time 1.00, accuracy 0.30 (below 0.7)")
        run = await engine.resume(run.thread_id, respond("It is."), by="dana")
        final = run.state["final_result"]
        assert (final["result"], final["strategy"], final["decided_by"]) == ("It is.", "human_in_loop", "dana")
    # what a person said is kept for whoever asks exactly the same again
    async with opened(strategies=strategies, memory="law", measurers={"accuracy": lambda _: 0.9}) as engine:
        again = await engine.start("a", {"main_task": "Is it lawful?", "current_strategy": "cached_responses"})
        assert (again.status, again.state["final_result"]["result"]) == ("completed", "It is.")


async def paused(engine: AsyncEngine) -> Any:
    run = await engine.start("a", {"main_task": "x"})
    assert (run.status, run.state["adaptation_history"][-1]["to"]) == ("paused", None)
    assert "2 attempts were not good enough (slow_response); no other is made by itself." in run.reviews[0].description
    return run


async def test_at_the_limit_a_person_takes_corrects_replaces_or_refuses_the_best_result(opened: Open) -> None:
    strategies = {"a": gives(time=0.4, n=1), "b": gives(time=0.3, n=2), "c": gives(n=3), "d": gives(time=0.1)}
    async with opened(strategies=strategies, max_attempts=2, memory=None) as engine:
        answers = (approve(), edit({"result": {"n": 7}}), respond("seven"), reject("none of it"))
        finals = []
        for answer in answers:
            run = await engine.resume((await paused(engine)).thread_id, answer, by="dana")
            final = run.state["final_result"]
            assert (final["decided_by"], final["good"], final["attempts"]) == ("dana", False, 2)
            finals.append((final["strategy"], final["result"]))
        assert finals == [
            ("a", {"time": 0.4, "accuracy": 1.0, "n": 1}),
            ("human_in_loop", {"n": 7}),
            ("human_in_loop", "seven"),
            (None, None),
        ]
        run = await engine.resume((await paused(engine)).thread_id, edit({"strategy": "d"}), by="dana")
        assert run.status == "paused"  # one more attempt, and no more than that
        assert [each["strategy"] for each in run.state["attempts"]] == ["a", "b", "d"]
        run = await engine.resume(run.thread_id, edit({"strategy": "c"}), by="dana")
        assert (run.status, run.state["final_result"]["strategy"]) == ("completed", "c")
        assert run.state["final_result"]["decided_by"] == "metrics"
        run = await paused(engine)
        with pytest.raises(Exception, match="strategy"):
            await engine.resume(run.thread_id, edit({"strategy": "e"}), by="dana")


async def test_a_strategy_that_fails_is_followed_by_the_next_in_order(opened: Open) -> None:
    def broken(task: Task) -> Any:
        raise ValueError("no luck")

    strategies = {"human_in_loop": shipped_strategies()["human_in_loop"], "a": broken, "b": gives()}
    async with opened(strategies=strategies) as engine:
        run = await engine.start("a", {"main_task": "x"})
    first, second = run.state["attempts"]
    assert (first["strategy"], first["error"], second["strategy"]) == ("a", "ValueError: no luck", "b")
    assert first["performance_metrics"] == {"response_time": 0.0, "accuracy": 0.0}
    assert run.state["adaptation_history"][0]["reason"] == "multiple_performance_issues"


async def test_what_worked_is_where_the_next_run_of_the_same_type_begins(opened: Open, adaptive_database: str) -> None:
    strategies = {"a": gives(time=0.1), "parallel_execution": gives(time=0.9), "c": gives()}
    memory = "kinds"

    async def started(task_type: str, **more: Any) -> Any:
        async with opened(strategies=strategies, memory=memory, **more) as engine:
            run = await engine.start("a", {"main_task": "x", "task_type": task_type})
            return run.state["start"], [each["strategy"] for each in run.state["attempts"]]

    start, tried = await started("invoices")
    assert (start["strategy"], start["why"], tried) == ("a", "first_in_order", ["a", "parallel_execution"])
    start, tried = await started("invoices")
    assert (start["strategy"], start["why"], tried) == ("parallel_execution", "best_record", ["parallel_execution"])
    assert start["records"]["a"]["mean"] < 0.5 < start["records"]["parallel_execution"]["mean"]
    # other types, tenants and memories know nothing of it
    assert (await started("letters"))[0]["strategy"] == "a"
    assert (await started("invoices", tenant="another"))[0]["strategy"] == "a"
    memory = "other kinds"
    assert (await started("invoices"))[0]["strategy"] == "a"
    with psycopg.connect(adaptive_database) as connection:
        prefixes = connection.execute(
            "select prefix from store where prefix like '%adaptive.kinds.records.%'"
        ).fetchall()
    assert len(prefixes) == 4, "one item for each run"


async def test_a_process_that_lost_the_run_cannot_put_an_older_record_back(adaptive_database: str) -> None:
    measure = measuring(TOLD, memory="late")
    found = "from store where prefix like '%adaptive.late.records.%'"

    async def wakes_up_late(state: Any) -> Any:
        await measure(state)
        with psycopg.connect(adaptive_database) as other:
            other.execute("update adjourn.leases set token = nextval('adjourn.lease_tokens'), owner = 'other'")
            other.execute(
                'update store set value = \'{"attempts": "of the other"}\' ' + found.removeprefix("from store ")
            )
        with pytest.raises(LeaseLost, match="nothing was put into the memory"):
            await measure(state)
        raise OSError("gone")

    workflow = build(strategies={"a": gives()}, measurers=TOLD, memory="late")
    workflow.nodes["measure"].runnable.afunc = wakes_up_late  # type: ignore[union-attr]
    async with AsyncEngine.open(adaptive_database, workflows={"a": workflow}) as engine:
        await engine.start("a", {"main_task": "x"})
    with psycopg.connect(adaptive_database) as connection:
        assert connection.execute(f"select value {found}").fetchall() == [({"attempts": "of the other"},)]


async def test_a_record_is_written_once_however_often_its_node_runs(opened: Open, adaptive_database: str) -> None:
    measure = measuring(TOLD, memory="once")
    failed: list[int] = []

    async def fails_once(state: Any) -> Any:
        done = await measure(state)
        if not failed:
            failed.append(1)
            raise OSError("gone")
        return done

    workflow = build(strategies={"a": gives(time=0.1), "b": gives()}, measurers=TOLD, memory="once")
    workflow.nodes["measure"].runnable.afunc = fails_once  # type: ignore[union-attr]
    async with AsyncEngine.open(adaptive_database, workflows={"a": workflow}) as engine:
        run = await engine.start("a", {"main_task": "x"})
        assert run.status == "failed"
        assert (await engine.retry(run.thread_id)).status == "completed"
    with psycopg.connect(adaptive_database) as connection:
        ((key, value),) = connection.execute(
            "select key, value from store where prefix like '%adaptive.once.records.%'"
        ).fetchall()
    assert key == run.thread_id
    assert [each["strategy"] for each in value["attempts"]] == ["a", "b"]


async def test_only_the_last_runs_and_answers_are_kept(
    opened: Open, adaptive_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.nodes.adaptive.memory.RUNS", 2)
    monkeypatch.setattr("adjourn.nodes.adaptive.memory.ANSWERS", 3)
    async with opened(strategies={"a": gives()}, memory="little") as engine:
        runs = [(await engine.start("a", {"main_task": str(turn)})).thread_id for turn in range(5)]
    with psycopg.connect(adaptive_database) as connection:
        kept = connection.execute("select prefix, key from store where prefix like '%adaptive.little.%'").fetchall()
    assert sorted(key for prefix, key in kept if ".records." in prefix) == sorted(runs[-2:])
    assert len([key for prefix, key in kept if prefix.endswith(".answers")]) == 3


async def test_a_measurer_that_is_wrong_fails_the_run_stores_nothing_and_can_be_mended(
    opened: Open, adaptive_database: str
) -> None:
    made: list[str] = []

    def once_made(task: Task) -> Any:
        made.append(task.idempotency_key)
        return {"time": 1.0, "accuracy": 1.7}

    async with opened(strategies={"s": once_made}, memory="wrong") as engine:
        run = await engine.start("a", {"main_task": "x"})
        assert (run.status, run.error["type"], run.error["node"]) == ("failed", "InvalidInput", "measure")
        assert (
            "The metric 'accuracy' must be a number from 0 (poor) to 1 (good), not the float 1.7"
            in run.error["message"]
        )
        assert "performance_metrics" not in run.state
    with psycopg.connect(adaptive_database) as connection:
        assert connection.execute("select 1 from store where prefix like '%adaptive.wrong.%'").fetchall() == []
    async with opened(strategies={"s": once_made}, measurers={"accuracy": lambda _: 0.9}) as engine:
        run = await engine.retry(run.thread_id)
    assert (run.status, len(made)) == ("completed", 1)
    assert made[0], "an attempt has an idempotency key"


@pytest.mark.parametrize("plain", [True, False])
async def test_a_measurer_that_takes_too_long_fails_the_run_as_one_that_raises(opened: Open, plain: bool) -> None:
    made: list[Task] = []
    forgotten = threading.Event()

    async def hangs(attempted: Any) -> float:
        await asyncio.Event().wait()
        return 1.0

    async with opened(
        strategies={"s": lambda task: made.append(task)},
        measurers={"accuracy": (lambda attempted: forgotten.wait()) if plain else hangs},
        measuring_timeout=0.05,
    ) as engine:
        run = await engine.start("a", {"main_task": "x"})
        forgotten.set()
    assert (run.status, run.error["type"], run.error["node"]) == ("failed", "TimeoutError", "measure")
    assert "The measurer of 'accuracy' gave no number within 0.05 seconds" in run.error["message"]
    async with opened(strategies={"s": gives()}, measurers={"accuracy": lambda _: 0.9}) as engine:
        assert (await engine.retry(run.thread_id)).status == "completed"
    assert len(made) == 1


async def test_a_time_out_of_a_measurers_own_is_told_as_it_is(opened: Open) -> None:
    def raises(attempted: Any) -> float:
        raise TimeoutError("the judge is asleep")

    async with opened(strategies={"s": gives()}, measurers={"accuracy": raises}) as engine:
        run = await engine.start("a", {"main_task": "x"})
    assert run.error["message"] == "the judge is asleep"


async def test_parts_that_are_kept_are_not_done_again_and_their_time_still_counts(opened: Open) -> None:
    asked: list[str] = []

    def index(part: Part) -> str:
        asked.append(part.content)
        if part.content in "ab":
            time.sleep(0.05)
        if part.content == "c" and asked.count("c") == 1:
            raise BudgetExceeded("nothing left")
        return str(part.content).upper()

    for keep, expected in ((True, "abccd"), (False, "abcabcd")):
        asked.clear()
        async with opened(work=Work(index, keep_parts=keep), measurers=None) as engine:
            run = await engine.start("a", {"main_task": "x", "material": ["a", "b", "c", "d"]})
            assert (run.status, run.error["type"]) == ("failed", "BudgetExceeded")
            run = await engine.retry(run.thread_id)
        assert "".join(asked) == expected
        assert run.state["final_result"]["result"]["answer"] == "A\n\nB\n\nC\n\nD"
        assert run.state["attempts"][0]["seconds"] > 0.1, "what was done before counts"


async def test_a_bad_input_is_refused_with_what_would_be_right_and_nothing_is_stored(opened: Open) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        (
            {"quality_thresholds": {"accuracy": 1.5}},
            "The threshold of 'accuracy' must be a number from 0 to 1, not 1.5",
        ),
        ({"quality_thresholds": {"accuracy": True}}, "must be a number from 0 to 1, not True"),
        (
            {"quality_thresholds": {"speed": 0.5}},
            "'speed', which is not measured here; measured: response_time, accuracy",
        ),
        ({"quality_thresholds": [0.5]}, "quality_thresholds must be a mapping"),
        ({"fallback_strategies": []}, "fallback_strategies is an empty list"),
        ({"fallback_strategies": "standard_processing"}, "must be a list of names"),
        (
            {"fallback_strategies": ["parallel_exection"]},
            "known: standard_processing, parallel_execution, .*Did you mean",
        ),
        ({"current_strategy": "magic"}, "There is no strategy 'magic'; known: standard_processing"),
        ({"resource_constraints": {"max_attempts": 0}}, "max_attempts must be a whole number of at least 1, not 0"),
        ({"resource_constraints": {"target_seconds": -1}}, "target_seconds must be a number of seconds above 0"),
        ({"resource_constraints": {"people": "no"}}, "people must be true or false"),
        ({"resource_constraints": {"workers": 3}}, "There is no resource constraint 'workers'; known: target_seconds"),
        ({"task_type": 7}, "task_type"),
        (
            {"performance_metrics": {"accuracy": 2}},
            r"performance_metrics.*current_strategy \(str\), .*constraints \(dict\)",
        ),
    ]
    async with opened() as engine:
        before = len(await engine.runs(limit=1000))
        for given_too, says in bad:
            with pytest.raises(InvalidInput, match=says):
                await engine.start("a", {"main_task": "x", **given_too})
        with pytest.raises(InvalidInput, match="main_task"):
            await engine.start("a", {})
        assert len(await engine.runs(limit=1000)) == before
    with pytest.raises(InvalidInput, match="resource_constraints must be a mapping"):
        check_constraints([1])


async def test_a_run_may_allow_less_than_the_workflow_and_say_where_to_begin(opened: Open) -> None:
    poor = {name: gives(time=0.1) for name in "abcd"}
    async with opened(strategies=poor, max_attempts=3) as engine:

        async def tried(**more: Any) -> list[str]:
            run = await engine.start("a", {"main_task": "x", **more})
            return [each["strategy"] for each in run.state["attempts"]]

        assert await tried(resource_constraints={"max_attempts": 1}, current_strategy="b") == ["b"]
        assert await tried(resource_constraints={"max_attempts": 9}, current_strategy="a") == ["a", "b", "c"]
        assert await tried(fallback_strategies=["d", "c"], current_strategy="a") == ["a", "d", "c"]
        run = await engine.start("a", {"main_task": "x", "quality_thresholds": {"response_time": 0.1}})
        assert run.status == "completed"


async def test_a_strategy_that_was_named_and_is_not_available_is_an_attempt_that_says_so(opened: Open) -> None:
    strategies = {**shipped_strategies(Work(lambda part: part.content)), "parallel_execution": gives()}
    async with opened(strategies=strategies) as engine:
        run = await engine.start("a", {"main_task": "x", "current_strategy": "multi_model_ensemble"})
        first = run.state["attempts"][0]
        assert first["error"] == "not available: the work has no two voters (Work.voters)"
        run = await engine.start("a", {"main_task": "x", "fallback_strategies": ["human_in_loop"]})
        assert "A person is to do this task." in run.reviews[0].description
        assert "approve" not in run.reviews[0].allowed  # there is nothing to approve yet
        run = await engine.resume(run.thread_id, respond("Done."), by="dana")
    assert (run.state["final_result"]["result"], run.state["final_result"]["attempts"]) == ("Done.", 0)


async def test_models_that_are_not_sure_are_followed_by_several_that_vote_over_http(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(asked: Any) -> Any:
        if "ANSWERS" in asked.last_text:
            return {"decision": "bo", "confidence": 0.9, "reason": "It says how many."}
        return {"answer": f"as {asked.model} sees it", "confidence": 0.4}

    with ModelServer(reply) as server:
        for variable, value in server.environment().items():
            monkeypatch.setenv(variable, value)
        models = {name: f"openai:gpt-5-{size}" for name, size in {"ada": "mini", "bo": "nano", "cy": "pro"}.items()}
        async with opened(work=Work(models["ada"], voters=models), measurers=None) as engine:
            given = {"main_task": "How many?", "material": "a b c", "resource_constraints": {"people": False}}
            run = await engine.start("a", given)
    assert [each["strategy"] for each in run.state["attempts"]] == ["standard_processing", "multi_model_ensemble"]
    assert run.state["adaptation_history"][0]["reason"] == "low_accuracy"
    final = run.state["final_result"]
    assert (final["result"]["answer"], final["result"]["agreement"]) == ("as gpt-5-nano sees it", 1.0)


async def test_through_the_engine_remembering_needs_fewer_attempts_than_the_fixed_order(opened: Open) -> None:
    world = world_of(1, mixed=False)
    counts = {}
    for memory in (None, "world"):
        chance = random.Random(3)

        def strategy(name: str, chance: random.Random = chance) -> Callable[[Task], Any]:
            return lambda task: world.attempt(name, chance)

        measurers = {"response_time": of("response_time"), "accuracy": of("accuracy")}
        options = {"strategies": {name: strategy(name) for name in NAMES}, "measurers": measurers, "memory": memory}
        async with opened(**options) as engine:
            runs = [await engine.start("a", {"main_task": str(turn)}) for turn in range(3)]
        counts[memory] = [len(run.state["attempts"]) for run in runs]
    assert counts == {None: [3, 3, 3], "world": [3, 1, 1]}


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), limit=st.integers(1, 6), count=st.integers(1, 5))
def test_it_never_goes_on_beyond_its_limit(seed: int, limit: int, count: int) -> None:
    chance = random.Random(seed)

    def luck(task: Task) -> Any:
        if chance.random() < 0.2:
            raise ValueError("no luck")
        return {"time": chance.random(), "accuracy": chance.random()}

    names = [*chance.sample([*NAMES, "x", "y"], count)]
    strategies: dict[str, Any] = dict.fromkeys(names, luck)
    if chance.random() < 0.5:
        strategies["human_in_loop"] = shipped_strategies()["human_in_loop"]
    graph = build(strategies=strategies, measurers=TOLD, max_attempts=limit).compile(InMemorySaver())

    async def drive() -> Any:
        config: Any = {"configurable": {"thread_id": "t"}}
        return await graph.ainvoke({"main_task": "x"}, config)

    state = asyncio.run(drive())
    tried = [each["strategy"] for each in state.get("attempts", [])]
    assert 1 <= len(tried) <= min(limit, count)
    assert len(set(tried)) == len(tried)
    assert ("final_result" in state) != ("__interrupt__" in state)
    assert len(state.get("adaptation_history", [])) == len(tried) - ("final_result" in state)


async def test_single_nodes_fit_a_graph_of_your_own(opened: Open, adaptive_database: str) -> None:
    from adjourn.nodes.adaptive import after_measuring, attempting

    class Own(AdaptiveState, total=False):
        mine: str

    graph = StateGraph(Own)
    graph.add_node("go", attempting({"quick": gives(accuracy=0.6)}))
    graph.add_node("look", measuring(TOLD, memory=None))
    graph.add_edge(START, "go").add_edge("go", "look")
    graph.add_conditional_edges("look", after_measuring, {"finish": "__end__", "adapt": "__end__"})
    async with AsyncEngine.open(adaptive_database, workflows={"own": graph}) as engine:
        run = await engine.start("own", {"main_task": "x", "current_strategy": "quick", "mine": "yes"})
        assert run.state["attempts"][0]["poor"] == ["accuracy"]
        run = await engine.start("own", {"main_task": "x", "current_strategy": "quik"})
        assert "There is no strategy 'quik'; known: quick. Did you mean 'quick'?" in run.error["message"]
