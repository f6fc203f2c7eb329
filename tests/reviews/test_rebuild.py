"""The table of reviews is a view of what is stored elsewhere: it can be made anew."""

from datetime import timedelta
from typing import Any

import pytest

from adjourn import AsyncEngine, Run, approve, edit, reject
from adjourn.state.policies import DAY, HOUR, ReviewPolicy, Stage
from support.postgres import execute
from support.reviewing import person
from support.workflows import ask, asking, chain, mark

CHAIN = ReviewPolicy(
    roles=("legal",),
    approvals=2,
    priority=3,
    deadline=DAY,
    remind_after=HOUR,
    escalate_to=(Stage(("lead",), deadline=DAY, remind_after=HOUR),),
)
# every column; `created_at` by itself, because of a lost row nobody knows it
COLUMNS = (
    "thread_id, review_id, status, checkpoint_ns, checkpoint_id, task_id, question_type, question, closed_at, tenant, "
    "workflow, roles, priority, stage, due_at, remind_at, fails_closed, version, digest"
)
TAMPER = (
    "update adjourn.reviews set status = case when status = 'pending' then 'withdrawn' else 'pending' end, "
    "checkpoint_ns = 'x', checkpoint_id = 'x', task_id = 'x', question = 'x', closed_at = now(), tenant = 'x', "
    "workflow = 'x', roles = '{x}', priority = 9, stage = 9, due_at = now(), remind_at = now(), fails_closed = true, "
    "version = 9, digest = 'x'"
)


def table(url: str, columns: str = COLUMNS) -> list[dict[str, Any]]:
    rows = execute(url, f"select {columns} from adjourn.reviews order by thread_id, review_id")
    return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]


def workflows() -> dict[str, Any]:
    inner = chain(("ask", ask), ("inside", mark("inside"))).compile()
    stopping = chain(("one", mark("one"))).compile(interrupt_before=["one"])
    return {"asking": asking, "inner": chain(("inner", inner)), "stopping": stopping}


def at(run: Run, **later: float) -> Any:
    assert run.reviews[0].asked_at is not None
    return run.reviews[0].asked_at + timedelta(seconds=1, **later)


async def stories(engine: AsyncEngine) -> None:
    """Reviews of all kinds: open, edited, reminded, escalated, expired, asked again, decided, withdrawn."""
    ann, bob = person("ann", "legal"), person("bob", "legal")
    await engine.start("asking", {"name": "open"})
    await engine.start("stopping", {"name": "a breakpoint"})
    await engine.start("inner", {"name": "in a subgraph"})
    decided = await engine.start("inner", {"name": "decided in a subgraph"})
    await engine.resume(decided.thread_id, reject("no"), by="ann")
    cancelled = await engine.start("asking", {"name": "withdrawn"})
    await engine.cancel(cancelled.thread_id, reason="not needed")

    escalated = await engine.start("asking", {"name": "escalated"}, policies=CHAIN)
    await engine.resume(escalated.thread_id, approve(), by=ann)
    await engine.sweep(now=at(escalated, days=1))
    await engine.sweep(now=at(escalated, days=1, hours=2))
    expiring = ReviewPolicy(deadline=60)
    expired = await engine.start("asking", {"name": "expired"}, policies=expiring)
    await engine.sweep(now=at(expired, minutes=2))
    again = await engine.start("asking", {"name": "asked again"}, policies=expiring)
    await engine.sweep(now=at(again, minutes=2))
    await engine.retry(again.thread_id)
    edited = await engine.start("asking", {"name": "edited"}, policies=CHAIN)
    await engine.resume(edited.thread_id, edit({"amount": 7}), by=ann)
    whole = await engine.start("asking", {"name": "edited and approved"}, policies=CHAIN)
    run = await engine.resume(whole.thread_id, edit({"amount": 7}), by=ann)
    await engine.resume(whole.thread_id, approve(), by=bob, shown=run.reviews[0].digest)


@pytest.mark.parametrize("what_happened", ["changed", "lost"])
async def test_a_table_that_was_changed_or_lost_comes_back_as_it_was(database: str, what_happened: str) -> None:
    async with AsyncEngine.open(database, workflows=workflows(), principal=person("kim")) as engine:
        await stories(engine)
        before, times = table(database), table(database, "created_at")
        assert await engine.rebuild() == 10
        assert (table(database), table(database, "created_at")) == (before, times)
        if what_happened == "changed":
            execute(database, TAMPER)
            assert table(database) != before
            await engine.rebuild()
            assert (table(database), table(database, "created_at")) == (before, times)
        else:
            # nothing but these rows knows since when an open question waits, so its time begins anew
            columns = COLUMNS.replace("due_at, remind_at, ", "")
            before = table(database, columns)
            execute(database, "delete from adjourn.reviews")
            await engine.rebuild()
            assert table(database, columns) == before
        done = await engine.resume((await engine.reviews(workflow="inner")).items[0].thread_id, approve())
        assert done.status == "completed"


async def test_a_question_that_nobody_asks_is_withdrawn(database: str) -> None:
    async with AsyncEngine.open(database, workflows=workflows()) as engine:
        run = await engine.start("asking", {"name": "x"})
        execute(
            database,
            "insert into adjourn.reviews (thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type,"
            " question, tenant, workflow) select thread_id, 'ghost', '', '', '', question_type, question, tenant,"
            " workflow from adjourn.reviews",
        )
        assert len((await engine.get(run.thread_id)).reviews) == 2
        await engine.rebuild(run.thread_id)
        assert (await engine.get(run.thread_id)).reviews == run.reviews
