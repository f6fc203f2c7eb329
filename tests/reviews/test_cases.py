"""Places where questions are asked and answers go astray elsewhere, each under a policy of two people and to its end."""

import operator
from itertools import permutations
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from adjourn import AsyncEngine, InvalidDecision, ReviewClosed, Run, approve, edit, reject
from adjourn.state.policies import ReviewPolicy
from adjourn.testing import ScriptedChatModel
from support.tools import pay, send
from support.workflows import Trail, ask, chain, mark

TWO = ReviewPolicy(approvals=2)


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


async def both(engine: AsyncEngine, run: Run, decision: Any, review_id: str | None = None) -> Run:
    """Ann and Bob give the same answer, about the version that is shown to them."""
    for who in ("ann", "bob"):
        review = next(each for each in run.reviews if review_id in (None, each.id))
        assert (run.status, review.missing) == ("paused", 2 if who == "ann" else 1)
        run = await engine.resume(run.thread_id, decision, by=who, review_id=review.id, shown=review.digest)
    return run


async def test_two_questions_are_answered_in_any_order_by_different_people(
    engine: AsyncEngine, known: dict[str, Any]
) -> None:
    votes = [("ann", 0), ("bob", 0), ("cid", 1), ("dee", 1)]
    for order in list(permutations(votes))[::5]:
        run = await engine.start("parallel", {}, policies=TWO)
        ids = [review.id for review in run.reviews]
        for place, (who, number) in enumerate(order):
            run = await engine.resume(run.thread_id, f"to {number}", by=who, review_id=ids[number])
            assert run.status == ("completed" if place == 3 else "paused")
        assert sorted(answer.partition(": ")[2] for answer in run.state["answers"]) == ["to 0", "to 1"]


async def test_several_are_answered_at_once_and_all_or_nothing_under_policies_too(engine: AsyncEngine) -> None:
    run = await engine.start("parallel", {}, policies=TWO)
    first, second = (review.id for review in run.reviews)
    run = await engine.resume(run.thread_id, {first: "a", second: "b"}, by="ann")
    assert [review.missing for review in run.reviews] == [1, 1]
    run = await engine.resume(run.thread_id, {first: "a", second: "c"}, by="bob")
    assert [review.id for review in run.reviews] == [second]
    with pytest.raises(ReviewClosed):  # all or nothing: the first is closed
        await engine.resume(run.thread_id, {first: "b", second: "c"}, by="eve")
    assert len((await engine.get(run.thread_id)).reviews[0].votes) == 2
    assert (await engine.resume(run.thread_id, {second: "c"}, by="eve")).status == "completed"


async def test_in_a_subgraph(database: str) -> None:
    inner = chain(("ask", ask), ("inside", mark("inside"))).compile()
    outer = chain(("before", mark("before")), ("inner", inner), ("after", mark("after")))
    async with AsyncEngine.open(database, workflows={"w": outer}, policies={"w": TWO}) as engine:
        run = await both(engine, await engine.start("w", {"name": "x"}), approve())
    assert (run.status, run.state["trail"]) == ("completed", ["before", "before", "ask", "inside", "after"])


async def test_in_a_loop_each_round_is_a_question_of_its_own(database: str) -> None:
    workflow = StateGraph(Trail)
    workflow.add_node("ask", ask)
    workflow.add_edge(START, "ask")
    workflow.add_conditional_edges(
        "ask", lambda state: "ask" if state["answer"]["decisions"][0]["type"] == "reject" else END, ["ask", END]
    )
    async with AsyncEngine.open(database, workflows={"w": workflow}, policies={"w": TWO}) as engine:
        run = await engine.start("w", {"name": "x"})
        seen = [run.reviews[0].id]
        for _ in range(3):  # one rejection is enough, and an approval of an earlier round is worth nothing
            await engine.resume(run.thread_id, approve(), by="ann", review_id=seen[-1])
            run = await engine.resume(run.thread_id, reject("again"), by="eve", review_id=seen[-1])
            assert run.reviews[0].missing == 2
            seen.append(run.reviews[0].id)
        run = await both(engine, run, approve())
    assert (run.status, run.state["trail"], len(set(seen))) == ("completed", ["ask"] * 4, 4)


async def test_beside_a_branch_that_goes_on_to_the_end_of_its_step_and_waits_there(database: str) -> None:
    ran: list[str] = []

    def working(name: str) -> Any:
        def node(state: Log) -> Log:
            ran.append(name)
            return {"log": [name]}

        return node

    def asks(state: Log) -> Log:
        return {"log": [f"asked {interrupt('Go on?')}"]}

    workflow = StateGraph(Log)
    for name, node in (("asks", asks), ("beside", working("beside")), ("behind", working("behind"))):
        workflow.add_node(name, node)
    workflow.add_edge(START, "asks")
    workflow.add_edge(START, "beside")
    workflow.add_edge("beside", "behind")
    async with AsyncEngine.open(database, workflows={"w": workflow}, policies={"w": TWO}) as engine:
        run = await engine.start("w", {"log": []})
        assert ran == ["beside"]  # it ran; what is behind it waits for the answer, with everything else
        run = await both(engine, run, "yes")
    assert (run.status, ran) == ("completed", ["beside", "behind"])
    assert sorted(run.state["log"]) == ["asked yes", "behind", "beside"]


async def test_two_in_one_node(database: str) -> None:
    def twice(state: Trail) -> Trail:
        return {"answer": [interrupt("first?"), interrupt("second?")]}

    async with AsyncEngine.open(database, workflows={"w": chain(("ask", twice))}, policies={"w": TWO}) as engine:
        run = await both(engine, await engine.start("w", {"name": "x"}), "one")
        assert [review.description for review in run.reviews] == ["second?"]
        run = await both(engine, run, "two")
    assert (run.status, run.state["answer"]) == ("completed", ["one", "two"])


def agent(mode: Any) -> Any:
    calls: Any = [
        {"name": "pay", "args": {"amount": 10}, "id": "c1"},
        {"name": "send", "args": {"to": "bob"}, "id": "c2"},
    ]
    model = ScriptedChatModel([AIMessage("", tool_calls=calls), "done"])
    gates = HumanInTheLoopMiddleware(interrupt_on={"pay": True, "send": True}, interrupt_mode=mode)
    return create_agent(model, [pay, send], middleware=[gates], name="agent")


def tools_said(run: Run) -> set[str]:
    """The last words of what each call came to; before them LangChain tells the model who changed it."""
    said = [message.content for message in run.state["messages"] if message.type == "tool"]
    return {text.splitlines()[-1].rpartition(": ")[2] for text in said}


async def test_an_agents_calls_in_one_question_are_decided_as_a_whole(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"agent": agent("batched")}, policies={"agent": TWO}) as engine:
        run = await engine.start("agent", {"messages": [("user", "pay and send")]})
        run = await engine.resume(run.thread_id, [edit({"amount": 7}), reject("no")], by="ann")
        run = await engine.resume(run.thread_id, True, by="eve")  # another answer agrees with nobody
        assert (run.status, run.reviews[0].missing) == ("paused", 1)
        run = await engine.resume(run.thread_id, [edit({"amount": 7}), reject("no")], by="bob")
    assert (run.status, tools_said(run)) == ("completed", {"paid 7", "no"})


async def test_an_agents_calls_in_questions_of_their_own_have_policies_of_their_own(database: str) -> None:
    policies = {"agent": {"pay": TWO, "send": ReviewPolicy(allowed=("approve", "reject"))}}
    async with AsyncEngine.open(database, workflows={"agent": agent("per_call")}, policies=policies) as engine:
        run = await engine.start("agent", {"messages": [("user", "pay and send")]})
        by_action = {review.action: review for review in run.reviews}
        with pytest.raises(InvalidDecision, match="edit is not allowed"):
            await engine.resume(run.thread_id, edit({"to": "eve"}), review_id=by_action["send"].id)
        run = await engine.resume(run.thread_id, reject("no"), by="ann", review_id=by_action["send"].id)
        run = await engine.resume(run.thread_id, edit({"amount": 7}), by="ann", review_id=by_action["pay"].id)
        (review,) = run.reviews
        assert (review.args, review.version, review.missing) == ({"amount": 7}, 2, 1)
        run = await engine.resume(run.thread_id, [{"type": "accept"}], by="bob", shown=review.digest)
    assert (run.status, tools_said(run)) == ("completed", {"paid 7", "no"})


async def test_a_bad_answer_and_then_good_ones(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=TWO)
    await engine.resume(run.thread_id, approve(), by="ann")
    for bad in (edit({"sum": 1}), "maybe", {"decisions": []}):
        with pytest.raises(InvalidDecision):
            await engine.resume(run.thread_id, bad, by="bob")
    assert (await engine.resume(run.thread_id, approve(), by="bob")).status == "completed"


async def test_an_answer_that_the_workflows_own_schema_refuses_is_asked_again_and_nobody_counts(database: str) -> None:
    from pydantic import BaseModel, field_validator

    class Colour(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def known(cls, name: str) -> str:
            if name != "red":
                raise ValueError("there is only red")
            return name

    def choose(state: Trail) -> Trail:
        return {"answer": interrupt("Which?", response_schema=Colour).name}

    async with AsyncEngine.open(database, workflows={"w": chain(("ask", choose))}, policies={"w": TWO}) as engine:
        run = await engine.start("w", {"name": "x"})
        await engine.resume(run.thread_id, {"name": "blue"}, by="ann")
        with pytest.raises(InvalidDecision, match="there is only red"):
            await engine.resume(run.thread_id, {"name": "blue"}, by="bob")
        run = await engine.get(run.thread_id)
        assert [(vote.by, vote.counts) for vote in run.reviews[0].votes[:2]] == [("ann", False), ("bob", False)]
        run = await both(engine, run, {"name": "red"})
    assert (run.status, run.state["answer"]) == ("completed", "red"), run.error
