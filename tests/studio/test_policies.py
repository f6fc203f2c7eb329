"""LangGraph's server cannot tell people apart: what waits under a policy is answered through adjourn's own doors."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.errors import GraphDrained
from langgraph.types import Command

from adjourn import AsyncEngine, NotAuthorized, NotPaused, ReviewPolicy
from adjourn.checkpoints.storage import open_storage
from adjourn.engine.leases import LeaseKeeper
from adjourn.engine.receivers import notifications_of
from adjourn.engine.studio import StudioSaver
from adjourn.engine.studio_drives import Call, Drives
from adjourn.settings import load_settings
from support.families import parent_of
from support.reviewing import person
from support.workflows import asking

ANSWER = {"decisions": [{"type": "approve"}]}


@pytest.fixture
async def drives(database: str) -> AsyncIterator[Drives]:
    settings = load_settings(database_url=database)
    async with open_storage(settings) as storage:
        keeper = LeaseKeeper(storage.pool, seconds=30, grace=1)
        serde = storage.saver.serde
        notifications = notifications_of(settings, storage.pool, serde)
        yield StudioSaver(storage.pool, keeper, notifications, serde=serde).drives
        await keeper.close()


@pytest.mark.parametrize(
    "policy",
    [
        ReviewPolicy(approvals=2),
        ReviewPolicy(roles=("legal",)),
        ReviewPolicy(exclude_requester=True),
        ReviewPolicy(require_authenticated=True),
        ReviewPolicy(reject_approvals=2),
    ],
)
@pytest.mark.parametrize("given", [Command(resume=ANSWER), {"name": "another input"}])
async def test_a_thread_that_needs_more_than_one_approval_is_refused(
    database: str, drives: Drives, policy: ReviewPolicy, given: Any
) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}, principal=person("kim")) as engine:
        run = await engine.start("asking", {"name": "x"}, policies=policy)
        with pytest.raises(NotAuthorized, match="cannot tell apart"):
            await drives.begin(Call(run.thread_id, "r", "asking", given, "ann"))
        assert (await engine.get(run.thread_id)).reviews == run.reviews


async def test_one_that_takes_an_answer_of_anybody_is_not(database: str, drives: Drives) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        run = await engine.start("asking", {"name": "x"}, policies=ReviewPolicy(deadline=3600, allowed=("approve",)))
        command: Any = Command(resume=ANSWER)
        drive = await drives.begin(Call(run.thread_id, "r", "asking", command, "ann"))
        assert drive.fed == [run.reviews[0].id]
        assert command.resume[run.reviews[0].id]["adjourn"]["approved_by"] == ["ann"]
        await drives.end(drive, GraphDrained("stopped before its first step"))
        (closed,) = await engine.reviews("decided")
        assert (closed.closed_by, closed.votes[0].channel, closed.votes[0].source) == ("ann", "studio", "authenticated")
        (run,) = await engine.recover()
        assert run.status == "completed"


@pytest.mark.parametrize("given", [Command(resume=ANSWER), None])
async def test_a_run_with_children_is_refused_and_its_child_is_not(database: str, drives: Drives, given: Any) -> None:
    workflows = {"asking": asking, "parent": parent_of("asking")}
    async with AsyncEngine.open(database, workflows=workflows) as engine:
        run = await engine.start("parent", {"name": "x"})
        with pytest.raises(NotPaused, match="child runs"):
            await drives.begin(Call(run.thread_id, "r", "parent", given, "ann"))
        drive = await drives.begin(Call(run.children[0].thread_id, "r", "asking", Command(resume=ANSWER), "ann"))
        await drives.end(drive, GraphDrained("stopped before its first step"))
        await engine.recover()
        assert (await engine.get(run.thread_id)).status == "completed"
