"""The workflow `delegation` on a real database: order, results, recovery, people, compensation."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import interrupt
from typing_extensions import TypedDict

from adjourn import AsyncEngine, InvalidInput, InvalidPlan, RunFailed, approve, edit, reject, respond
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agents import Brief, NeedsPerson
from adjourn.nodes.delegation.compensation import Undo
from adjourn.nodes.delegation.reopening import undoing_id
from adjourn.settings import Settings
from adjourn.state.questions import question, read_answer
from adjourn.state.roster import Agent, Roster
from support.eventually import eventually

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


def needs(task_id: str, *before: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "dependencies": list(before), **more}


def plan(*subtasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"subtasks": list(subtasks), **more}


DIAMOND = plan(needs("a"), needs("b", "a"), needs("c", "a"), needs("d", "b", "c"))


class Text(TypedDict, total=False):
    text: str
    answer: str | None


def asking() -> StateGraph[Text]:
    """A workflow that asks one question."""

    def ask(state: Text) -> Text:
        answer = read_answer(
            interrupt(question("check", {"text": state["text"]}, "Well?", allowed=("approve", "reject")))
        )
        return {"answer": answer["message"]}

    return StateGraph(Text).add_node("ask", ask).add_edge(START, "ask")


class Agents:
    """Agents that write down what they did; `failures` says how often a subtask fails first."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.done: list[str] = []
        self.undone: list[str] = []
        self.by: list[tuple[str, str]] = []

    def named(self, name: str) -> Callable[[Brief], Any]:
        async def work(brief: Brief) -> Any:
            self.by.append((brief.task_id, name))
            if self.failures.get(brief.task_id, 0) > 0:
                self.failures[brief.task_id] -= 1
                raise ValueError(f"{brief.task_id} went wrong")
            self.done.append(brief.task_id)
            return {"from": brief.task_id, "got": sorted(brief.results)}

        return work

    async def undo(self, undo: Undo) -> None:
        if self.failures.get(f"undo {undo.task_id}", 0) > 0:
            self.failures[f"undo {undo.task_id}"] -= 1
            raise OSError(f"{undo.task_id} is stuck")
        self.undone.append(undo.task_id)


def of(run: Any, key: str) -> dict[str, Any]:
    return {each: subtask[key] for each, subtask in run.state["subtasks"].items()}


async def test_each_subtask_gets_the_results_of_those_it_depends_on(opened: Open) -> None:
    agents = Agents()
    async with opened(agents={"worker": agents.named("worker")}) as engine:
        run = await engine.start("delegation", {"plan": DIAMOND, "main_task": "make d"})
    assert run.status == "completed"
    assert run.state["overall_status"] == "completed"
    assert run.state["final_result"]["result"] == {"from": "d", "got": ["b", "c"]}
    assert set(of(run, "status").values()) == {"completed"}
    assert of(run, "assigned_agent") == dict.fromkeys("abcd", "worker")
    assert sorted(agents.done) == ["a", "b", "c", "d"]
    assert run.state["dependencies"] == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


async def test_a_subtask_starts_when_its_own_dependencies_are_complete_and_waits_for_nothing_else(opened: Open) -> None:
    finished = asyncio.Event()
    given = plan(needs("slow"), needs("quick"), needs("after", "quick"), error_recovery_strategy="fail")

    async def work(brief: Brief) -> str:
        if brief.task_id == "slow":
            await asyncio.wait_for(finished.wait(), 5)  # a wave barrier would never get to `after`
        if brief.task_id == "after":
            finished.set()
        return brief.task_id

    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"


async def test_a_failed_subtask_is_tried_again_beside_everything_else(opened: Open) -> None:
    finished, tried = asyncio.Event(), []

    async def work(brief: Brief) -> str:
        if brief.task_id == "slow":
            await asyncio.wait_for(finished.wait(), 5)
        if brief.task_id == "flaky":
            tried.append((brief.attempt, brief.idempotency_key))
            if brief.attempt == 1:
                raise OSError("not yet")
            finished.set()
        return brief.task_id

    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": plan(needs("slow"), needs("flaky"))})
    assert of(run, "retry_count") == {"slow": 0, "flaky": 1}
    assert [number for number, _ in tried] == [1, 2]
    assert tried[0][1]


async def test_plain_functions_run_side_by_side_in_threads(opened: Open) -> None:
    import threading

    both = threading.Barrier(2, timeout=10)

    def work(brief: Brief) -> str:
        both.wait()
        return threading.current_thread().name

    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": plan(needs("a"), needs("b"))})
    assert run.status == "completed"


async def test_the_start_of_a_subtask_is_recorded_where_it_can_be_undone_and_nowhere_else(
    opened: Open, database: str
) -> None:
    seen: dict[str, list[tuple[Any, ...]]] = {}

    async def work(brief: Brief) -> str:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            rows = await connection.execute(
                "select key, status from adjourn.effects where name = 'subtask' order by key"
            )
            seen[brief.task_id] = await rows.fetchall()
        return brief.task_id

    given = plan(needs("plain"), needs("kept", "plain", compensation="undo"))
    async with opened(agents={"worker": work}, compensations={"undo": lambda undo: None}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert seen == {"plain": [], "kept": [("kept#1", "started"), ("plain#1", "done")]}


# --- recovery


async def test_retries_used_up_reassign_to_the_others_then_ask(opened: Open) -> None:
    agents = Agents(a=4)
    roster = Roster(agents=(Agent(name="ada", capabilities=("sql",)), Agent(name="bo", capabilities=("sql", "ui"))))
    given = plan(needs("a", capabilities=["sql"]), max_retries=2, error_recovery_strategy=["retry", "reassign", "ask"])
    async with opened(agents={name: agents.named(name) for name in ("ada", "bo")}, roster=roster) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert agents.by == [("a", "ada")] * 3 + [("a", "bo")]
        assert run.status == "paused"
        assert run.state["subtasks"]["a"]["status"] == "requires_human"
        assert "a went wrong" in run.reviews[0].description
        run = await engine.resume(run.thread_id, approve())
    assert run.status == "completed"
    assert run.state["human_interactions"][0]["decision"] == "approve"


async def test_skipping_skips_what_depends_on_it_and_says_so(opened: Open) -> None:
    agents = Agents(b=9)
    given = plan(needs("a"), needs("b", "a", error_recovery_strategy="skip"), needs("c", "a"), needs("d", "b", "c"),
                 needs("e", "d"))  # fmt: skip
    async with opened(agents={"worker": agents.named("worker")}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert of(run, "status") == {"a": "completed", "b": "skipped", "c": "completed", "d": "skipped", "e": "skipped"}
    assert run.state["final_result"]["skipped"] == {
        "b": "ValueError: b went wrong",
        "d": "it depends on b, which was skipped",
        "e": "it depends on d, which was skipped",
    }


UNFIT: dict[str, tuple[Any, str]] = {
    "set": ({"when": {1}}, "its result.when is a set"),
    "large": ("x" * 10_000_000, "10,000,002 bytes of JSON"),
    "zero": ("\0", "U+0000"),
    "nan": (float("nan"), "not a finite number"),
}


async def test_a_result_that_cannot_be_kept_fails_its_subtask_alone_and_is_not_tried_again(opened: Open) -> None:
    calls = []

    async def work(brief: Brief) -> Any:
        calls.append(brief.task_id)
        return UNFIT[brief.task_id][0] if brief.task_id in UNFIT else "fine"

    given = plan(*map(needs, UNFIT), needs("good"), error_recovery_strategy=["retry", "skip"])
    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert of(run, "status") == {**dict.fromkeys(UNFIT, "skipped"), "good": "completed"}
    for each, (_, says) in UNFIT.items():
        assert says in run.state["subtasks"][each]["error_message"]
    assert sorted(calls) == sorted([*UNFIT, "good"])


async def test_an_agent_that_is_too_slow_has_failed(opened: Open) -> None:
    async def work(brief: Brief) -> str:
        await asyncio.sleep(0 if brief.attempt > 1 else 60)
        return "at last"

    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": plan(needs("a", timeout_seconds=0.05))})
    assert (run.status, run.state["subtasks"]["a"]["retry_count"]) == ("completed", 1)


# --- a process that is to stop


async def test_a_run_that_is_to_stop_starts_no_further_subtask_and_repeats_none_when_it_goes_on() -> None:
    agents, control, both = Agents(), RunControl(), asyncio.Barrier(2)
    worker = agents.named("worker")

    async def work(brief: Brief) -> Any:
        if brief.task_id in ("a", "b"):
            await both.wait()
            control.request_drain()
        return await worker(brief)

    graph = build(agents={"worker": work}).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    given = plan(needs("a"), needs("b"), needs("after", "a"))
    with pytest.raises(GraphDrained):
        await graph.ainvoke({"plan": given}, config, control=control)
    assert sorted(agents.done) == ["a", "b"], "what is under way comes to its end"
    state = await graph.ainvoke(None, config)
    assert (state["overall_status"], agents.done[2:]) == ("completed", ["after"])


async def test_a_run_that_is_to_stop_undoes_nothing_more_and_repeats_no_undoing_when_it_goes_on() -> None:
    agents, control = Agents(e=1), RunControl()

    async def undo(undone: Undo) -> None:
        control.request_drain()
        await agents.undo(undone)

    workflow = build(agents={"worker": agents.named("worker")}, compensations={"undo": undo})
    graph = workflow.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(GraphDrained):
        await graph.ainvoke({"plan": UNDOABLE}, config, control=control)
    assert agents.undone == ["d"]
    with pytest.raises(RunFailed, match="4 subtasks were undone"):
        await graph.ainvoke(None, config)
    assert in_reverse(agents.undone)


# --- people


async def test_all_questions_are_asked_at_once_when_nothing_more_can_start(opened: Open) -> None:
    done = []

    async def work(brief: Brief) -> Any:
        if brief.task_id.startswith("ask") and not brief.input_data:
            raise NeedsPerson("which of the two?")
        done.append(brief.task_id)
        return brief.input_data or brief.task_id

    given = plan(needs("ask1"), needs("ask2"), needs("ask3"), needs("b"), needs("c", "b"),
                 needs("d", "ask1", "ask2"), needs("e", "ask3"))  # fmt: skip
    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "paused"
        assert done == ["b", "c"]
        by_id = {review.context["task_id"]: review.id for review in run.reviews}
        assert sorted(by_id) == ["ask1", "ask2", "ask3"]
        run = await engine.resume(run.thread_id, edit({"input_data": {"choice": 1}}), review_id=by_id["ask1"])
        assert (run.status, len(run.reviews)) == ("paused", 2)
        run = await engine.resume(
            run.thread_id, {by_id["ask2"]: respond("done by hand"), by_id["ask3"]: reject("not wanted")}
        )
    assert run.status == "completed"
    subtasks = run.state["subtasks"]
    assert subtasks["ask1"]["output_data"] == {"choice": 1}
    assert subtasks["ask2"]["output_data"] == "done by hand"
    assert (subtasks["ask3"]["status"], subtasks["e"]["status"]) == ("skipped", "skipped")
    assert done == ["b", "c", "ask1", "d"]
    assert [each["by"] for each in run.state["human_interactions"]] == ["kim"] * 3


# --- compensation


UNDOABLE = plan(
    needs("a", compensation="undo"),
    needs("b", "a", compensation="undo"),
    needs("c", "a", compensation="undo"),
    needs("plain", "b"),
    needs("d", "plain", "c", compensation="undo"),
    needs("e", "d", error_recovery_strategy="fail"),
)


def in_reverse(undone: list[str]) -> bool:
    return undone[0] == "d" and undone[-1] == "a" and sorted(undone) == ["a", "b", "c", "d"]


async def test_when_the_whole_fails_what_was_done_is_undone_in_reverse_and_the_run_has_failed(opened: Open) -> None:
    agents = Agents(e=1)
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": UNDOABLE})
        assert run.status == "failed"
        assert "e: ValueError: e went wrong" in run.error["message"]
        assert in_reverse(agents.undone)
        assert sorted(run.state["final_result"]["compensated"]) == ["a", "b", "c", "d"]
        again = await engine.retry(run.thread_id)
    assert again.status == "failed"
    assert "4 subtasks were undone; start a new run" in again.error["message"]
    assert len(agents.undone) == 4


async def test_a_failed_plan_with_nothing_to_undo_goes_on_when_somebody_retries_it(opened: Open) -> None:
    agents = Agents(b=1)
    given = plan(needs("a"), needs("b", "a", error_recovery_strategy="fail"), needs("c", "b"))
    async with opened(agents={"worker": agents.named("worker")}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, agents.done) == ("failed", ["a"])
        run = await engine.retry(run.thread_id)
    assert (run.status, agents.done) == ("completed", ["a", "b", "c"])


async def test_a_compensation_that_fails_is_tried_again_then_a_person_is_asked(opened: Open) -> None:
    agents = Agents(**{"e": 1, "undo b": 4, "undo c": 2})
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": UNDOABLE})
        assert run.status == "paused"
        assert agents.undone == ["d", "c"], "a waits for b"
        (review,) = run.reviews
        assert (review.action, review.context["task_id"]) == ("decide_compensation", "b")
        assert "OSError: b is stuck" in review.description
        run = await engine.resume(run.thread_id, approve())
        assert run.status == "failed"
    assert agents.undone == ["d", "c", "b", "a"]


async def test_a_person_may_leave_one_as_it_is_and_the_rest_is_undone(opened: Open) -> None:
    agents = Agents(**{"e": 1, "undo b": 99})
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": UNDOABLE})
        run = await engine.resume(run.thread_id, reject("the customer keeps it"))
    assert run.status == "failed"
    assert agents.undone == ["d", "c", "a"]
    assert run.state["final_result"]["not_compensated"] == ["b"]
    assert "the customer keeps it" in run.state["compensations"]["b"]["error_message"]


# --- bad plans, planners


BAD_PLANS: list[tuple[Any, str]] = [
    (plan(needs("a", "b"), needs("b", "a")), "a → b → a"),
    ("subtasks:\n  - id: a\n    dependencies: [x]\n", "line 3, `subtasks[0].dependencies[0]`: 'a' depends on 'x'"),
    (plan(needs("a", agent="nobody")), "'a' names the agent 'nobody'"),
    (plan(needs("a", capabilities=["magic"])), "'a' needs magic. The agents and what they can do: worker: worker."),
    ("plan.yaml", "this is the text 'plan.yaml'; give what the file holds, not its name."),
    (plan(needs("a", compensation="undo")), "'a' names 'undo'. Known: there are none."),
    (7, "must be a mapping"),
]


async def test_a_plan_that_cannot_be_carried_out_is_refused_and_nothing_is_stored(opened: Open) -> None:
    async with opened(agents={"worker": Agents().named("worker")}) as engine:
        for given, says in BAD_PLANS:
            with pytest.raises(InvalidPlan) as caught:
                await engine.start("delegation", {"plan": given})
            assert says in str(caught.value)
        assert not len(await engine.runs())


async def test_a_text_is_planned_and_read_in_its_parts(opened: Open) -> None:
    text = (
        "# Handbook\n\nAll is well.\n\n## Payment\n\nThe customer must pay.\n\n## Outage\n\nThe server crashed.\n\n"
        "# End\n\nBye.\n"
    )
    async with opened() as engine:
        run = await engine.start("delegation", {"main_task": text})
    assert run.status == "completed"
    assert run.state["planned_by"] == "plan_by_default"
    assert run.state["dependencies"]["report"] == ["handbook", "end"]
    assert run.state["dependencies"]["handbook"] == ["handbook.introduction", "handbook.payment", "handbook.outage"]
    assert not run.children, "a section is no run of its own"
    result = run.state["final_result"]["result"]
    assert "The server crashed." in result["summary"]
    assert result["words"] == 11


async def test_without_an_engine_that_checks_the_input_the_node_says_what_is_missing() -> None:
    with pytest.raises(InvalidInput, match="start a new run with `plan`, or with `main_task`"):
        await build().compile().ainvoke({"main_task": " "})


async def test_a_plan_needs_no_main_task(opened: Open) -> None:
    async with opened() as engine:
        run = await engine.start(
            "delegation", {"main_task": "", "plan": plan(needs("a", input_data={"text": "Good."}))}
        )
    assert run.status == "completed", run.error


# --- subtasks that are runs of their own


async def test_a_subtask_that_may_pause_is_a_run_of_its_own_and_holds_nothing_else_back(opened: Open) -> None:
    agents = Agents()
    given = plan(
        needs("draft"),
        needs("check", "draft", workflow="asking", input_data={"text": {"$result": "draft", "key": "from"}}),
        needs("beside", "draft"),
        needs("send", "check"),
    )
    async with opened(agents={"worker": agents.named("worker")}, also={"asking": asking()}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "paused"
        assert agents.done == ["draft", "beside"]
        assert run.state["subtasks"]["check"]["status"] == "in_progress"
        assert not run.reviews
        (child,) = run.children
        await engine.resume(child.thread_id, approve("fine"))
        run = await engine.get(run.thread_id)
    assert run.status == "completed"
    assert run.state["subtasks"]["check"]["output_data"]["answer"] == "fine"
    assert run.state["subtasks"]["check"]["attempts"] == 1
    assert agents.done == ["draft", "beside", "send"]


async def test_questions_of_our_own_are_open_while_a_run_of_its_own_waits(opened: Open) -> None:
    agents = Agents(b=1)
    given = plan(
        needs("one", workflow="asking", input_data={"text": "x"}),
        needs("two", workflow="asking", input_data={"text": "y"}),
        needs("b", error_recovery_strategy="ask"),
        needs("c", "one", "b"),
        needs("d", "two"),
    )
    async with opened(agents={"worker": agents.named("worker")}, also={"asking": asking()}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, len(run.reviews), len(run.children)) == ("paused", 1, 2)
        children = {child.id: child.thread_id for child in run.children}
        run = await engine.resume(run.thread_id, approve())
        assert (run.status, agents.done) == ("paused", ["b"]), "an answer waits for no child run"
        await engine.resume(children["one#1"], approve("first"))
        run = await engine.get(run.thread_id)
        assert (run.status, agents.done) == ("paused", ["b", "c"]), "c waits for nobody else"
        await engine.resume(children["two#1"], approve("second"))
        run = await engine.get(run.thread_id)
    assert (run.status, agents.done) == ("completed", ["b", "c", "d"])


async def test_a_nested_delegation_can_be_a_run_of_its_own_and_its_failure_is_recovered_from(opened: Open) -> None:
    agents = Agents(inner=1)
    inner = plan(needs("inner", error_recovery_strategy="fail"))
    given = plan(needs("own", workflow="delegation", input_data={"plan": inner}), needs("last", "own"))
    async with opened(agents={"worker": agents.named("worker")}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert run.state["subtasks"]["own"]["retry_count"] == 1
    assert run.state["subtasks"]["own"]["output_data"]["result"] == {"from": "inner", "got": []}
    assert [child.status for child in run.children] == ["failed", "completed"]


# --- cancelled runs


async def test_a_cancelled_run_is_undone_by_a_run_of_its_own_each_subtask_once(opened: Open) -> None:
    agents = Agents(d=1)
    given = plan(*[{**each, "error_recovery_strategy": "ask"} for each in UNDOABLE["subtasks"]])
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "paused"
        cancelled = await engine.cancel(run.thread_id, reason="no longer wanted")
        assert cancelled.status == "cancelled"
        assert sorted(agents.undone) == ["a", "b", "c"]
        assert agents.undone[-1] == "a"
        undoing = await engine.get(undoing_id(run.thread_id))
        assert (undoing.status, undoing.state["final_result"]["overall_status"]) == ("completed", "cancelled")
        await engine.cancel(run.thread_id, reason="twice")
    assert len(agents.undone) == 3


async def test_cancelling_a_run_undoes_what_the_delegations_below_it_did_the_lowest_first(opened: Open) -> None:
    agents = Agents(stuck=1)
    inner = plan(needs("inside", compensation="undo"), needs("stuck", "inside", error_recovery_strategy="ask"))
    own = needs("own", "first", workflow="delegation", input_data={"plan": inner})
    given = plan(needs("first", compensation="undo"), own)
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, [child.status for child in run.children]) == ("paused", ["paused"])
        await engine.cancel(run.thread_id, reason="no longer wanted")
        assert agents.undone == ["inside", "first"]
        await engine.cancel(run.thread_id, reason="twice")
    assert len(agents.undone) == 2


async def test_a_run_that_is_cancelled_while_it_is_driven_is_undone_when_that_is_over(opened: Open) -> None:
    agents, begun, cancelled = Agents(), asyncio.Event(), asyncio.Event()
    worker = agents.named("worker")

    async def work(brief: Brief) -> Any:
        if brief.task_id == "c":
            begun.set()
            await asyncio.wait_for(cancelled.wait(), 10)
        return await worker(brief)

    async with opened(agents={"worker": work}, compensations={"undo": agents.undo}) as engine:

        async def is_cancelled() -> bool:
            return (await engine.get("t")).status == "cancelled"

        drive = asyncio.create_task(engine.start("delegation", {"plan": UNDOABLE}, thread_id="t"))
        await asyncio.wait_for(begun.wait(), 10)
        cancelling = asyncio.create_task(engine.cancel("t", reason="stop"))
        assert await eventually(is_cancelled)
        cancelled.set()
        await cancelling
        assert (await drive).status == "cancelled"
    assert "d" not in agents.done, "nothing is started after the cancel"
    assert sorted(agents.undone) == ["a", "b", "c"], "c ended after the cancel, and is undone as well"


async def test_what_was_under_way_when_a_run_was_cancelled_is_a_question(opened: Open) -> None:
    agents, begun = Agents(), asyncio.Event()
    worker = agents.named("worker")

    async def work(brief: Brief) -> Any:
        if brief.task_id == "c":
            begun.set()
            await asyncio.sleep(60)
        return await worker(brief)

    settings = Settings(cancel_grace_seconds=0.1)
    async with opened(agents={"worker": work}, compensations={"undo": agents.undo}, settings=settings) as engine:
        drive = asyncio.create_task(engine.start("delegation", {"plan": UNDOABLE}, thread_id="t"))
        await asyncio.wait_for(begun.wait(), 10)
        await engine.cancel("t", reason="stop")
        assert (await drive).status == "cancelled"
        undoing = await engine.get(undoing_id("t"))
        assert undoing.status == "paused"
        assert agents.undone == ["b"], "a waits for c"
        assert "nobody knows how far it came" in undoing.reviews[0].description
        undoing = await engine.resume(undoing.thread_id, respond("it had not begun"))
    assert undoing.status == "completed"
    assert agents.undone == ["b", "a"]


@pytest.mark.soak
async def test_ten_thousand_subtasks_are_carried_out(opened: Open) -> None:
    agents = Agents()
    given = plan(*(needs(f"t{n}", *([f"t{n // 2}"] if n > 1 else [])) for n in range(1, 10_001)))
    async with opened(agents={"worker": agents.named("worker")}) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert len(set(agents.done)) == len(agents.done) == 10_000


async def test_nobody_else_has_a_cancelled_run_undone(opened: Open) -> None:
    agents = Agents(d=1)
    given = plan(*[{**each, "error_recovery_strategy": "ask"} for each in UNDOABLE["subtasks"]])
    async with opened(agents={"worker": agents.named("worker")}, compensations={"undo": agents.undo}) as engine:
        run = await engine.start("delegation", {"plan": given})
        forged = await engine.start("delegation", {"undone_run": run.thread_id})
    assert forged.status == "failed"
    assert "set by whoever cancels" in forged.error["message"]
    assert not agents.undone
