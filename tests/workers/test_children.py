"""Child runs where workers drive: the parent's job is in the transaction of the child's end."""

from typing import Any

from adjourn import AsyncEngine, approve
from adjourn.nodes.children import ChildCall, children
from support.families import Runs, parent_of, told, working
from support.postgres import execute
from support.serving import Serving
from support.workflows import asking, chain, mark

QUICK = chain(("quick", mark("quick")))


async def fan_out(state: Runs) -> Runs:
    calls = {name: ChildCall("quick", {"name": name}, submit=True) for name in "abc"}
    return {"got": [told(each) for each in (await children(calls)).values()]}


KNOWN: dict[str, Any] = {
    "asking": asking, "quick": QUICK, "parent": parent_of("asking"), "fan_out": working(fan_out),
}  # fmt: skip
JOBS = "select args from adjourn.procrastinate_jobs order by id"


async def test_a_family_that_is_submitted_is_driven_by_workers_alone(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        await engine.submit("parent", {"name": "x"}, thread_id="p")
        async with serving(KNOWN):
            run = await engine.wait("p", timeout=20)
            assert (run.status, run.reviews) == ("paused", ())
        (child,) = (await engine.get("p")).children
        async with AsyncEngine.open(database, workflows={"asking": asking}) as elsewhere:
            await elsewhere.resume(child.thread_id, approve())
        assert execute(database, JOBS) == [({"thread_id": "p"},)]
        assert (await engine.get("p")).status == "paused"
        async with serving(KNOWN):
            run = await engine.wait("p", until="completed", timeout=20)
    assert run.state["got"] == [["before", "ask", "after"], "last"]


async def test_what_nobody_drives_by_workers_gets_no_job(database: str) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        run = await engine.start("parent", {"name": "x"})
        await engine.resume(run.children[0].thread_id, approve())
        assert (await engine.get(run.thread_id)).status == "completed"
    assert execute(database, JOBS) == []


async def test_children_may_be_left_to_the_workers(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        run = await engine.start("fan_out", {"name": "x"})
        assert (run.status, [each.status for each in run.children]) == ("paused", ["queued"] * 3)
        async with serving(KNOWN):
            run = await engine.wait(run.thread_id, until="completed", timeout=20)
    assert run.state["got"] == [["quick"], ["quick"], ["quick"], "last"]


async def test_workers_find_a_parent_that_nobody_went_on_with(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN) as engine:
        run = await engine.start("parent", {"name": "x"})
        async with AsyncEngine.open(database, workflows={"asking": asking}) as elsewhere:
            await elsewhere.resume(run.children[0].thread_id, approve())
        assert execute(database, JOBS) == []
        async with serving(KNOWN):
            run = await engine.wait(run.thread_id, until="completed", timeout=20)
    assert run.state["got"] == [["before", "ask", "after"], "last"]
