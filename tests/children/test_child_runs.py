"""What a node gets from its children, and how their parent waits."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt

from adjourn import AsyncEngine, NotPaused, Principal, ReviewPolicy, Run, approve
from adjourn.errors import ChildFailed, ConfigurationError
from adjourn.nodes.children import ChildCall, child, child_sync, children
from adjourn.nodes.children import gather as gathered
from adjourn.settings import Settings
from support.families import Runs, parent_of, told, working
from support.workflows import Flaky, Trail, asking, chain, mark

KIM = Principal("kim")
QUICK = chain(("quick", mark("quick")))
ASKED = ["before", "ask", "after"]


def opened(database: str, settings: Settings | None = None, **workflows: Any) -> Any:
    known = {"asking": asking, "quick": QUICK, **workflows}
    return AsyncEngine.open(database, workflows=known, principal=KIM, settings=settings)


async def answer(engine: AsyncEngine, run: Run, *ids: str) -> None:
    """Approve the questions of children, by their ids."""
    for each in run.children:
        if each.id in ids:
            await engine.resume(each.thread_id, approve())


async def test_a_child_that_ends_at_once_gives_its_state_and_nobody_waits(database: str) -> None:
    async with opened(database, parent=parent_of("quick")) as engine:
        run = await engine.start("parent", {"name": "x"})
    assert (run.status, run.state["got"]) == ("completed", [["quick"], "last"])
    assert [(each.id, each.status, each.waited_for) for each in run.children] == [("it", "completed", False)]


async def test_a_parent_waits_without_a_review_and_goes_on_with_its_childs_end(database: str) -> None:
    async with opened(database, parent=parent_of("asking")) as engine:
        run = await engine.start("parent", {"name": "x"}, by="ann")
        assert (run.status, run.reviews) == ("paused", ())
        (waited_for,) = run.children
        assert (waited_for.status, waited_for.questions, waited_for.waited_for) == ("paused", 1, True)
        assert [review.thread_id for review in await engine.reviews()] == [waited_for.thread_id]
        with pytest.raises(NotPaused, match=waited_for.thread_id):
            await engine.resume(run.thread_id, approve())
        with pytest.raises(NotPaused):
            await engine.retry(run.thread_id)
        ended = await engine.resume(waited_for.thread_id, approve())
        assert (ended.status, ended.parent, ended.requested_by) == ("completed", run.thread_id, "ann")
        run = await engine.get(run.thread_id)
        assert (run.status, run.state["got"]) == ("completed", [ASKED, "last"])
        assert [each.thread_id for each in await engine.runs(parent=run.thread_id)] == [ended.thread_id]
        kinds = [entry.kind for entry in await engine.audit(run.thread_id)]
        assert kinds == ["started", "child", "paused", "resumed", "completed"]


async def test_all_children_start_before_the_parent_pauses_and_a_review_in_one_holds_up_no_other(database: str) -> None:
    async def work(state: Runs) -> Runs:
        names = ("a", "b", "c", "quick")
        found = await asyncio.gather(
            *(child(name, "quick" if name == "quick" else "asking", {"name": name}) for name in names)
        )
        return {"got": [told(each) for each in found]}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert {each.id: each.status for each in run.children} == {
            "a": "paused", "b": "paused", "c": "paused", "quick": "completed",
        }  # fmt: skip
        before = len(await engine.history(run.thread_id))
        await answer(engine, run, "c", "a")
        run = await engine.get(run.thread_id)
        assert {each.id: each.status for each in run.children} == {
            "a": "completed", "b": "paused", "c": "completed", "quick": "completed",
        }  # fmt: skip
        assert run.status == "paused"
        resumed = [entry.kind for entry in await engine.audit(run.thread_id)].count("resumed")
        assert (len(await engine.history(run.thread_id)), resumed) == (before, 0), "it goes on when all have ended"
        await answer(engine, run, "b")
        run = await engine.get(run.thread_id)
    assert run.state["got"] == [ASKED, ASKED, ASKED, ["quick"], "last"]


async def test_a_parent_that_needs_one_goes_on_with_the_first(database: str) -> None:
    async def work(state: Runs) -> Runs:
        calls = {name: ChildCall("asking", {"name": name}) for name in ("a", "b")}
        return {"got": [sorted(await children(calls, until="one"))]}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
        await answer(engine, run, "b")
        run = await engine.get(run.thread_id)
        assert (run.status, run.state["got"]) == ("completed", [["b"], "last"])
        await answer(engine, run, "a")
        run = await engine.get(run.thread_id)
    assert [each.status for each in run.children] == ["completed", "completed"]


async def test_branches_come_as_far_as_they_can_before_the_node_pauses(database: str) -> None:
    async def branch(name: str) -> Any:
        await child(f"{name}1", "quick" if name == "b" else "asking", {"name": name})
        await asyncio.sleep(0.01)
        return told(await child(f"{name}2", "asking", {"name": name}))

    async def work(state: Runs) -> Runs:
        return {"got": await gathered(branch("a"), branch("b"))}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert {each.id: each.status for each in run.children} == {
            "a1": "paused", "b1": "completed", "b2": "paused",
        }  # fmt: skip
        await answer(engine, run, "a1", "b2")
        run = await engine.get(run.thread_id)
        await answer(engine, run, "a2")
        run = await engine.get(run.thread_id)
    assert run.state["got"] == [ASKED, ASKED, "last"]


async def test_siblings_in_one_step_and_a_question_beside_them_wait_for_themselves(database: str) -> None:
    async def work(state: Runs) -> Runs:
        if state["name"] == "ask":
            return {"got": [f"ask: {interrupt('Well?')}"]}
        return {"got": [told(await child("it", "asking", {"name": state["name"]}))]}

    workflow = StateGraph(Runs)
    workflow.add_node("work", work)
    workflow.add_conditional_edges(START, lambda _: [Send("work", {"name": name}) for name in ("a", "b", "ask")])
    workflow.add_edge("work", END)
    async with opened(database, parent=workflow) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert ([each.id for each in run.children], len(run.reviews)) == (["it", "it"], 1)
        assert (await engine.rebuild(run.thread_id), (await engine.get(run.thread_id)).reviews) == (1, run.reviews)
        run = await engine.resume(run.thread_id, "yes")
        assert (run.status, run.reviews) == ("paused", ())
        for each in run.children:
            await engine.resume(each.thread_id, approve())
        run = await engine.get(run.thread_id)
    assert sorted(run.state["got"], key=str) == [ASKED, ASKED, "ask: yes"]


async def test_a_question_and_a_child_in_one_node_do_not_take_each_others_answers(database: str) -> None:
    async def question() -> Any:
        return interrupt("Well?")

    async def work(state: Runs) -> Runs:
        return {"got": [told(each) if isinstance(each, dict) else each for each in await gathered(
            child("it", "asking", {"name": "x"}), question())]}  # fmt: skip

    async with opened(database, parent=working(work)) as engine:
        for child_first in (True, False):
            run = await engine.start("parent", {"name": "x"})
            (asked,) = run.reviews
            for from_child in (child_first, not child_first):
                thread = run.children[0].thread_id if from_child else run.thread_id
                await engine.resume(
                    thread, approve() if from_child else "mine", review_id=None if from_child else asked.id
                )
            run = await engine.get(run.thread_id)
            assert (run.status, run.state["got"]) == ("completed", [ASKED, "mine", "last"])


async def test_plain_nodes_and_subgraphs_have_children(database: str) -> None:
    def plain(state: Runs) -> Runs:
        return {"got": [told(child_sync("it", "asking", {"name": "x"}))]}

    inner = working(plain).compile()
    outer = StateGraph(Runs)
    outer.add_node("inner", inner)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)
    async with opened(database, parent=outer) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert (run.status, run.reviews) == ("paused", ())
        await answer(engine, run, "it")
        run = await engine.get(run.thread_id)
    assert run.state["got"] == [ASKED, "last"]


async def test_a_plain_call_in_an_async_node_is_refused_and_does_not_wait_for_itself(database: str) -> None:
    async def node(state: Runs) -> Runs:
        return {"got": [told(child_sync("it", "quick", {"name": "x"}))]}

    async with opened(database, parent=working(node)) as engine:
        run = await engine.start("parent", {"name": "x"})
    assert (run.status, (run.error or {})["type"], run.children) == ("failed", "RuntimeError", ())


async def test_three_levels_with_a_question_at_the_bottom(database: str) -> None:
    async with opened(database, top=parent_of("middle"), middle=parent_of("asking")) as engine:
        run = await engine.start("top", {"name": "x"})
        (middle,) = run.children
        (bottom,) = middle.children
        assert [run.status, middle.status, bottom.status] == ["paused"] * 3
        await engine.resume(bottom.thread_id, approve())
        run = await engine.get(run.thread_id)
    assert run.state["got"] == [[ASKED, "last"], "last"]


async def test_a_failure_is_raised_in_the_node_and_retry_of_the_parent_goes_on_with_the_child(database: str) -> None:
    flaky = Flaky()
    async with opened(database, top=parent_of("middle"), middle=parent_of("flaky"), flaky=flaky.graph) as engine:
        run = await engine.start("top", {"name": "x"})
        assert (run.status, run.error and run.error["type"]) == ("failed", "ChildFailed")
        (middle,) = run.children
        (bottom,) = middle.children
        assert run.error is not None
        assert run.error["child"] == middle.thread_id
        flaky.broken = False
        run = await engine.retry(run.thread_id)
        assert (run.status, run.state["got"]) == ("completed", [[["before", "flaky", "after"], "last"], "last"])
        assert run.children[0].children[0].thread_id == bottom.thread_id
    assert flaky.attempts == 2


async def test_a_failure_is_returned_as_a_value(database: str) -> None:
    async with opened(database, parent=parent_of("flaky", on_failure="return"), flaky=Flaky().graph) as engine:
        run = await engine.start("parent", {"name": "x"})
    assert (run.status, run.state["got"]) == ("completed", ["ChildFailed: failed", "last"])


async def test_a_parent_waits_until_somebody_retries_the_child(database: str) -> None:
    flaky = Flaky()
    async with opened(database, parent=parent_of("flaky", on_failure="wait"), flaky=flaky.graph) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert (run.status, run.children[0].status, run.children[0].waited_for) == ("paused", "failed", True)
        assert await engine.recover() == []
        flaky.broken = False
        await engine.retry(run.children[0].thread_id)
        run = await engine.get(run.thread_id)
    assert (run.status, run.state["got"]) == ("completed", [["before", "flaky", "after"], "last"])


async def test_a_node_may_catch_the_failure_of_a_child_and_meets_it_again_when_it_runs_again(database: str) -> None:
    async def work(state: Runs) -> Runs:
        try:
            await child("first", "flaky", {"name": "x"})
        except ChildFailed as error:
            return {"got": [error.child, told(await child("second", "asking", {"name": "x"}))]}
        return {}

    flaky = Flaky()
    async with opened(database, parent=working(work), flaky=flaky.graph) as engine:
        run = await engine.start("parent", {"name": "x"})
        flaky.broken = False
        await answer(engine, run, "second")
        run = await engine.get(run.thread_id)
    assert (run.state["got"], flaky.attempts) == (["first", ASKED, "last"], 1)


async def test_cancel_goes_down_to_all_and_comes_up_to_the_parent(database: str) -> None:
    top = parent_of("middle", on_failure="return")
    async with opened(database, top=top, middle=parent_of("asking")) as engine:
        run = await engine.start("top", {"name": "x"})
        run = await engine.cancel(run.thread_id, reason="enough")
        (middle,) = run.children
        assert [run.status, middle.status, middle.children[0].status] == ["cancelled"] * 3
        assert len(await engine.reviews()) == 0
        assert (await engine.get(middle.children[0].thread_id)).error == run.error
        run = await engine.start("top", {"name": "x"})
        await engine.cancel(run.children[0].thread_id, reason="enough")
        run = await engine.get(run.thread_id)
    assert (run.status, run.state["got"]) == ("completed", ["ChildFailed: cancelled", "last"])
    assert run.children[0].children[0].status == "cancelled"


async def test_an_end_between_the_look_and_the_pause_is_not_missed(database: str) -> None:
    async with opened(database, parent=parent_of("asking")) as engine, opened(database) as other:
        settle = engine._runs.settle_run

        async def settle_late(thread_id: str, token: int, outcome: Any) -> Any:
            if outcome.waits and (await other.get(thread_id)).children[0].status == "paused":
                (waited_for,) = outcome.waits
                ended = await other.resume(waited_for, approve())
                assert ended.status == "completed"
            return await settle(thread_id, token, outcome)

        engine._runs.settle_run = settle_late  # type: ignore[method-assign]
        run = await engine.start("parent", {"name": "x"})
    assert (run.status, run.state["got"]) == ("completed", [ASKED, "last"])


async def test_recovery_finds_a_parent_that_could_not_go_on_where_its_child_ended(database: str) -> None:
    async with opened(database, parent=parent_of("asking")) as engine, opened(database) as without:
        run = await engine.start("parent", {"name": "x"})
        await without.resume(run.children[0].thread_id, approve())
        assert (await engine.get(run.thread_id)).status == "paused"
        assert await without.recover() == []
        (run,) = await engine.recover()
        assert (run.status, await engine.recover()) == ("completed", [])


async def test_what_the_parent_was_started_with_counts_for_its_children(database: str) -> None:
    def see(state: Trail, runtime: Runtime[Any]) -> Trail:
        return {"trail": [str(runtime.context)]}

    seeing = chain(("see", see))

    async def work(state: Runs) -> Runs:
        own = await child("own", "seeing", {"name": "x"}, context={"of": "its own"})
        return {"got": [*own["trail"], *(await child("inherited", "seeing", {"name": "x"}))["trail"]]}

    async with opened(database, seeing=seeing, parent=working(work), asks=parent_of("asking")) as engine:
        run = await engine.start("parent", {"name": "x"}, context={"of": "the parent"})
        assert run.state["got"] == ["{'of': 'its own'}", "{'of': 'the parent'}", "last"]
        policy = ReviewPolicy(roles=("lead",), approvals=2)
        run = await engine.start("asks", {"name": "x"}, policies=policy)
        (review,) = (await engine.get(run.children[0].thread_id)).reviews
    assert (review.policy.roles, review.policy.approvals, review.requested_by) == (("lead",), 2, "kim")


async def test_a_workflow_that_starts_itself_ends_at_a_depth(database: str) -> None:
    async with opened(database, Settings(max_child_depth=3), endless=parent_of("endless")) as engine:
        run = await engine.start("endless", {"name": "x"})
        depth, below = 0, run.children
        while below:
            depth, below = depth + 1, below[0].children
        assert (run.status, depth) == ("failed", 3)
        deepest = (await engine.runs(workflow="endless"))[0]
    assert deepest.error is not None
    assert deepest.error["type"] == "DepthExceeded"


@pytest.mark.parametrize("change", ["input", "workflow", "twice"])
async def test_an_id_stands_for_one_child(database: str, change: str) -> None:
    runs = 0

    async def work(state: Runs) -> Runs:
        nonlocal runs
        runs += 1
        given = {"name": str(runs) if change == "input" else "x"}
        await child("it", "quick" if change == "workflow" and runs > 1 else "asking", given)
        if change == "twice":
            await child("it", "asking", given)
        return {}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
        await answer(engine, run, "it")
        run = await engine.get(run.thread_id)
    assert (run.status, run.error and run.error["type"]) == ("failed", "ChildMismatch")


@pytest.mark.parametrize(
    ("workflow", "given", "error"),
    [("unknown", {"name": "x"}, "UnknownWorkflow"), ("asking", {"nmae": "x"}, "InvalidInput")],
)
async def test_a_child_that_cannot_start_fails_the_node_and_stores_nothing(
    database: str, workflow: str, given: Any, error: str
) -> None:
    async with opened(database, parent=parent_of(workflow, given)) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert (run.status, run.error and run.error["type"], run.children) == ("failed", error, ())
        assert len(await engine.runs()) == 1


async def test_a_node_that_catches_its_own_wait_is_failed(database: str) -> None:
    async def work(state: Runs) -> Runs:
        try:
            await child("it", "asking", {"name": "x"})
        except Exception:
            return {"got": ["as if it had ended"]}
        return {}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
    assert run.error is not None
    assert (run.status, run.error["type"]) == ("failed", "RunFailed")
    assert "caught its own wait for a child run" in run.error["message"]


async def test_without_an_engine_nobody_could_go_on_with_a_child() -> None:
    with pytest.raises(ConfigurationError, match="Engine"):
        await parent_of("asking").compile().ainvoke({"name": "x"})


async def test_a_run_without_children_costs_no_statement_more(database: str) -> None:
    async with opened(database) as engine:
        run = await engine.start("asking", {"name": "x"})
        seen: list[str] = []
        for store in (engine._children, engine._starter):
            for name in ("find", "accept", "below", "woken", "wake", "run"):
                if hasattr(store, name):
                    setattr(store, name, lambda *_, name=name: seen.append(name))
        run = await engine.resume(run.thread_id, approve())
        assert (run.status, seen) == ("completed", [])


async def test_a_fork_has_children_of_its_own(database: str) -> None:
    async with opened(database, parent=parent_of("asking")) as engine:
        run = await engine.start("parent", {"name": "x"})
        fork = await engine.fork(run.thread_id, at=(await engine.history(run.thread_id))[-1].number)
        assert (fork.status, fork.children[0].status) == ("paused", "paused")
        assert fork.children[0].thread_id != run.children[0].thread_id
        await answer(engine, fork, "it")
        assert (await engine.get(fork.thread_id)).status == "completed"
        assert (await engine.get(run.thread_id)).status == "paused"


async def test_a_deadline_in_a_child_comes_up_to_its_parent(database: str) -> None:
    parent = parent_of("asking", on_failure="return")
    async with opened(database, parent=parent) as engine:
        run = await engine.start("parent", {"name": "x"}, policies=ReviewPolicy(deadline=60))
        (swept,) = await engine.sweep(now=run.created_at + timedelta(hours=1))
        run = await engine.get(run.thread_id)
    assert (swept.what, run.status, run.state["got"]) == ("expired", "completed", ["ChildFailed: failed", "last"])


async def test_an_interrupted_family_goes_on_with_retry_of_the_parent(database: str) -> None:
    inside = asyncio.Event()

    async def slow(state: Trail) -> Trail:
        if not inside.is_set():
            inside.set()
            await asyncio.sleep(60)
        return {"trail": ["slow"]}

    async with opened(database, parent=parent_of("slow"), slow=chain(("slow", slow))) as engine:
        starting = asyncio.create_task(engine.start("parent", {"name": "x"}, thread_id="p"))
        await inside.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        run = await engine.get("p")
        assert [each.error and each.error["type"] for each in (run, run.children[0])] == ["Interrupted"] * 2
        run = await engine.retry("p")
    assert (run.status, run.state["got"], len(run.children)) == ("completed", [["slow"], "last"], 1)


async def test_a_parent_that_fails_beside_its_children_leaves_none_undone(database: str) -> None:
    broken = True

    async def work(state: Runs) -> Runs:
        async def fail() -> Any:
            if broken:
                raise ValueError("no")

        found, _ = await asyncio.gather(child("it", "quick", {"name": "x"}), fail())
        return {"got": [told(found)]}

    async with opened(database, parent=working(work)) as engine:
        run = await engine.start("parent", {"name": "x"})
        assert (run.status, [each.status for each in run.children]) == ("failed", ["completed"])
        broken = False
        run = await engine.retry(run.thread_id)
    assert (run.state["got"], len(run.children)) == ([["quick"], "last"], 1)
