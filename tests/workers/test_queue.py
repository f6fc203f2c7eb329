"""Runs that are queued, and workers that drive them."""

from typing import Any

from adjourn import AsyncEngine, Principal, approve
from support import workflows
from support.auditing import agree
from support.postgres import execute
from support.serving import Serving
from support.workflows import chain, mark

KNOWN: dict[str, Any] = {"asking": workflows.asking, "marks": chain(("one", mark("one")), ("two", mark("two")))}
JOBS = "select args, status::text from adjourn.procrastinate_jobs order by id"


async def test_a_submitted_run_is_driven_by_a_worker_answered_and_driven_on(database: str, serving: Serving) -> None:
    async with AsyncEngine.open(database, workflows=KNOWN, principal=Principal("kim")) as engine:
        run = await engine.submit("asking", {"name": "x"}, thread_id="t")
        assert (run.status, (await engine.get("t")).status) == ("queued", "queued")
        assert execute(database, JOBS) == [({"thread_id": "t"}, "todo")]
        async with serving(KNOWN):
            assert [each.action for each in (await engine.wait("t", timeout=20)).reviews] == ["pay"]
            run = await engine.resume("t", approve(), by="dana", wait=False)
            assert run.status in ("queued", "running", "completed")
            run = await engine.wait("t", until="completed", timeout=20)
        assert (run.status, run.state["trail"]) == ("completed", ["before", "ask", "after"])
    assert execute(database, JOBS) == []
    agree(database)
