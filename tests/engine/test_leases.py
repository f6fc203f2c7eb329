"""A heartbeat never takes a drive that has given its lease back for one that lost it."""

import asyncio
from typing import Any

import pytest

from adjourn import AsyncEngine, Settings
from adjourn.engine.reviews import ReviewStore
from adjourn.engine.runs import RunStore
from support import workflows

SECONDS = 0.09  # a heartbeat every 0.03 seconds
MANY_BEATS = 0.3


def slowed(function: Any) -> Any:
    async def after_many_beats(*args: Any, **values: Any) -> Any:
        result = await function(*args, **values)
        await asyncio.sleep(MANY_BEATS)
        return result

    return after_many_beats


@pytest.fixture
def settings() -> Settings:
    return Settings(lease_seconds=SECONDS)


@pytest.mark.parametrize("slow", ["settle_run", "pending"])
async def test_a_run_that_pauses_while_hearts_beat_has_not_lost_its_lease(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    store: type[Any] = RunStore if slow == "settle_run" else ReviewStore
    monkeypatch.setattr(store, slow, slowed(getattr(store, slow)))
    async with AsyncEngine.open(database, workflows={"asking": workflows.asking}, settings=settings) as engine:
        run = await engine.start("asking", {"name": "x"})
    assert (run.status, len(run.reviews)) == ("paused", 1)


async def test_a_run_that_fails_while_hearts_beat_is_failed(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(state: workflows.Trail) -> workflows.Trail:
        raise ValueError("broken")

    monkeypatch.setattr(RunStore, "settle_run", slowed(RunStore.settle_run))
    failing = workflows.chain(("fail", fail))
    async with AsyncEngine.open(database, workflows={"failing": failing}, settings=settings) as engine:
        run = await engine.start("failing", {"name": "x"})
    assert (run.status, run.error and run.error["message"]) == ("failed", "broken")
