import asyncio
from typing import Any
from adjourn import AsyncEngine, approve
from adjourn.nodes.children import child, children, ChildCall
from support.workflows import Trail, chain, mark, asking


async def leave_to_child(state: Trail) -> Trail:
    result = await child("check", "asking", {"name": "x"})
    return {"trail": ["parent", *result["trail"]]}

async def two(state: Trail) -> Trail:
    a, b = await asyncio.gather(child("a", "asking", {"name": "a"}), child("b", "quick", {"name": "b"}))
    return {"trail": [*a["trail"], *b["trail"]]}

W = {"asking": asking, "quick": chain(("q", mark("q"))), "parent": chain(("p", leave_to_child), ("after", mark("after"))),
     "two": chain(("p", two))}

async def test_first(database: str) -> None:
    async with AsyncEngine.open(database, workflows=W) as engine:
        run = await engine.start("parent", {"name": "x"}, thread_id="p")
        print(run)
        assert run.status == "paused"
        assert run.reviews == ()
        c = run.children[0]
        assert (c.status, c.questions, c.waited_for) == ("paused", 1, True)
        r = await engine.resume(c.thread_id, approve())
        assert r.status == "completed"
        assert r.parent == "p"
        run = await engine.get("p")
        assert run.status == "completed"
        print(run.state)

async def test_two(database: str) -> None:
    async with AsyncEngine.open(database, workflows=W) as engine:
        run = await engine.start("two", {"name": "x"}, thread_id="p")
        assert [c.status for c in run.children] == ["paused", "completed"]
        r = await engine.resume(run.children[0].thread_id, approve())
        run = await engine.get("p")
        assert run.status == "completed", run
