"""The strategies that ship are real behaviours, shown without an engine: what they do, at the same time or not, and
when not."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore

from adjourn.errors import BudgetExceeded, InvalidInput, RunFailed
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import (
    Attempted,
    Output,
    Part,
    Strategy,
    Task,
    Work,
    accuracy,
    adapting,
    attempting,
    choosing,
    completeness,
    response_time,
    shipped_strategies,
)
from adjourn.nodes.adaptive.ensemble import elected, elected_field_by_field, voted
from adjourn.nodes.adaptive.memory import keep_answer, kept_answer
from adjourn.nodes.adaptive.models import ModelWorker
from adjourn.nodes.adaptive.shipped import cached_responses
from adjourn.nodes.adaptive.strategies import first_available
from adjourn.nodes.adaptive.work import combined, parts_of, pieces, split_material
from adjourn.state.adaptive import AdaptiveState
from adjourn.testing import ModelServer

TASK = Task("Count", ["a", "b", "c", "d"], memory="c")


def shout(part: Part) -> str:
    return str(part.content).upper()


async def made(strategy: str, work: Work, task: Task = TASK) -> Output:
    return await shipped_strategies(work)[strategy].attempt(task)


async def refused(strategy: str, work: Work, task: Task = TASK) -> str | None:
    return await shipped_strategies(work)[strategy].refuses(task)


class Crowd:
    """A worker that goes on when so many are inside at once, and keeps how many there were at most."""

    def __init__(self, wanted: int) -> None:
        self._all = threading.Barrier(wanted, timeout=10)
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def __call__(self, part: Part) -> str:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            self._all.wait()
        finally:
            with self._lock:
                self._inside -= 1
        return shout(part)


async def test_standard_processing_does_one_part_after_the_other_and_parallel_execution_all_at_once() -> None:
    alone, together = Crowd(1), Crowd(4)
    assert (await made("standard_processing", Work(alone))).result["parts"] == {"1": "A", "2": "B", "3": "C", "4": "D"}
    assert alone.most == 1
    output = await made("parallel_execution", Work(together))  # nobody would go on if they were not all inside
    assert (together.most, output.parts, output.result["answer"]) == (4, 4, "A\n\nB\n\nC\n\nD")
    two = Crowd(2)
    await made(
        "parallel_execution", Work(two), Task("Count", ["a", "b", "c", "d"], resource_constraints={"max_workers": 2})
    )
    assert two.most == 2


async def test_the_other_strategies_do_the_parts_at_the_same_time_too() -> None:
    for name, work_of in (
        ("simplified_processing", lambda crowd: Work(shout, simple=crowd)),
        ("detailed_analysis", lambda crowd: Work(shout, thorough=crowd)),
        ("multi_model_ensemble", lambda crowd: Work(shout, voters={"crowd": crowd, "ada": shout})),
    ):
        crowd = Crowd(4)
        await made(name, work_of(crowd))
        assert crowd.most == 4, name


async def test_async_workers_are_at_work_at_the_same_time_too() -> None:
    inside, everybody = 0, asyncio.Event()

    async def meet(part: Part) -> int:
        nonlocal inside
        inside += 1
        if inside == 4:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 10)
        return inside

    assert (await made("parallel_execution", Work(meet))).parts == 4


async def test_there_is_no_parallel_execution_of_one_part_or_by_one_worker() -> None:
    assert await refused("parallel_execution", Work(shout)) is None
    assert "only one part" in str(await refused("parallel_execution", Work(shout), Task("Count", "short")))
    alone = Task("Count", ["a", "b"], resource_constraints={"max_workers": 1})
    assert "max_workers" in str(await refused("parallel_execution", Work(shout), alone))


async def test_simplified_processing_takes_the_simpler_way_and_detailed_analysis_the_thorough_one() -> None:
    work = Work(shout, simple=lambda part: part.content, thorough=lambda part: part.content * 2)
    assert (await made("simplified_processing", work)).result["parts"]["1"] == "a"
    assert (await made("detailed_analysis", work)).result["parts"]["1"] == "aa"
    assert "Work.simple" in str(await refused("simplified_processing", Work(shout)))
    assert "Work.thorough" in str(await refused("detailed_analysis", Work(shout)))


async def test_a_part_that_fails_costs_only_itself_and_the_attempt_fails_when_all_do() -> None:
    def picky(part: Part) -> str:
        if part.content in "bc":
            raise ValueError(f"no {part.content}\x00")
        return shout(part)

    output = await made("parallel_execution", Work(picky))
    assert output.result["parts"] == {"1": "A", "4": "D"}
    assert output.failures == {"2": "ValueError: no b\\x00", "3": "ValueError: no c\\x00"}
    with pytest.raises(RunFailed, match="No part has a result: ValueError: no b"):
        await made("standard_processing", Work(picky), Task("Count", ["b", "c"]))


async def test_the_runs_own_trouble_is_no_failure_of_a_part() -> None:
    asked: list[str] = []

    def poor(part: Part) -> str:
        asked.append(part.name)
        raise BudgetExceeded("nothing left")

    with pytest.raises(BudgetExceeded):
        await made("standard_processing", Work(poor))
    assert asked == ["1"], "nothing more is begun then"


async def test_voters_that_are_functions_decide_by_what_most_of_them_say() -> None:
    voters: dict[str, Callable[[Part], Any]] = {
        "ada": lambda part: {"risk": "high", "words": ["x"], "confidence": 0.9},
        "bo": lambda part: {"risk": "low", "words": ["y"], "confidence": 0.2},
        "cy": lambda part: {"risk": "high", "words": ["z"], "confidence": 0.1},
        "dee": lambda part: 1 / 0,
    }
    output = await made("multi_model_ensemble", Work(shout, voters=voters), Task("Judge", "text"))
    assert output.result["risk"] == "high"
    assert output.result["words"] == ["x"]  # from the one who was with the majority
    assert output.result["agreement"] == pytest.approx(2 / 3)
    assert output.result["dissent"] == {"bo": {"risk": "low"}}
    assert "Work.voters" in str(await refused("multi_model_ensemble", Work(shout, voters={"one": shout})))
    with pytest.raises(RunFailed, match="No voter has an answer: ZeroDivisionError"):
        await voted(Part(TASK, "1", "x"), {"dee": voters["dee"]})


def test_an_election_counts_equal_answers_together_and_a_tie_is_no_agreement() -> None:
    assert elected({"a": 1, "b": 2, "c": 1}) == (1, pytest.approx(2 / 3))
    assert elected({"a": "x", "b": "y"}) == ("x", 0.5)
    assert elected({"a": {"k": [1]}, "b": {"k": [1]}}) == ({"k": [1]}, 1.0)
    assert elected_field_by_field({"a": {"text": "long " * 50}, "b": {"text": "short"}})["agreement"] == 0.5


def answering(answers: dict[str, str], votes: dict[str, str]) -> Callable[[Any], Any]:
    """A provider where each model has its answer, and votes for one."""

    def reply(asked: Any) -> Any:
        if "ANSWERS" in asked.last_text:
            return {"decision": votes[asked.model], "confidence": 0.9, "reason": "It is complete."}
        draft = " (checked)" if "DRAFT" in asked.last_text else ""
        return {"answer": answers[asked.model] + draft, "confidence": 0.6}

    return reply


def chat(server: ModelServer, name: str) -> ChatOpenAI:
    environment = server.environment()
    return ChatOpenAI(
        model=name, base_url=environment["OPENAI_BASE_URL"], api_key=environment["OPENAI_API_KEY"], max_retries=0
    )


async def test_several_models_answer_and_vote_for_the_best_answer_over_http() -> None:
    said = {"one": "Four.", "two": "About four, it seems.", "three": "Five."}
    with ModelServer(answering(said, {"one": "ada", "two": "ada", "three": "cy"})) as server:
        voters = {"ada": chat(server, "one"), "bo": chat(server, "two"), "cy": chat(server, "three")}
        output = await made("multi_model_ensemble", Work(voters["ada"], voters=voters), Task("Count", "a b c d"))
        assert len(server.requests) == 6
    assert output.result["answer"] == "Four."
    assert output.result["agreement"] == pytest.approx(2 / 3)
    assert set(output.result["dissent"]) == {"bo", "cy"}


async def test_a_model_checks_its_own_draft_in_a_detailed_analysis() -> None:
    with ModelServer(answering({"one": "Four."}, {})) as server:
        work = Work(ModelWorker(chat(server, "one"), "You are careful."), thorough=None)
        assert "Work.thorough" in str(await refused("detailed_analysis", work))  # a function, as far as one can tell
        output = await made("detailed_analysis", Work(chat(server, "one")), Task("Count", "a b c d"))
        assert len(server.requests) == 2
    assert output.result == {"answer": "Four. (checked)", "confidence": 0.6}


async def test_the_shipped_work_reads_texts_with_rules_or_with_the_model_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = Task("What does it say?", "# One\n\nThe deal is risky.\n\n# Two\n\nAll is well and everybody is happy.")
    strategies = shipped_strategies()
    names = ("standard_processing", "simplified_processing", "multi_model_ensemble", "detailed_analysis")
    for name in names:
        result = (await strategies[name].attempt(task)).result
        assert set(result["parts"]) == {"1", "2"}, name
        assert result["parts"]["1"]["risk_level"] in ("low", "medium", "high"), name
    with ModelServer(answering({"gpt-5-mini": "It is risky."}, {"gpt-5-mini": "analyst"})) as server:
        for variable, value in server.environment().items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("ADJOURN_MODEL", "openai:gpt-5-mini")
        counts = []
        for name in names:
            before = len(server.requests)
            result = (await strategies[name].attempt(task)).result
            assert "answer" in result["parts"]["1"], name
            counts.append(len(server.requests) - before)
    assert counts == [2, 0, 6, 4]  # the simpler way asks no model; voters that say the same need no vote


async def with_store(function: Callable[[], Any], store: InMemoryStore) -> Any:
    """Call something where a graph would, so that it finds a store."""

    async def node(state: AdaptiveState) -> AdaptiveState:
        return {"result": await function()}

    graph = StateGraph(AdaptiveState).add_node("n", node).add_edge(START, "n").compile(store=store)
    return (await graph.ainvoke({"main_task": "x"}))["result"]


async def test_cached_responses_give_the_good_answer_to_exactly_the_same_task() -> None:
    store, then = InMemoryStore(), datetime(2026, 1, 1, tzinfo=UTC)
    strategy = shipped_strategies(Work(shout))["cached_responses"]
    assert "no good answer is kept" in str(await with_store(lambda: strategy.refuses(TASK), store))
    await with_store(lambda: keep_answer(TASK, {"n": 4}, clock=lambda: then), store)
    assert await with_store(lambda: strategy.refuses(TASK), store) is None

    async def cached() -> Any:
        return (await strategy.attempt(TASK)).result

    assert await with_store(cached, store) == {"n": 4}
    for other in (
        Task("Count", ["a"], memory="c"),
        Task("Add", TASK.material, memory="c"),
        Task("Count", TASK.material, "other type", memory="c"),
        Task("Count", TASK.material, memory="d"),
    ):
        assert await with_store(lambda other=other: strategy.refuses(other), store) is not None
    late = lambda: then + timedelta(seconds=61)  # noqa: E731
    assert await with_store(lambda: kept_answer(TASK, 60, clock=late), store) is None
    assert await with_store(lambda: kept_answer(TASK, 62, clock=late), store) is not None
    assert await strategy.refuses(TASK) is not None  # without a store there is nothing, and no error
    await with_store(lambda: keep_answer(TASK, 5, clock=lambda: datetime(2001, 1, 1, tzinfo=UTC)), store)
    young = cached_responses(max_age=60)
    assert "no good answer is kept" in str(await with_store(lambda: young.refuses(TASK), store))
    with pytest.raises(LookupError):
        await with_store(lambda: young.attempt(TASK), store)


async def test_a_person_is_asked_unless_there_are_none() -> None:
    assert shipped_strategies()["human_in_loop"].asks
    assert await refused("human_in_loop", Work(shout)) is None
    alone = Task("x", resource_constraints={"people": False})
    assert "people: false" in str(await refused("human_in_loop", Work(shout), alone))


async def test_the_first_available_strategy_is_taken_and_the_others_say_why_not() -> None:
    known = {"a": Strategy(shout, lambda _: "too late"), "b": Strategy(shout), "c": Strategy(shout)}
    assert await first_available(["a", "b", "c"], known, TASK) == ("b", {"a": "too late"})
    assert await first_available(["a"], known, TASK) == (None, {"a": "too late"})


def test_material_is_split_into_items_or_pieces_and_results_are_put_together() -> None:
    assert split_material(Task("t", {"x": 1})) == {"x": 1}
    assert split_material(Task("t")) == {"1": "t"}
    assert split_material(Task("t", 7)) == {"1": 7}
    text = "# A\n\none\n\n## B\n\n" + "two " * 100 + "\n\nthree"
    assert [each.split()[0] for each in pieces(text, 300)] == ["#", "##", "two", "three"]
    assert " ".join(pieces(text, 300)).split() == text.split()
    both = {"a": {"answer": "x", "confidence": 0.5}, "b": {"answer": "y", "confidence": 1.0}}
    assert combined(TASK, both) == {"parts": both, "answer": "x\n\ny", "confidence": 0.75}
    assert combined(TASK, {"a": 3}) == 3
    with pytest.raises(InvalidInput, match="at least one part"):
        parts_of(Work(shout, split=lambda _: {}), TASK)


def test_the_shipped_measurers_measure() -> None:
    def of(**more: Any) -> Attempted:
        return Attempted(TASK, "s", **{"result": {}, "seconds": 4.0, "target_seconds": 2.0, **more})

    assert response_time(of()) == 0.5
    assert response_time(of(seconds=1.0)) == response_time(of(seconds=0.0)) == 1.0
    assert completeness(of(parts=4, failed=1)) == 0.75
    assert [accuracy(of(result=each)) for each in ({"agreement": 0.4, "confidence": 0.9}, {"confidence": 0.9}, "x")] == [
        0.4, 0.9, 1.0,
    ]  # fmt: skip
    assert accuracy(of(result={"parts": {"1": {"confidence": 0.5}, "2": {"agreement": 1.0}, "3": "x"}})) == 0.75


async def attempted(act: Any, **options: Any) -> Any:
    update = await attempting({"s": act}, **options)({"main_task": "x", "current_strategy": "s"})
    return update["attempts"][-1]["error"], update["result"]


async def test_whatever_goes_wrong_in_a_strategy_is_the_error_of_its_attempt() -> None:
    async def slow(task: Task) -> str:
        await asyncio.sleep(60)
        return "late"

    def broken(task: Task) -> str:
        raise TimeoutError("the server does not answer")

    def leaves(task: Task) -> str:
        raise SystemExit(3)

    async def gives_up(task: Task) -> str:
        raise asyncio.CancelledError

    assert await attempted(leaves) == ("SystemExit: 3", None)
    assert await attempted(gives_up) == ("CancelledError", None)
    with pytest.raises(RunFailed, match="SystemExit: 3"):
        await made("parallel_execution", Work(leaves))
    assert await attempted(lambda task: {"n": 1}) == (None, {"n": 1})
    assert await attempted(lambda task: Output("x", 2, {"1": "why"})) == (None, "x")
    many = Output("x", 1000, {str(number): "why" for number in range(900)})
    update = await attempting({"s": lambda task: many})({"main_task": "x", "current_strategy": "s"})
    assert (update["attempts"][0]["failed"], len(update["attempts"][0]["failures"])) == (900, 50)
    assert await attempted(slow, timeout=0.01) == ("there was no result after 0.01 seconds", None)
    assert await attempted(broken) == ("TimeoutError: the server does not answer", None)
    assert "its result.when is a datetime" in (await attempted(lambda task: {"when": datetime.now(UTC)}))[0]
    assert "more than 10" in (await attempted(lambda task: "x" * 20, max_output_bytes=10))[0]


async def test_nodes_refuse_what_a_state_of_your_own_may_hold() -> None:
    choose, adapt = choosing({"s": shout, "t": shout}), adapting({"s": shout, "t": shout})
    for names, says in (
        ([], "is an empty list"),
        (["u"], "There is no strategy 'u'; known: s, t"),
        ("s", "a list of names"),
    ):
        state: Any = {"main_task": "x", "fallback_strategies": names}
        with pytest.raises(InvalidInput, match=says):
            await choose(state)
        after = {**state, "attempts": [{"strategy": "s", "error": None}], "current_strategy": "s"}
        with pytest.raises(InvalidInput, match=says):
            await adapt({**after, "performance_metrics": {"accuracy": 0.1}})
    after["fallback_strategies"] = ["s", "t"]
    for metrics in ({"accuracy": 1.1}, {"accuracy": float("nan")}, {"accuracy": True}, {"accuracy": "good"}, {}, None):
        with pytest.raises(InvalidInput, match="metric"):
            await adapt({**after, "performance_metrics": metrics})
    assert (await adapt({**after, "performance_metrics": {"accuracy": 0.1}}))["current_strategy"] == "t"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategies": {}}, "There are no strategies; give at least one"),
        ({"strategies": {"a": 7}}, "The strategy 'a' is a int; it must be a function"),
        ({"strategies": {" ": print}}, "A strategy has a name"),
        ({"max_attempts": 0}, "max_attempts must be a whole number of at least 1, not 0"),
        ({"max_attempts": True}, "max_attempts must be a whole number"),
        ({"measurers": {}}, "There are no measurers"),
        ({"measurers": {"x": 0.5}}, "The measurer 'x' must be a function"),
        ({"thresholds": {"accuracy": 1.2}}, "The threshold of 'accuracy' must be a number from 0 to 1, not 1.2"),
        (
            {"thresholds": {"acuracy": 0.5}},
            "which is not measured here; measured: response_time, accuracy, completeness",
        ),
        ({"target_seconds": 0}, "target_seconds must be a number of seconds above 0"),
        ({"timeout": float("nan")}, "timeout must be a number of seconds above 0"),
        ({"measuring_timeout": 0}, "A measurer's timeout must be a number of seconds above 0"),
        ({"memory": "a.b"}, "memory is a name of letters"),
        ({"work": Work(shout), "memory": "a_b"}, "memory is a name of letters"),
    ],
)
def test_a_workflow_that_cannot_work_is_not_built(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        build(**options)
    with pytest.raises(InvalidInput, match="The worker 'simple' must be a function of a Part, a chat model"):
        Work(shout, simple=7)  # type: ignore[arg-type]
