"""resume: answers reach the question they were given for, or are refused and change nothing."""

import asyncio
from typing import Any

import pytest

from adjourn import (
    AsyncEngine,
    InvalidDecision,
    NotPaused,
    ReviewClosed,
    Run,
    UnknownReview,
    UnknownWorkflow,
    approve,
    edit,
    reject,
    respond,
)
from adjourn.engine.runs import Outcome
from support.postgres import execute
from support.workflows import asking


async def test_a_run_goes_on_in_an_engine_opened_later(engine: AsyncEngine, database: str, known: Any) -> None:
    run = await engine.start("asking", {"name": "x"})
    async with AsyncEngine.open(database, workflows=known) as later:
        run = await later.resume(run.thread_id, approve(), by="dana")
    assert (run.status, run.state["trail"]) == ("completed", ["before", "ask", "after"])


@pytest.mark.parametrize(
    ("decision", "delivered"),
    [
        (approve(), {"type": "approve"}),
        (edit({"amount": 7}), {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 7}}}),
        (reject("too much"), {"type": "reject", "message": "too much"}),
        (respond("which account?"), {"type": "respond", "message": "which account?"}),
        ("approve", {"type": "approve"}),
        ({"type": "reject", "message": "no"}, {"type": "reject", "message": "no"}),
        ({"decisions": [{"type": "approve"}]}, {"type": "approve"}),
        (
            {"type": "modify", "args": {"amount": 7}},
            {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 7}}},
        ),
        ({"type": "request_more_info", "message": "why?"}, {"type": "respond", "message": "why?"}),
    ],
)
async def test_a_decision_reaches_the_node_in_langchains_form(
    engine: AsyncEngine, decision: Any, delivered: dict[str, Any]
) -> None:
    run = await engine.start("asking", {"name": "x"})
    run = await engine.resume(run.thread_id, decision)
    assert run.state["answer"]["decisions"] == [delivered]


async def test_the_node_learns_who_answered_from_the_engine_never_from_the_answer(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    forged = {"decisions": [{"type": "approve"}], "adjourn": {"by": "the boss", "at": "2020-01-01T00:00:00+00:00"}}
    run = await engine.resume(run.thread_id, forged, by="dana")
    assert run.state["answer"]["adjourn"]["by"] == "dana"


async def test_the_edited_arguments_replace_those_of_the_same_name(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    with pytest.raises(InvalidDecision, match="no argument 'sum'; it has amount"):
        await engine.resume(run.thread_id, edit({"sum": 7}))
    assert (await engine.get(run.thread_id)).status == "paused"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("maybe", "'maybe' is no decision; there are approve, edit, reject, respond"),
        (7, "a int is not a decision"),
        ({"type": "respond"}, "takes the text"),
        ({"type": "edit"}, "names the changed arguments"),
        ({"type": "reject", "message": 7}, "not text"),
        ({"decisions": []}, "0 decisions were given for one action"),
        (edit({"amount": object()}), "the edit.amount is a object"),
    ],
)
async def test_a_malformed_answer_is_refused_and_the_question_stays_open(
    engine: AsyncEngine, bad: Any, message: str
) -> None:
    run = await engine.start("asking", {"name": "x"})
    with pytest.raises(InvalidDecision, match=message):
        await engine.resume(run.thread_id, bad)
    assert (await engine.get(run.thread_id)).reviews == run.reviews
    assert (await engine.resume(run.thread_id, approve())).status == "completed"


async def test_a_plain_question_gets_its_plain_value(engine: AsyncEngine) -> None:
    run = await engine.start("plain", {"name": "x"})
    assert run.reviews[0].description == "Which colour?"
    run = await engine.resume(run.thread_id, {"colour": "red"})
    assert run.state["answer"] == {"colour": "red"}


@pytest.mark.parametrize("value", [None, False, 0, "", {}, []])
async def test_an_empty_value_is_an_answer_too(engine: AsyncEngine, value: Any) -> None:
    run = await engine.start("plain", {"name": "x"})
    run = await engine.resume(run.thread_id, value)
    assert run.status == "completed"
    assert run.state["answer"] == value


async def test_a_decision_for_a_plain_question_is_refused(engine: AsyncEngine) -> None:
    run = await engine.start("plain", {"name": "x"})
    with pytest.raises(InvalidDecision, match="asks for a plain value"):
        await engine.resume(run.thread_id, approve())
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_another_answer_to_a_run_that_waits_for_nobody_is_refused(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve())
    with pytest.raises(NotPaused, match="it has completed"):
        await engine.resume(run.thread_id, reject("too late"))


async def test_the_same_answer_again_changes_nothing_and_returns_the_run(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    review_id = run.reviews[0].id
    done = await engine.resume(run.thread_id, edit({"amount": 7}), review_id=review_id, by="dana")
    again = await engine.resume(
        run.thread_id, {"type": "modify", "args": {"amount": 7}}, review_id=review_id, by="dana"
    )
    assert again == done
    assert await engine.resume(run.thread_id, edit({"amount": 7}), by="dana") == done


@pytest.mark.parametrize(("by", "decision"), [("dana", approve()), ("eve", edit({"amount": 7}))])
async def test_another_answer_or_person_learns_who_answered_when_and_what(
    engine: AsyncEngine, by: str, decision: Any
) -> None:
    run = await engine.start("asking", {"name": "x"})
    review_id = run.reviews[0].id
    await engine.resume(run.thread_id, edit({"amount": 7}), review_id=review_id, by="dana")
    with pytest.raises(ReviewClosed, match="was answered by dana at 20.*: edit") as caught:
        await engine.resume(run.thread_id, decision, review_id=review_id, by=by)
    outcome = caught.value.outcome
    assert outcome is not None
    assert (outcome["by"], outcome["answer"]["decisions"][0]["type"]) == ("dana", "edit")


async def test_an_answer_to_another_question_is_refused(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    with pytest.raises(UnknownReview, match=run.reviews[0].id):
        await engine.resume(run.thread_id, approve(), review_id="0" * 32)
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_several_open_questions_must_be_named(engine: AsyncEngine) -> None:
    run = await engine.start("parallel", {})
    assert len(run.reviews) == 2
    with pytest.raises(UnknownReview, match="asks 2 questions"):
        await engine.resume(run.thread_id, "yes")


def by_name(run: Run) -> tuple[str, str]:
    """The reviews of Ann and of Bob; which of them asks first is LangGraph's affair."""
    ids = {review.description: review.id for review in run.reviews}
    return ids["Well, ann?"], ids["Well, bob?"]


async def test_several_open_questions_are_answered_one_by_one(engine: AsyncEngine) -> None:
    run = await engine.start("parallel", {})
    ann, bob = by_name(run)
    run = await engine.resume(run.thread_id, "one", review_id=bob)
    assert (run.status, [review.id for review in run.reviews]) == ("paused", [ann])
    run = await engine.resume(run.thread_id, "two")
    assert sorted(run.state["answers"]) == ["ann: two", "bob: one"]


async def test_several_open_questions_are_answered_at_once_or_not_at_all(engine: AsyncEngine) -> None:
    run = await engine.start("parallel", {})
    first, second = by_name(run)
    with pytest.raises(InvalidDecision):
        await engine.resume(run.thread_id, {first: "one", second: object()})
    assert len((await engine.get(run.thread_id)).reviews) == 2
    run = await engine.resume(run.thread_id, {first: "one", second: "two"})
    assert (run.status, sorted(run.state["answers"])) == ("completed", ["ann: one", "bob: two"])


async def test_of_two_who_answer_at_once_exactly_one_drives(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    asked = run.reviews[0].id
    answers = [engine.resume(run.thread_id, reject(str(number)), review_id=asked) for number in range(8)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    won = [result for result in results if not isinstance(result, BaseException)]
    lost = [result for result in results if isinstance(result, BaseException)]
    assert len(won) == 1
    assert all(isinstance(error, ReviewClosed) for error in lost)
    assert (await engine.get(run.thread_id)).state["trail"] == ["before", "ask", "after"]


async def test_a_run_of_a_workflow_that_is_not_here_says_where_it_was_registered(
    engine: AsyncEngine, database: str
) -> None:
    run = await engine.start("asking", {"name": "x"})
    async with AsyncEngine.open(database) as elsewhere:
        shown = await elsewhere.get(run.thread_id)
        assert (shown.status, len(shown.reviews)) == ("paused", 1)
        with pytest.raises(UnknownWorkflow, match="a graph handed to the engine"):
            await elsewhere.resume(run.thread_id, approve())
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_a_schema_that_the_graph_enforces_is_a_refusal_too(database: str) -> None:
    from langgraph.types import interrupt
    from pydantic import BaseModel

    from support.workflows import Trail, chain, mark

    class Colour(BaseModel):
        name: str

    def choose(state: Trail) -> Trail:
        return {"answer": interrupt("Which?", response_schema=Colour).name}

    graph = chain(("choose", choose), ("after", mark("after")))
    async with AsyncEngine.open(database, workflows={"typed": graph}) as engine:
        run = await engine.start("typed", {"name": "x"})
        assert run.reviews[0].response_schema is not None
        with pytest.raises(InvalidDecision, match="name"):
            await engine.resume(run.thread_id, {"name": 7})
        assert (await engine.get(run.thread_id)).status == "paused"
        run = await engine.resume(run.thread_id, {"name": "red"})
    assert (run.status, run.state["answer"]) == ("completed", "red")


async def test_a_static_breakpoint_is_a_review(database: str) -> None:
    stopping = asking.compile(name="stopping", interrupt_before=["before"])
    async with AsyncEngine.open(database, workflows={"stopping": stopping}) as engine:
        run = await engine.start("stopping", {"name": "x"})
        assert run.status == "paused"
        assert run.reviews[0].id.startswith("breakpoint:")
        run = await engine.resume(run.thread_id, approve())
        assert (run.status, run.reviews[0].action) == ("paused", "pay")


STANDS = "select status, leases.expires_at > now() from adjourn.runs join adjourn.leases using (thread_id)"


async def test_a_pause_gives_way_to_an_answer_that_its_drive_was_not_given(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"}, thread_id="t")
    driven = await engine._runs.claim("t", "default", ("paused",))
    assert driven is not None
    assert (await engine.resume("t", approve())).status == "running", "somebody drives it, and will find the answer"
    assert await engine._runs.settle_run("t", driven["token"], Outcome("paused")) == ("go on", None)
    assert execute(database, STANDS) == [("running", True)]
    paused = await engine._runs.settle_run("t", driven["token"], Outcome("paused", fed=[run.reviews[0].id]))
    assert paused[0] == "recorded"
    assert execute(database, STANDS) == [("paused", False)]


async def test_a_pause_of_whoever_has_lost_the_lease_changes_nothing(engine: AsyncEngine, database: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    driven = await engine._runs.claim("t", "default", ("paused",))
    assert driven is not None
    assert await engine._runs.settle_run("t", driven["token"] - 1, Outcome("paused")) == ("gone", None)
    assert execute(database, STANDS) == [("running", True)]
