"""Policies, end to end: whose counts, who may answer, what is recorded, and what people see meanwhile."""

from typing import Any

import pytest
from langgraph.types import interrupt

from adjourn import (
    AsyncEngine,
    ConfigurationError,
    DigestMismatch,
    NotAuthorized,
    ReviewClosed,
    approve,
    edit,
    reject,
)
from adjourn.state.policies import HOUR, ReviewPolicy
from adjourn.state.questions import question
from adjourn.testing import decide_all
from support.postgres import execute
from support.reviewing import person
from support.workflows import Trail, chain

TWO = ReviewPolicy(approvals=2)
ANN, BOB, EVE = person("ann", "legal"), person("bob", "legal", "sales"), person("eve", "sales")


async def test_a_run_waits_until_enough_people_have_approved(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=TWO)
    run = await engine.resume(run.thread_id, approve("fine"), by="ann")
    assert (run.status, run.reviews[0].missing) == ("paused", 1)
    (vote,) = run.reviews[0].votes
    assert (vote.by, vote.kind, vote.message, vote.source, vote.channel) == (
        "ann", "approve", "fine", "trusted", "python",
    )  # fmt: skip
    assert await engine.resume(run.thread_id, approve("fine"), by="ann") == run
    run = await engine.resume(run.thread_id, approve(), by="bob")
    assert (run.status, run.state["answer"]["decisions"]) == ("completed", [{"type": "approve"}])
    assert run.state["answer"]["adjourn"]["by"] == "bob"
    assert run.state["answer"]["adjourn"]["approved_by"] == ["ann", "bob"]


async def test_the_vote_that_comes_too_late_learns_who_had_approved(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=TWO)
    asked = run.reviews[0].id
    for who in ("ann", "bob"):
        await engine.resume(run.thread_id, approve(), by=who, review_id=asked)
    with pytest.raises(ReviewClosed, match="answered by bob") as caught:
        await engine.resume(run.thread_id, approve(), by="eve", review_id=asked)
    assert caught.value.outcome is not None
    assert caught.value.outcome["approved_by"] == ["ann", "bob"]
    # whoever was counted before may send it again
    assert (await engine.resume(run.thread_id, approve(), by="ann", review_id=asked)).status == "completed"


async def test_people_approve_what_is_executed(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=TWO)
    first = run.reviews[0].digest
    await engine.resume(run.thread_id, approve(), by="ann")
    run = await engine.resume(run.thread_id, edit({"amount": 7}), by="bob")
    review = run.reviews[0]
    assert (review.version, review.args, review.missing) == (2, {"amount": 7}, 1)
    assert [(vote.by, vote.counts) for vote in review.votes] == [("ann", False), ("bob", True)]
    for shown in (None, first):
        with pytest.raises(DigestMismatch, match="bob changed it"):
            await engine.resume(run.thread_id, approve(), by="eve", shown=shown)
    run = await engine.resume(run.thread_id, approve(), by="ann", shown=review.digest)
    assert run.status == "completed"
    assert run.state["answer"]["decisions"][0]["edited_action"]["args"] == {"amount": 7}
    assert run.state["answer"]["adjourn"]["approved_by"] == ["bob", "ann"]


async def test_a_decider_says_that_it_saw_what_was_edited(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=TWO)
    answers = iter([edit({"amount": 7}), approve()])
    run = await decide_all(engine, run.thread_id, lambda review: next(answers), by=["ann", "bob"])
    assert run.state["answer"]["adjourn"]["approved_by"] == ["ann", "bob"]


async def test_roles_come_with_the_principal_never_with_the_answer(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(roles=("legal",)))
    assert run.reviews[0].roles == ("legal",)
    forged = {"type": "approve", "roles": ["legal"], "by": "ann"}
    for who in ("ann", EVE, None):  # a name alone holds no roles
        with pytest.raises(NotAuthorized, match="asks legal"):
            await engine.resume(run.thread_id, forged, by=who)
    assert (await engine.get(run.thread_id)).reviews == run.reviews
    assert (await engine.resume(run.thread_id, approve(), by=ANN)).status == "completed"


async def test_the_requester_does_not_approve_their_own_request(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, by="ann", policies=ReviewPolicy(exclude_requester=True))
    with pytest.raises(NotAuthorized, match="ann started this run"):
        await engine.resume(run.thread_id, approve(), by="ann")
    assert (await engine.resume(run.thread_id, approve(), by="bob")).status == "completed"


async def test_a_name_that_was_only_given_is_not_enough_where_authentication_is_asked_for(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(require_authenticated=True))
    with pytest.raises(NotAuthorized, match="authenticated people only"):
        await engine.resume(run.thread_id, approve(), by="ann")
    run = await engine.resume(run.thread_id, approve(), by=person("ann", source="authenticated"))
    assert run.status == "completed"


async def test_an_authenticated_principal_names_nobody_else(database: str, known: dict[str, Any]) -> None:
    eve = person("eve", source="authenticated")
    async with AsyncEngine.open(database, workflows=known, principal=eve) as engine:
        run = await engine.start("asking", {"name": "x"})
        for who in ("ann", ANN):
            with pytest.raises(NotAuthorized, match="cannot act as 'ann'"):
                await engine.resume(run.thread_id, approve(), by=who)
        with pytest.raises(NotAuthorized):  # nor holds more roles than those that were proved
            await engine.resume(run.thread_id, approve(), by=person("eve", "legal"))


async def test_several_must_reject_where_the_policy_says_so(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(reject_approvals=2))
    run = await engine.resume(run.thread_id, reject("no"), by="ann")
    assert run.status == "paused"
    run = await engine.resume(run.thread_id, reject("never"), by="bob")
    assert run.state["answer"]["decisions"] == [{"type": "reject", "message": "never"}]


async def test_people_must_give_the_same_plain_answer(engine: AsyncEngine) -> None:
    run = await engine.start("plain", {"name": "x"}, policies=TWO)
    for who, colour in (("ann", "red"), ("bob", "blue")):
        run = await engine.resume(run.thread_id, colour, by=who)
        assert (run.status, run.reviews[0].missing) == ("paused", 1)
    run = await engine.resume(run.thread_id, "blue", by="eve")
    assert run.state["answer"] == "blue"


def asks_under(policy: ReviewPolicy | None, action: str = "pay") -> Any:
    def ask(state: Trail) -> Trail:
        allowed: Any = ("approve", "edit", "reject", "respond")
        return {"answer": interrupt(question(action, {"amount": 10}, "Pay?", allowed=allowed, policy=policy))}

    return chain(("ask", ask))


NODE, RUN, WORKFLOW = (ReviewPolicy(roles=(name,)) for name in ("node", "run", "workflow"))


@pytest.mark.parametrize(
    ("node", "run", "workflow", "counts"),
    [
        (None, None, None, ()),
        (None, None, WORKFLOW, ("workflow",)),
        (NODE, None, WORKFLOW, ("node",)),
        (NODE, RUN, WORKFLOW, ("run",)),
        (NODE, {"pay": RUN}, WORKFLOW, ("run",)),
        (NODE, {"other": RUN}, None, ("node",)),
        (None, {"*": RUN, "pay": NODE}, None, ("node",)),
        (None, None, {"pay": WORKFLOW}, ("workflow",)),
        (None, None, {"other": WORKFLOW}, ()),
    ],
)
async def test_the_policy_of_the_run_comes_before_the_questions_and_that_before_the_workflows(
    database: str, node: Any, run: Any, workflow: Any, counts: tuple[str, ...]
) -> None:
    defaults = {"w": workflow} if workflow else None
    async with AsyncEngine.open(database, workflows={"w": asks_under(node)}, policies=defaults) as engine:
        started = await engine.start("w", {"name": "x"}, policies=run)
        assert started.reviews[0].roles == counts
        forked = await engine.fork(started.thread_id, at=0)
        assert forked.reviews[0].roles == counts


async def test_a_run_keeps_its_workflows_policy_in_an_engine_that_knows_none(
    database: str, known: dict[str, Any]
) -> None:
    async with AsyncEngine.open(database, workflows=known, policies={"plain": TWO}) as engine:
        run = await engine.start("plain", {"name": "x"})
    async with AsyncEngine.open(database, workflows=known) as engine:
        assert (await engine.resume(run.thread_id, "red", by="ann")).status == "paused"
        assert (await engine.resume(run.thread_id, "red", by="bob")).status == "completed"


async def test_a_static_breakpoint_is_asked_under_the_policy_of_its_workflow(database: str) -> None:
    stopping = chain(("one", lambda state: {"trail": ["one"]})).compile(name="stopping", interrupt_before=["one"])
    async with AsyncEngine.open(database, workflows={"s": stopping}, policies={"s": TWO}) as engine:
        run = await engine.start("s", {"name": "x"})
        assert (await engine.resume(run.thread_id, approve(), by="ann")).status == "paused"
        assert (await engine.resume(run.thread_id, approve(), by="bob")).status == "completed"


async def test_a_question_with_a_policy_that_is_none_fails_its_run_and_says_why(database: str) -> None:
    def ask(state: Trail) -> Trail:
        return {"answer": interrupt({"adjourn": {"policy": {"aprovals": 2}}})}

    async with AsyncEngine.open(database, workflows={"w": chain(("ask", ask))}) as engine:
        run = await engine.start("w", {"name": "x"})
        assert (run.status, run.reviews) == ("failed", ())
        assert run.error is not None
        assert "'aprovals', which means nothing" in run.error["message"]


async def test_a_policy_that_is_none_starts_nothing(engine: AsyncEngine) -> None:
    with pytest.raises(ConfigurationError, match="policies takes a ReviewPolicy"):
        await engine.start("asking", {"name": "x"}, policies={"pay": {"approvals": 2}})  # type: ignore[dict-item]
    assert not (await engine.runs()).items


async def test_what_is_recorded_of_a_decision(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(approvals=2, deadline=HOUR))
    review = run.reviews[0]
    await engine.resume(run.thread_id, approve("fine"), by=person("ann", "legal", source="authenticated"))
    await engine.resume(run.thread_id, edit({"amount": 7}), by="bob")
    rows = execute(
        database,
        "select decided_by, source, channel, kind, roles, version, counts, final, shown = '" + review.digest + "',"
        " abs(extract(epoch from decided_at - clock_timestamp())) < 60 from adjourn.decisions order by number",
    )
    assert rows == [
        ("ann", "authenticated", "python", "approve", ["legal"], 1, False, False, True, True),
        ("bob", "trusted", "python", "edit", [], 2, True, False, True, True),
    ]
