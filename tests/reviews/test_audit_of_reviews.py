"""What the audit says of reviews that several people decide, and of deadlines."""

from datetime import timedelta

import pytest

from adjourn import AsyncEngine, DigestMismatch, NotAuthorized, approve, edit, reject
from adjourn.state.policies import DAY, HOUR, ReviewPolicy, Stage
from support.auditing import agree, said
from support.reviewing import person

ANN, BOB, EVE = person("ann", "legal"), person("bob", "legal", source="authenticated"), person("eve")


async def told(engine: AsyncEngine) -> list[tuple[str, str | None, str | None]]:
    """What happened, who did it, and the decision."""
    return [(entry.kind, entry.by, entry.details.get("decision")) for entry in await engine.audit("t")]


async def test_every_decision_has_an_entry_of_its_own_and_the_refused_ones_say_why(
    engine: AsyncEngine, database: str
) -> None:
    policy = ReviewPolicy(roles=("legal",), approvals=2)
    run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=policy)
    (asked,) = run.reviews
    await engine.resume("t", edit({"amount": 7}), by=ANN)
    with pytest.raises(NotAuthorized):
        await engine.resume("t", approve(), by=EVE)
    with pytest.raises(DigestMismatch):
        await engine.resume("t", approve(), by=BOB, shown=asked.digest)
    await engine.resume("t", approve(), by=BOB, shown=(await engine.get("t")).reviews[0].digest)
    assert await told(engine) == [
        ("started", "kim", None),
        ("asked", None, None),
        ("paused", "kim", None),
        ("decided", "ann", "edit"),
        ("refused", "eve", None),
        ("refused", "bob", None),
        ("decided", "bob", "approve"),
        ("resumed", "bob", None),
        ("completed", "bob", None),
    ]
    entries = await engine.audit("t")
    edited, *refused, approved = entries[3:7]
    assert edited.details["shown"] == asked.digest == entries[1].details["digest"]
    assert edited.details["proposal"] == approved.details["shown"] != asked.digest, "people approve what was edited"
    assert "proposal" not in approved.details
    assert [entry.details["why"] for entry in refused] == ["NotAuthorized", "DigestMismatch"]
    assert (approved.source, edited.source) == ("authenticated", "trusted")
    assert (await engine.verify_audit()).whole
    agree(database)


async def test_reminders_escalations_and_what_the_deadline_decides(engine: AsyncEngine, database: str) -> None:
    last = Stage(("lead",), deadline=DAY, on_deadline=reject("nobody looked"))
    policy = ReviewPolicy(roles=("legal",), deadline=DAY, remind_after=HOUR, escalate_to=(last,))
    run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=policy)
    asked = run.reviews[0].asked_at
    assert asked is not None
    for days in (0.1, 1.1, 3):
        await engine.sweep(now=asked + timedelta(days=days))
    assert await told(engine) == [
        ("started", "kim", None),
        ("asked", None, None),
        ("paused", "kim", None),
        ("reminded", "system:deadline", None),
        ("escalated", "system:deadline", None),
        ("decided", "system:deadline", "reject"),
        ("resumed", "kim", None),
        ("completed", "kim", None),
    ]
    assert {entry.details["review"] for entry in (await engine.audit("t"))[3:6]} == {run.reviews[0].id}
    agree(database)


async def test_a_run_that_its_deadline_failed_and_that_is_asked_again(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"}, thread_id="t", policies=ReviewPolicy(deadline=HOUR))
    asked = run.reviews[0].asked_at
    assert asked is not None
    await engine.sweep(now=asked + timedelta(hours=2))
    await engine.retry("t", by="dana")
    assert (await told(engine))[3:] == [
        ("decided", "system:deadline", "expire"),
        ("failed", "system:deadline", None),
        ("resumed", "dana", None),
        ("asked", "system:deadline", None),
        ("paused", "dana", None),
    ]
    agree(database)


async def test_rebuilding_the_reviews_leaves_the_audit_as_it_is(engine: AsyncEngine) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t", policies=ReviewPolicy(approvals=2))
    await engine.resume("t", approve(), by=ANN)
    before = await engine.audit("t")
    await engine.rebuild()
    assert await engine.audit("t") == before
    assert said(before) == ["started", "asked", "paused", "decided"]
