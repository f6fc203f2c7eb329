"""Text that PostgreSQL cannot hold, zero bytes and halves of characters, is refused by every door with an error of ours."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langgraph.config import get_stream_writer
from langgraph.types import interrupt

from adjourn import (
    AsyncEngine,
    InvalidDecision,
    InvalidInput,
    NotAuthorized,
    Principal,
    ReviewPolicy,
    approve,
    edit,
    reject,
    respond,
)
from adjourn.nodes.effects import once
from support.workflows import Trail, asking, chain, mark, plain

Act = Callable[[AsyncEngine], Awaitable[Any]]


async def last(events: Any) -> Any:
    return [event async for event in events]


def refused_as_input(bad: str) -> dict[str, Act]:
    """By name what cannot be taken as input; the run `t` is paused."""
    start: dict[str, Any] = {"workflow": "asking", "input": {"name": "x"}}
    return {
        "start as": lambda engine: engine.start(**start, by=bad),
        "start with policies for": lambda engine: engine.start(**start, policies={bad: ReviewPolicy()}),
        "cancel because": lambda engine: engine.cancel("t", reason=bad),
        "cancel as": lambda engine: engine.cancel("t", reason="x", by=bad),
        "resume as": lambda engine: engine.resume("t", approve(), by=bad),
        "resume review": lambda engine: engine.resume("t", approve(), review_id=bad),
        "resume breakpoint": lambda engine: engine.resume("t", {f"breakpoint:{bad}": approve()}),
        "fork as": lambda engine: engine.fork("t", at=1, by=bad),
        "retry as": lambda engine: engine.retry("t", by=bad),
        "erase as": lambda engine: engine.erase("t", by=bad),
        "runs of": lambda engine: engine.runs(workflow=bad),
        "runs after": lambda engine: engine.runs(after=bad),
        "reviews of": lambda engine: engine.reviews(workflow=bad),
        "reviews after": lambda engine: engine.reviews(after=bad),
        "reviews for": lambda engine: engine.reviews(role=bad),
        "review": lambda engine: engine.review(bad),
        "follow": lambda engine: last(engine.follow(bad)),
        "export": lambda engine: last(engine.export_audit(bad)),
        **{
            verb: lambda engine, verb=verb: getattr(engine, verb)(bad)  # type: ignore[misc]
            for verb in ("get", "history", "timeline", "audit", "rebuild", "retry", "erase")
        },
    }


def refused_as_decision(bad: str) -> list[Any]:
    return [approve(bad), reject(bad), respond(bad), edit({"amount": bad}), edit({bad: 1}), {"type": bad}, bad]


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"], ids=["zero", "half"])
async def test_a_verb_refuses_it_and_nothing_changes(bad: str, database: str) -> None:
    workflows = {"asking": asking, "plain": plain}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        before = await engine.start("asking", {"name": "x"}, thread_id="t")
        await engine.start("plain", {"name": "x"}, thread_id="plain")
        for what, act in refused_as_input(bad).items():
            with pytest.raises(InvalidInput):
                print(what, await act(engine))
        for thread, decision in [
            ("plain", bad),
            ("plain", {"a": bad}),
            *(("t", each) for each in refused_as_decision(bad)),
        ]:
            with pytest.raises(InvalidDecision):
                print(decision, await engine.resume(thread, decision))
        assert await engine.get("t") == before
        assert len(await engine.runs()) == 2
        refusals = [entry for entry in await engine.audit("t") if entry.kind == "refused"]
        assert len(refusals) == len(refused_as_decision(bad)), "a digest of it can be kept all the same"
    with pytest.raises(InvalidInput):
        Principal("kim", frozenset({bad}))
    with pytest.raises(InvalidInput):
        Principal("kim", tenant=bad)
    door = Principal("kim", source="authenticated")
    async with AsyncEngine.open(database, workflows=workflows, principal=door) as engine:
        with pytest.raises((InvalidInput, NotAuthorized)):
            await engine.resume("t", approve(), by=bad)
    for options in ({"channel": bad}, {"workflows": {bad: asking}}):
        async with AsyncEngine.open(database, **{"workflows": workflows, **options}) as engine:
            with pytest.raises(InvalidInput):
                await engine.start(next(iter(options.get("workflows", workflows))), {"name": "x"})


def hostile(bad: str) -> dict[str, Any]:
    """Workflows that bring it where a workflow can."""

    def say(state: Trail) -> Trail:
        get_stream_writer()({"x": bad})
        get_stream_writer()(bad)
        return {}

    def break_off(state: Trail) -> Trail:
        raise ValueError(bad)

    def ask(state: Trail) -> Trail:
        return {"answer": interrupt({"question": bad})}

    async def named(state: Trail) -> Trail:
        return {"answer": await once(bad, approve)}

    async def keyed(state: Trail) -> Trail:
        return {"answer": await once("n", approve, key=bad)}

    return {
        "say": chain(("n", say)),
        "break": chain(("n", break_off)),
        "ask": chain(("n", ask)),
        "name": chain((f"n{bad}", mark("x"))),
        "effect": chain(("n", named)),
        "key": chain(("n", keyed)),
    }


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"], ids=["zero", "half"])
async def test_a_workflow_that_brings_it_is_carried_on_or_fails_with_an_error_of_ours(bad: str, database: str) -> None:
    async with AsyncEngine.open(database, workflows=hostile(bad)) as engine:
        ended = {name: await engine.start(name, {}, thread_id=name) for name in hostile(bad)}
        statuses = {name: run.status for name, run in ended.items()}
        assert statuses == {
            "say": "completed", "break": "failed", "ask": "paused", "name": "failed", "effect": "failed", "key": "failed",
        }  # fmt: skip
        for name in ("name", "effect", "key"):
            assert (ended[name].error or {})["type"] == "InvalidInput"
        assert (await engine.resume("ask", "fine")).status == "completed"
    async with AsyncEngine.open(database, workflows=hostile(bad)) as engine:
        kinds = [event.kind async for event in engine.follow("say")]
        assert kinds[-1] == "completed", "events with it are stored as escapes"
