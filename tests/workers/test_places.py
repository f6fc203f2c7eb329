"""Limits over families of runs: parents that go on, children that are started, and answers that come in between."""

import random
from typing import Any

from adjourn import AsyncEngine, NotPaused, Principal, ReviewClosed, ReviewPolicy, approve
from adjourn.nodes.children import ChildCall
from adjourn.nodes.children import children as wanted
from support.auditing import agree
from support.eventually import eventually
from support.families import Runs, parent_of, told, working
from support.places import most_running, watch
from support.postgres import execute
from support.workflows import Flaky, asking, chain, mark
from support.working import Serving

KIM = Principal("kim")
QUICK = chain(("quick", mark("quick")))
ENDED = "select count(*) from adjourn.runs where status not in ('completed', 'failed', 'cancelled')"


async def two_children(state: Runs) -> Runs:
    calls = {"a": ChildCall("asking", {"name": "a"}), "q": ChildCall("quick", {"name": "q"})}
    return {"got": [told(each) for each in (await wanted(calls)).values()]}


KNOWN: dict[str, Any] = {
    "asking": asking, "quick": QUICK, "parent": parent_of("asking"), "family": working(two_children),
    "grandparent": parent_of("family"),
}  # fmt: skip


async def all_ended(database: str) -> bool:
    return execute(database, ENDED) == [(0,)]


async def answer_all(engine: AsyncEngine, database: str, *, seed: int = 7, here: bool = False) -> None:
    """Answer whatever is asked until all runs have ended, in some order."""
    chance = random.Random(seed)

    async def done() -> bool:
        for review in chance.sample(found := await engine.reviews(), len(found)):
            try:
                await engine.resume(review.thread_id, approve(), by="dana", wait=here, review_id=review.id)
            except (ReviewClosed, NotPaused):
                continue
        return await all_ended(database)

    await eventually(done, timeout=60)


async def test_a_parent_that_goes_on_asks_for_a_place_again(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.submit("parent", {"name": "x"}, thread_id="p")
        async with serving(KNOWN):
            (child,) = (await engine.wait("p", timeout=20)).children
            await engine.set_limit("parent", at_once=0)
            await engine.resume(child.thread_id, approve(), wait=False)
            assert (await engine.wait(child.thread_id, until="completed", timeout=20)).status == "completed"
            await eventually(lambda: _held(engine, "p"))
            await engine.set_limit("parent", at_once=1)
            assert (await engine.wait("p", until="completed", timeout=20)).status == "completed"
        agree(database)


async def _held(engine: AsyncEngine, thread_id: str) -> bool:
    return (await engine.get(thread_id)).held == "limits"


async def test_limits_hold_at_every_commit_while_families_come_and_go(database: str, serving: Serving) -> None:
    """One place for all would be a deadlock if a parent kept its own while its children wait for theirs."""
    watch(database)
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.set_limit(at_once=1)
        for number in range(3):
            await engine.submit("grandparent", {"name": "x"}, thread_id=f"g{number}")
        async with serving(KNOWN), serving(KNOWN):
            await answer_all(engine, database)
        assert {run.status for run in await engine.runs(limit=100)} == {"completed"}
        assert len(await engine.runs(limit=100)) == 12
    assert most_running(database) == 1


async def test_children_of_what_a_worker_drives_wait_for_a_place_and_those_of_others_do_not(
    database: str, serving: Serving
) -> None:
    watch(database)
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.set_limit("quick", at_once=0)
        run = await engine.start("family", {"name": "x"})
        assert {each.id: each.status for each in run.children} == {"a": "paused", "q": "completed"}
        await engine.submit("family", {"name": "x"}, thread_id="f")
        async with serving(KNOWN):
            run = await engine.wait("f", timeout=20)
            found = {each.id: each for each in run.children}
            assert {name: each.status for name, each in found.items()} == {"a": "paused", "q": "queued"}
            assert (await engine.get(found["q"].thread_id)).held == "limits"
            await engine.set_limit("quick", at_once=1)
            await answer_all(engine, database)
    assert most_running(database, "quick") == 1


async def test_a_child_is_as_urgent_as_its_parent_and_comes_before_what_was_submitted_after_that(database: str) -> None:
    """Otherwise all parents would begin before the first of them could end."""
    known = {**KNOWN, "parent": parent_of("quick")}
    async with AsyncEngine.open(database, workflows=known, principal=KIM) as engine:
        await engine.set_limit(at_once=1)
        for name in ("p0", "p1"):
            await engine.submit("parent", {"name": "x"}, thread_id=name, priority=3)
        order = []
        for _ in range(4):
            await engine._admit()
            order.append(
                execute(database, "select args ->> 'thread_id' from adjourn.procrastinate_jobs order by id")[-1][0]
            )
            await engine._drive_queued(order[-1])
        (child,) = (await engine.get("p0")).children
        assert order == ["p0", child.thread_id, "p0", "p1"]
        assert (await engine.get(child.thread_id)).priority == 3


async def test_a_child_that_is_tried_again_with_its_parent_asks_for_a_place(database: str, serving: Serving) -> None:
    flaky = Flaky()
    known = {**KNOWN, "flaky": flaky.graph, "hopeful": parent_of("flaky")}
    async with AsyncEngine.open(database, workflows=known, principal=KIM) as engine:
        failed = await engine.start("hopeful", {"name": "x"}, thread_id="h")
        assert failed.status == "failed"
        flaky.broken = False
        await engine.set_limit("flaky", at_once=0)
        # whoever goes on with a failed run by a worker's hand
        row = await engine._runs.claim("h", "default", ("failed",))
        assert row is not None
        await engine._children.again_below({**row, "error": failed.error})
        await engine._queue.hand_back("h", row["token"])
        async with serving(known):
            run = await engine.wait("h", timeout=20)
            assert (run.status, run.children[0].status) == ("paused", "queued")
            await engine.set_limit("flaky", at_once=1)
            assert (await engine.wait("h", until="completed", timeout=20)).status == "completed"
        agree(database)


async def test_a_run_that_became_queued_while_a_limit_was_being_set_waits_all_the_same(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.submit("quick", {"name": "x"}, thread_id="late")
        # its transaction had looked for limits before there was one, and committed behind `hold_back`
        await engine.set_limit("quick", at_once=0)
        execute(database, "update adjourn.runs set admission = null where thread_id = 'late'")
        await engine._drive_queued("late")
        run = await engine.get("late")
        assert (run.status, run.held) == ("queued", "limits")
        await engine.set_limit("quick", at_once=1)
        await engine._admit()
        await engine._drive_queued("late")
        assert (await engine.get("late")).status == "completed"


async def test_an_answer_that_nobody_was_given_asks_for_a_place(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="a")
        await engine.set_limit("asking", at_once=0)
        await engine.resume("a", approve(), wait=False)
        execute(database, "update adjourn.runs set status = 'paused', admission = null where thread_id = 'a'")
        for at_hand in (False, True):
            assert not await engine._drive_queued("a", at_hand=at_hand)
        assert (await engine.get("a")).held == "limits"


async def test_what_a_deadline_has_decided_asks_for_a_place_whoever_saw_it(database: str) -> None:
    policy = ReviewPolicy(deadline=0.05, on_deadline=approve())
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t", policies=policy)
        await engine.set_limit("asking", at_once=0)
        await eventually(lambda: engine._sweep(None, None, 10, []))  # a worker of other workflows
        assert (await engine.get("t")).held == "limits"


async def test_starts_that_are_too_old_to_count_are_forgotten_although_nobody_had_to_wait(
    database: str, serving: Serving
) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.set_limit("quick", per_minute=9)
        await engine.start("quick", {"name": "x"})
        await engine.start("quick", {"name": "x"})
        execute(database, "update adjourn.starts set started_at = now() - interval '3 minutes' where ctid = '(0,1)'")
        async with serving(KNOWN):
            await eventually(lambda: len(execute(database, "select started_at from adjourn.starts")) == 1)


async def test_a_run_that_goes_on_after_a_pause_does_not_begin_a_second_time(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.set_limit("asking", per_minute=9)
        await engine.submit("asking", {"name": "x"}, thread_id="a")
        await engine._admit()
        await engine._drive_queued("a")
        assert (await engine.resume("a", approve(), wait=False)).status == "queued"
        await engine._admit()
        await engine._drive_queued("a")
        assert (await engine.get("a")).status == "completed"
    assert execute(database, "select workflow from adjourn.starts") == [("asking",)]


async def test_a_queued_run_that_is_queued_once_more_keeps_its_place(database: str) -> None:
    queued = "select queued_at, begun, admission from adjourn.runs"
    async with AsyncEngine.open(database, workflows=KNOWN, principal=KIM) as engine:
        await engine.submit("quick", {"name": "x"})
        await engine.set_limit("quick", at_once=1)
        await engine._admit()
        before = execute(database, queued)
        execute(database, "update adjourn.runs set status = 'queued'")
    assert execute(database, queued) == before
