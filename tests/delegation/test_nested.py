"""A nested plan is a run of its own: its results, questions, failures, and how it is undone with the plan around it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from adjourn import AsyncEngine, InvalidPlan, approve, respond
from adjourn.engine.events import Custom
from adjourn.engine.plan_view import PlanView, plan_of_family
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agents import Brief, NeedsPerson
from adjourn.nodes.delegation.compensation import Undo
from adjourn.nodes.delegation.reopening import undoing_id
from adjourn.settings import Settings
from adjourn.state.roster import Agent, Roster
from support.eventually import eventually

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


def needs(task_id: str, *before: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "dependencies": list(before), **more}


def plan(*subtasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"subtasks": list(subtasks), **more}


def undoable(task_id: str, *before: str, **more: Any) -> dict[str, Any]:
    return needs(task_id, *before, compensation="undo", **more)


class Agents:
    """Agents that write down what they did: `fails` until told otherwise, `asks` where nobody gave an answer."""

    def __init__(self, *, fails: tuple[str, ...] = (), asks: tuple[str, ...] = (), stuck: tuple[str, ...] = ()) -> None:
        self.fails, self.asks, self.stuck = set(fails), set(asks), set(stuck)
        self.done: list[str] = []
        self.undone: list[str] = []
        self.got: dict[str, Any] = {}

    async def work(self, brief: Brief) -> Any:
        self.got[brief.task_id] = (brief.results, brief.global_context)
        if brief.task_id in self.asks:
            raise NeedsPerson("which of the two?")
        if brief.task_id in self.fails:
            raise ValueError(f"{brief.task_id} went wrong")
        self.done.append(brief.task_id)
        return f"of {brief.task_id}"

    async def undo(self, undo: Undo) -> None:
        if undo.task_id in self.stuck:
            raise OSError(f"{undo.task_id} is stuck")
        assert undo.output_data == f"of {undo.task_id}"
        self.undone.append(undo.task_id)

    def opened(self, opened: Open, **more: Any) -> AbstractAsyncContextManager[AsyncEngine]:
        return opened(agents={"worker": self.work}, compensations={"undo": self.undo}, **more)


async def test_a_nested_plan_is_a_child_run_that_gets_what_it_depends_on_and_gives_its_last_results(
    opened: Open,
) -> None:
    agents = Agents()
    inner = plan(needs("draft"), needs("check", "draft"), needs("count", "draft"), global_context={"tone": "dry"})
    given = plan(needs("collect"), needs("report", "collect", plan=inner), needs("send", "report"),
                 global_context={"tone": "gay", "for": "us"}, main_task="All of it")  # fmt: skip
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        (child,) = run.children
        nested = await engine.get(child.thread_id)
    assert (run.status, child.id, nested.status, nested.workflow) == (
        "completed",
        "report#1",
        "completed",
        "delegation",
    )
    assert agents.got["draft"] == ({"collect": "of collect"}, {"tone": "dry", "for": "us"})
    assert agents.got["check"][0] == {"draft": "of draft"}
    assert agents.got["send"][0] == {"report": {"check": "of check", "count": "of count"}}
    assert agents.got["send"][1] == {"tone": "gay", "for": "us"}
    assert set(run.state["subtasks"]) == {"collect", "report", "send"}
    assert nested.state["main_task"] == "All of it"


async def test_a_part_of_a_nested_plan_waits_for_its_own_dependencies_and_holds_nobody_else_back(opened: Open) -> None:
    after, inside = asyncio.Event(), asyncio.Event()

    async def work(brief: Brief) -> str:
        if brief.task_id == "slow":  # ends only when what depends on the nested plan has begun
            await asyncio.wait_for(after.wait(), 10)
        if brief.task_id == "inner":
            inside.set()
        if brief.task_id == "beside":  # runs beside the parts of the nested plan
            await asyncio.wait_for(inside.wait(), 10)
        if brief.task_id == "after":
            after.set()
        return brief.task_id

    given = plan(needs("slow"), needs("nest", plan=plan(needs("beside"), needs("inner"))), needs("after", "nest"))
    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", {"plan": {**given, "error_recovery_strategy": "fail"}})
    assert run.status == "completed"


async def test_questions_of_a_nested_plan_are_its_own_and_hold_up_nobody_else(opened: Open) -> None:
    agents = Agents(asks=("unsure",), fails=("ours",))
    inner = plan(needs("unsure"), needs("sure"), needs("end", "unsure"))
    given = plan(needs("nest", plan=inner), needs("other", plan=plan(needs("x"))), needs("ours"),
                 needs("last", "nest"), needs("beside", "other"), error_recovery_strategy="ask")  # fmt: skip
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "paused"
        assert sorted(agents.done) == ["beside", "sure", "x"]
        child = next(each for each in run.children if each.questions)
        assert (len(run.reviews), child.questions) == (1, 1)
        view = plan_of_family(
            run, {each.thread_id: (await engine.get(each.thread_id)).state for each in run.children}.get
        )
        assert view is not None
        assert view.rows["nest"].status == "in_progress"
        assert (view.rows["nest/unsure"].status, view.rows["nest/sure"].status) == ("requires_human", "completed")
        await engine.resume(child.thread_id, respond("the first"))
        run = await engine.resume(run.thread_id, respond("done"))
    assert run.status == "completed"
    assert sorted(agents.done) == ["beside", "end", "last", "sure", "x"]


async def test_plans_in_plans_share_capacity_and_the_agents_hands_and_never_block_each_other(opened: Open) -> None:
    now = most = of_ada = most_of_ada = 0

    def agent(name: str) -> Any:
        async def work(brief: Brief) -> str:
            nonlocal now, most, of_ada, most_of_ada
            now, of_ada = now + 1, of_ada + (name == "ada")
            most, most_of_ada = max(most, now), max(most_of_ada, of_ada)
            await asyncio.sleep(0.003)
            now, of_ada = now - 1, of_ada - (name == "ada")
            return brief.task_id

        return work

    def nested(depth: int) -> dict[str, Any]:
        parts = [needs(f"p{n}", capabilities=["do"]) for n in range(4)]
        return plan(*parts, *([needs("deeper", plan=nested(depth - 1))] if depth else []))

    roster = Roster(
        agents=(Agent(name="ada", capabilities=("do",), capacity=1), Agent(name="bo", capabilities=("do",), capacity=9))
    )
    given = plan(
        *(needs(f"n{n}", plan=nested(2)) for n in range(4)), *(needs(f"a{n}", capabilities=["do"]) for n in range(4))
    )
    both = {name: agent(name) for name in ("ada", "bo")}
    async with opened(agents=both, roster=roster, capacity=3) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "completed"
    assert (most, most_of_ada) == (3, 1)
    most = 0
    async with opened(agents=both, roster=roster, capacity=1) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert (run.status, most) == ("completed", 1)


async def test_the_failure_of_a_nested_plan_is_recovered_from_as_its_subtask_says(opened: Open) -> None:
    agents = Agents(fails=("bad",))
    inner = plan(undoable("good"), needs("bad", "good"), error_recovery_strategy=["retry", "fail"])
    given = plan(
        needs("inherits", plan=inner),
        needs("skips", plan={**inner, "max_retries": 0}, error_recovery_strategy="skip"),
        needs("again", plan=inner, error_recovery_strategy=["retry", "skip"], max_retries=1),
        error_recovery_strategy=["retry", "ask"],
        max_retries=1,
    )
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "paused"
        states = {each: (subtask["status"], subtask["retry_count"]) for each, subtask in run.state["subtasks"].items()}
        assert states == {"inherits": ("requires_human", 0), "skips": ("skipped", 0), "again": ("skipped", 1)}
        assert agents.done == agents.undone == ["good"] * 4, "each run that failed has undone what it did"
        assert run.reviews[0].allowed == ("approve", "respond", "reject"), "there is no input to edit"
        agents.fails.clear()
        run = await engine.resume(run.thread_id, approve())
    assert run.status == "completed"
    assert run.state["subtasks"]["inherits"]["output_data"] == {"bad": "of bad"}


# --- undoing across the border


ACROSS = plan(
    undoable("a"),
    undoable(
        "nest", "a", plan=plan(undoable("x"), undoable("y", "x", plan=plan(undoable("deep"))), undoable("z", "y"))
    ),
    undoable("d", "nest"),
    needs("e", "d", error_recovery_strategy="fail"),
)


class Recorded(Agents):
    """A nested plan has its own result, so its own compensation sees another output."""

    async def undo(self, undo: Undo) -> None:
        if undo.task_id in ("nest", "y"):
            assert isinstance(undo.output_data, dict)
            self.undone.append(undo.task_id)
        else:
            await super().undo(undo)


async def test_a_nested_plan_that_completed_is_undone_in_its_place_when_the_plan_around_it_fails(opened: Open) -> None:
    agents = Recorded(fails=("e",))
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": ACROSS})
        assert run.status == "failed", run.error
        assert agents.undone == ["d", "nest", "z", "y", "deep", "x", "a"]
        assert sorted(run.state["final_result"]["compensated"]) == ["a", "d", "nest"]
        again = await engine.retry(run.thread_id)
        states = {each.thread_id: (await engine.get(each.thread_id)).state for each in _all(run.children)}
    assert (again.status, len(agents.undone)) == ("failed", 7)
    view = plan_of_family(run, lambda thread_id: states[thread_id])
    assert view is not None
    assert {view.rows[each].undone for each in ("a", "nest", "nest/x", "nest/z", "d")} == {"completed"}


def _all(children: Any) -> Any:
    for each in children:
        yield each
        yield from _all(each.children)


async def test_an_undoing_inside_that_fails_asks_there_and_holds_up_only_what_must_come_after_it(opened: Open) -> None:
    agents = Recorded(fails=("e",), stuck=("deep",))
    given = {
        **ACROSS,
        "subtasks": [*ACROSS["subtasks"][:3], undoable("far"), needs("e", "d", "far", error_recovery_strategy="fail")],
    }
    async with agents.opened(opened, max_compensation_attempts=2) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, len(run.reviews)) == ("paused", 0)
        assert sorted(agents.undone) == sorted(["far", "d", "nest", "z", "y"]), "x and a wait"
        (asking,) = [each for each in _all(run.children) if each.questions]
        agents.stuck.clear()
        await engine.resume(asking.thread_id, approve())
        run = await engine.get(run.thread_id)
    assert run.status == "failed"
    assert agents.undone[-3:] == ["deep", "x", "a"]
    assert len(agents.undone) == 8


async def test_a_plan_that_fails_cancels_its_child_runs_before_it_undoes_what_they_did(opened: Open) -> None:
    agents, begun = Agents(asks=("unsure",), fails=("bad",)), asyncio.Event()
    to_begin = ["long", "unsure", "unsure"]  # then v, w and o have been done

    async def work(brief: Brief) -> Any:
        if brief.task_id in to_begin:
            to_begin.remove(brief.task_id)
        if not to_begin:
            begun.set()
        if brief.task_id == "long":
            await asyncio.sleep(60)
        if brief.task_id == "bad":
            await asyncio.wait_for(begun.wait(), 30)
        return await agents.work(brief)

    given = plan(
        undoable("a"),
        needs("waits", "a", plan=plan(undoable("w"), needs("unsure", "w"))),
        needs("works", "a", plan=plan(undoable("v"), needs("long", "v"), undoable("never", "long"))),
        needs("own", "a", workflow="delegation", input_data={"plan": plan(undoable("o"), needs("unsure", "o"))}),
        needs("bad", "a", error_recovery_strategy="fail"),
    )
    settings = Settings(cancel_grace_seconds=0.1)
    async with opened(agents={"worker": work}, compensations={"undo": agents.undo}, settings=settings) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "failed"
        assert {each.status for each in run.children if "#" in each.id} == {"cancelled"}
        assert not len(await engine.reviews())
    assert "bad went wrong" in run.error["message"]
    assert "works" not in run.error["message"].partition("bad went wrong")[2]
    assert sorted(agents.undone[:-1]) == ["o", "v", "w"], "what they did comes first"
    assert agents.undone[-1] == "a"
    assert "the plan failed" in run.state["subtasks"]["waits"]["error_message"]


async def test_a_failed_plan_that_goes_on_gives_cancelled_child_runs_new_ones(opened: Open) -> None:
    agents = Agents(asks=("unsure",), fails=("bad",))
    given = plan(
        needs("nest", plan=plan(needs("unsure"))), needs("bad", "b", error_recovery_strategy="fail"), needs("b")
    )
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert run.status == "failed"
        agents.fails.clear()
        agents.asks.clear()
        run = await engine.retry(run.thread_id)
    assert run.status == "completed"
    assert sorted((each.id, each.status) for each in run.children) == [("nest#1", "cancelled"), ("nest#2", "completed")]


async def test_a_nested_plan_that_has_nothing_to_undo_goes_on_when_it_is_tried_again(opened: Open) -> None:
    agents = Agents(fails=("bad",))
    inner = plan(needs("good"), needs("bad", "good"), needs("end", "bad"), error_recovery_strategy="fail")
    given = plan(needs("nest", plan=inner, error_recovery_strategy=["retry", "fail"], max_retries=1))
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, run.state["subtasks"]["nest"]["retry_count"]) == ("failed", 1)
        agents.fails.clear()
        run = await engine.retry(run.thread_id)
    assert run.status == "completed"
    assert agents.done == ["good", "bad", "end"], "what it had finished is not repeated"
    assert [each.id for each in run.children] == ["nest#1"]


async def test_cancelling_undoes_everything_below_in_order_by_one_run_and_its_child_runs(opened: Open) -> None:
    agents = Recorded(asks=("stops",))
    inner = plan(undoable("p"), needs("stops", "p"))
    given = plan(*ACROSS["subtasks"][:3], needs("half", "d", plan=inner))
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        assert (run.status, agents.undone) == ("paused", [])
        cancelled = await engine.cancel(run.thread_id, reason="no longer wanted")
        assert cancelled.status == "cancelled"
        undoing = await engine.get(undoing_id(run.thread_id))
        assert undoing.status == "completed"
        assert len(undoing.children) == 2
        await engine.cancel(run.thread_id, reason="again")
    assert agents.undone == ["p", "d", "nest", "z", "y", "deep", "x", "a"]


async def test_cancelling_a_run_that_is_undoing_goes_on_with_that_and_repeats_nothing(opened: Open) -> None:
    agents = Recorded(fails=("e",), stuck=("deep",))
    async with agents.opened(opened, max_compensation_attempts=1) as engine:
        run = await engine.start("delegation", {"plan": ACROSS})
        assert (run.status, agents.undone) == ("paused", ["d", "nest", "z", "y"])
        agents.stuck.clear()
        await engine.cancel(run.thread_id, reason="enough")
        undoing = await engine.get(undoing_id(run.thread_id))
        assert undoing.status == "completed", undoing.error
    assert agents.undone == ["d", "nest", "z", "y", "deep", "x", "a"]


async def test_a_nested_plan_that_somebody_cancelled_is_undone_once(opened: Open) -> None:
    agents = Agents(asks=("unsure",))
    given = plan(undoable("a"), needs("nest", "a", plan=plan(undoable("n"), needs("unsure", "n"))),
                 error_recovery_strategy="fail")  # fmt: skip
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
        (child,) = run.children
        await engine.cancel(child.thread_id, reason="by hand")

        async def over() -> bool:
            return (await engine.get(run.thread_id)).status == "failed"

        await eventually(over)
    assert agents.undone == ["n", "a"]


# --- what cannot be


async def test_plans_that_are_nested_too_deeply_or_wrong_inside_are_refused_before_anything_is_stored(
    opened: Open,
) -> None:
    deep = plan(needs("x"))
    for _ in range(17):
        deep = plan(needs("x", plan=deep))
    wrong = plan(needs("a", plan=plan(needs("b", agent="nobody"), needs("c", compensation="magic"))))
    async with Agents().opened(opened) as engine:
        with pytest.raises(InvalidPlan, match="ADJOURN_MAX_CHILD_DEPTH allows 16"):
            await engine.start("delegation", {"plan": deep})
        with pytest.raises(InvalidPlan, match="'a/b' names the agent 'nobody'"):
            await engine.start("delegation", {"plan": wrong})
        assert not len(await engine.runs())


async def test_without_an_engine_a_nested_plan_says_what_it_needs() -> None:
    graph = build(agents={"worker": Agents().work}).compile(checkpointer=InMemorySaver())
    given = plan(needs("nest", plan=plan(needs("x"))), error_recovery_strategy="skip")
    state = await graph.ainvoke({"plan": given}, {"configurable": {"thread_id": "t"}})
    assert "needs an engine of adjourn" in state["subtasks"]["nest"]["error_message"]


@pytest.mark.soak
async def test_ten_thousand_subtasks_in_hundreds_of_nested_plans_are_carried_out_and_undone(opened: Open) -> None:
    agents = Agents(fails=("last",))
    nests = [needs(f"n{n}", *([f"n{n // 2}"] if n else []), plan=plan(*(undoable(f"n{n}.{m}") for m in range(49))))
             for n in range(200)]  # fmt: skip
    nests[0]["dependencies"] = []
    given = plan(*nests, undoable("last", *(each["id"] for each in nests), error_recovery_strategy="fail"))
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given})
    assert run.status == "failed"
    assert len(set(agents.done)) == len(agents.done) == 9_800
    assert sorted(agents.undone) == sorted(agents.done)


# --- seeing it


async def test_the_tree_shows_the_parts_live_and_the_critical_path_goes_through_them(opened: Open) -> None:
    agents, view, seen = Agents(), PlanView(), []

    def watch(event: Any) -> None:
        if isinstance(event, Custom):
            view.take(event.data)
            seen.append({each: row.status for each, row in view.rows.items()})

    given = plan(needs("a"), needs("nest", "a", plan=plan(needs("x"), needs("y", "x"))), needs("b", "nest"))
    async with agents.opened(opened) as engine:
        run = await engine.start("delegation", {"plan": given}, on_event=watch)
        found = plan_of_family(
            run, {each.thread_id: (await engine.get(each.thread_id)).state for each in run.children}.get
        )
    assert seen[0] == dict.fromkeys(["a", "nest/x", "nest/y", "nest", "b"], "pending")
    assert {
        "a": "completed",
        "nest/x": "in_progress",
        "nest": "in_progress",
        "nest/y": "pending",
        "b": "pending",
    } in seen
    assert set(seen[-1].values()) == {"completed"}
    assert found is not None
    assert [row.id for row in found.rows.values() if row.critical] == ["a", "nest/x", "nest/y", "nest", "b"]
    assert found.figures["critical_path"] == ["a", "nest/x", "nest/y", "nest", "b"]
    assert found.rows["nest/y"].ended is not None
