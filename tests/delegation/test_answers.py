"""What people answered to the questions of a subtask's agent: it runs again knowing that, and nothing else is permission."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from adjourn import AsyncEngine, approve, edit, reject, respond
from adjourn.nodes.delegation.agents import Brief, NeedsPerson, brief_text
from adjourn.nodes.delegation.answers import PersonsAnswer, answers_for, question_text
from adjourn.nodes.delegation.plans import planned, read_plan
from adjourn.settings import Settings
from adjourn.state.values import digest
from support.crashing import LEDGER, ledger
from support.delegating import publishing
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]
MAY = "May it be published?"


class Publisher:
    """An agent that publishes with permission; `fails` says in which attempts it fails first, and with what words."""

    def __init__(self, **fails: str) -> None:
        self.fails = fails
        self.published: list[Any] = []
        self.briefs: list[Brief] = []

    async def work(self, brief: Brief) -> Any:
        self.briefs.append(brief)
        if words := self.fails.get(f"at{brief.attempt}"):
            raise ValueError(words)
        if not brief.approved(MAY):
            raise NeedsPerson(MAY)
        self.published.append((brief.task_id, brief.input_data))
        return "published"


def plan(*subtasks: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {"subtasks": list(subtasks), "error_recovery_strategy": "ask"}}


async def test_an_agent_that_asks_once_goes_on_when_it_is_approved_and_does_its_work_once(opened: Open) -> None:
    agent = Publisher()
    async with opened(agents={"worker": agent.work}) as engine:
        run = await engine.start("delegation", plan({"id": "a"}))
        assert "Approve to say yes" in run.reviews[0].description
        run = await engine.resume(run.thread_id, approve("on Monday"))
    assert (run.status, agent.published) == ("completed", [("a", {})])
    (said,) = agent.briefs[1].answers
    (kept,) = run.state["human_interactions"]
    assert said == PersonsAnswer(MAY, "approve", "on Monday", "kim", kept["at"])
    assert agent.briefs[0].answers == ()


async def test_after_an_edit_it_goes_on_and_after_a_response_or_a_rejection_it_does_not(opened: Open) -> None:
    agent = Publisher()
    answers = {"a": edit({"input_data": {"to": "all"}}), "b": respond("done by hand"), "c": reject("no")}
    async with opened(agents={"worker": agent.work}) as engine:
        run = await engine.start("delegation", plan(*({"id": each} for each in answers)))
        run = await engine.resume(run.thread_id, {each.id: answers[each.context["task_id"]] for each in run.reviews})
    assert run.status == "completed"
    assert agent.published == [("a", {"to": "all"})]
    assert len(agent.briefs) == 4
    assert run.state["subtasks"]["b"]["output_data"] == "done by hand"
    assert run.state["subtasks"]["c"]["status"] == "skipped"


async def test_to_have_a_failed_subtask_tried_again_is_no_permission_and_takes_none_away(opened: Open) -> None:
    agent = Publisher(at1=MAY, at3="once more")
    async with opened(agents={"worker": agent.work}) as engine:
        run = await engine.start("delegation", plan({"id": "a"}))
        run = await engine.resume(run.thread_id, approve())  # of its failure
        assert agent.briefs[1].answers == ()
        assert (run.status, agent.published) == ("paused", [])
        run = await engine.resume(run.thread_id, approve())  # of its question; it fails again
        assert (run.status, agent.published) == ("paused", [])
        run = await engine.resume(run.thread_id, approve())
    assert (run.status, agent.published) == ("completed", [("a", {})])
    assert [len(each.answers) for each in agent.briefs] == [0, 0, 1, 1]


async def test_what_was_approved_is_asked_again_when_somebody_has_changed_the_input_since(opened: Open) -> None:
    agent = Publisher(at2="the first server is away")
    async with opened(agents={"worker": agent.work}) as engine:
        run = await engine.start("delegation", plan({"id": "a", "input_data": {"to": "us"}}))
        run = await engine.resume(run.thread_id, approve())
        run = await engine.resume(run.thread_id, edit({"input_data": {"to": "all"}}))  # of its failure
        assert (run.status, agent.published) == ("paused", [])
        assert [each.stands for each in agent.briefs[-1].answers] == [False]
        run = await engine.resume(run.thread_id, approve())
    assert (run.status, agent.published) == ("completed", [("a", {"to": "all"})])


async def test_the_permission_of_one_subtask_is_not_that_of_another_nor_of_a_nested_plan(opened: Open) -> None:
    agent = Publisher()
    nested = {"id": "nest", "dependencies": ["b"], "plan": {"subtasks": [{"id": "a"}]}}
    async with opened(agents={"worker": agent.work}) as engine:
        run = await engine.start("delegation", plan({"id": "a"}, {"id": "b", "dependencies": ["a"]}, nested))
        for published in (["a"], ["a", "b"]):
            run = await engine.resume(run.thread_id, approve())
            assert (run.status, [each for each, _ in agent.published]) == ("paused", published)
        (inner,) = run.children
        await engine.resume(inner.thread_id, approve())
        run = await engine.get(run.thread_id)
    assert (run.status, [each for each, _ in agent.published]) == ("completed", ["a", "b", "a"])


async def test_who_asks_the_same_again_is_asked_again_and_each_question_has_its_own_answer(opened: Open) -> None:
    seen: list[tuple[bool, ...]] = []

    async def work(brief: Brief) -> str:
        seen.append((brief.approved("one"), brief.approved("two"), brief.approved("")))
        if brief.attempt < 4:
            raise NeedsPerson("one" if brief.attempt < 3 else "two")
        return "done"

    async with opened(agents={"worker": work}) as engine:
        run = await engine.start("delegation", plan({"id": "a"}))
        for _ in range(3):
            assert run.status == "paused"
            run = await engine.resume(run.thread_id, approve())
    assert run.status == "completed"
    assert seen == [(False, False, False), (True, False, False), (True, False, False), (True, True, False)]


DRIVER = """
    import asyncio
    from adjourn import AsyncEngine, approve
    from adjourn.nodes.delegation import attempts
    from adjourn.settings import Settings
    from support.delegating import publishing

    known = attempts.answers_for

    def answers_for(*given):
        reach("attempt")
        return known(*given)

    attempts.answers_for = answers_for

    async def main(database):
        workflows = {"delegation": publishing()}
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.8)) as engine:
            await engine.resume("t", approve())

    asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_kill_between_the_answer_and_the_next_attempt_loses_no_permission(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = Path(__file__).parents[1]
    monkeypatch.setenv(LEDGER, str(tmp_path / "ledger"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tests), str(tests.parent)]))
    quick = Settings(lease_seconds=0.8)
    async with AsyncEngine.open(database, workflows={"delegation": publishing()}, settings=quick) as engine:
        run = await engine.start("delegation", plan({"id": "a"}), thread_id="t")
        assert run.status == "paused"
        with child(DRIVER, database) as process:
            process.wait_for("attempt")
            process.kill()
        leases_run_out(database)

        async def over() -> bool:
            await engine.recover()
            return (await engine.get("t")).status not in ("running", "stalled")

        await eventually(over, timeout=30)
        assert (await engine.get("t")).status == "completed"
    assert ledger(tmp_path / "ledger") == ["ask", "publish"]


# --- on paper


def test_questions_are_bounded_and_different_ones_stay_different() -> None:
    long = "x" * 5000
    texts = {question_text(each) for each in ("", "x" * 2000, long, long + "y", "y" + long)}
    assert len(texts) == 5
    assert max(map(len, texts)) <= 2000
    assert question_text("a\0b") == "a\\x00b"


def test_only_answers_to_the_subtasks_own_questions_are_told_and_models_are_told_them_as_data() -> None:
    subtask = planned(read_plan({"subtasks": [{"id": "a"}]}))[0]["a"]
    entry: Any = {"about": "subtask", "by": "kim", "at": "T", "decision": "approve", "message": "yes"}
    question = {"asked": MAY, "input_digest": digest({})}
    given = [{**entry, "task_id": "a"}, {**entry, "task_id": "b", **question}, {**entry, "task_id": "a", **question}]
    answers = answers_for(subtask, given)
    assert answers == (PersonsAnswer(MAY, "approve", "yes", "kim", "T"),)
    told = brief_text(Brief("", "a", "", "", {}, {}, answers=answers))
    assert '"answers_of_people":[{"asked":"May it be published?","decision":"approve"' in told
    assert "answers_of_people" not in brief_text(Brief("", "a", "", "", {}, {}))
