"""Questions that this process has read before: an answer needs no look at them, and takes nothing for granted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from adjourn import AsyncEngine, DigestMismatch, Principal, ReviewClosed, ReviewPolicy, approve, edit, reject
from adjourn.engine.answering import Answering
from adjourn.engine.looks import Look, Looks
from support.postgres import execute


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def look(thread_id: str = "t", tenant: str = "default", size: int = 1) -> Look:
    run = {"thread_id": thread_id, "tenant": tenant, "position": "here"}
    return Look(run, [[{"review_id": "r", "question": b"q" * size}, {}]])


def checkpoint(text: str = "", value: bytes = b"", written: bytes = b"", position: str = "here") -> dict[str, Any]:
    return {
        "checkpoint": {"channel_values": {"text": text, "n": 1, "nothing": None}},
        "channel_values": [[b"channel", b"type", value]] if value else None,
        "pending_writes": [[b"task", b"channel", b"null", None], [b"task", b"channel", b"type", written]],
        "position": position,
    }


def test_a_look_is_found_once_with_its_age_and_by_its_own_tenant_only() -> None:
    clock = Clock()
    looks = Looks(clock)
    looks.keep(look())
    clock.seconds = 3.0
    assert looks.take("t", "others") is None
    found = looks.take("t", "default")
    assert found is not None
    assert found.seconds == 3.0
    assert looks.take("t", "default") is None


def test_a_look_that_is_old_is_not_found() -> None:
    clock = Clock()
    looks = Looks(clock)
    looks.keep(look())
    clock.seconds = 3600.1
    assert looks.take("t", "default") is None


def test_few_looks_are_kept_and_no_large_ones() -> None:
    looks = Looks(Clock())
    for n in range(513):
        looks.keep(look(f"t{n}"))
    assert looks.take("t0", "default") is None
    assert looks.take("t1", "default") is not None
    looks.keep(look("t2", size=65_537))
    assert looks.take("t2", "default") is None, "nor is an older one kept in its place"


@pytest.mark.parametrize(
    ("latest", "kept"),
    [
        (checkpoint(), True),
        (checkpoint(text="t" * 65_000), True),
        (checkpoint(text="t" * 65_537), False),
        (checkpoint(value=b"v" * 65_537), False),
        (checkpoint(written=b"w" * 65_537), False),
        (checkpoint(position="elsewhere"), False),
    ],
)
def test_a_checkpoint_is_kept_with_its_question_if_it_is_small_and_the_thread_stood_there(
    latest: dict[str, Any], kept: bool
) -> None:
    looks = Looks(Clock())
    looks.keep(look(), latest)
    found = looks.take("t", "default")
    assert found is not None
    assert (found.latest is latest) == kept
    looks.keep(look(), latest)
    looks.keep(look())
    again = looks.take("t", "default")
    assert again is not None
    assert again.latest is None, "nothing is left of an older look"


def test_of_a_run_without_a_checkpoint_none_is_kept() -> None:
    looks = Looks(Clock())
    nowhere = Look({**look().run, "position": None}, look().parts)
    looks.keep(nowhere, dict.fromkeys(checkpoint()))
    found = looks.take("t", "default")
    assert found is not None
    assert found.latest is None


def never(*_: Any) -> Any:
    raise AssertionError("nothing needs to be read")


@pytest.fixture
async def elsewhere(database: str, known: dict[str, Any]) -> AsyncIterator[AsyncEngine]:
    """Another process would do the same: nothing is kept in common."""
    async with AsyncEngine.open(database, workflows=known, principal=Principal("ann")) as opened:
        yield opened


async def test_whoever_asked_takes_the_answer_without_a_look(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await engine.start("asking", {"name": "x"})
    monkeypatch.setattr(Answering, "_read", never)
    monkeypatch.setattr(AsyncPostgresSaver, "aget_tuple", never)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"


async def test_whoever_showed_the_run_takes_the_answer_without_a_look(
    engine: AsyncEngine, elsewhere: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await elsewhere.start("asking", {"name": "x"})
    await engine.get(run.thread_id)
    monkeypatch.setattr(Answering, "_read", never)
    monkeypatch.setattr(AsyncPostgresSaver, "aget_tuple", never)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"


async def test_an_answer_to_a_version_made_elsewhere_is_taken(engine: AsyncEngine, elsewhere: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"}, policies={"pay": ReviewPolicy(approvals=2)})
    edited = (await elsewhere.resume(run.thread_id, edit({"amount": 7}))).reviews[0]
    done = await engine.resume(run.thread_id, approve(), shown=edited.digest)
    assert done.status == "completed"
    assert done.state["answer"]["decisions"][0]["edited_action"]["args"] == {"amount": 7}


async def test_an_answer_to_a_version_that_is_not_the_newest_is_refused(
    engine: AsyncEngine, elsewhere: AsyncEngine
) -> None:
    run = await engine.start("asking", {"name": "x"}, policies={"pay": ReviewPolicy(approvals=2)})
    await elsewhere.resume(run.thread_id, edit({"amount": 7}))
    with pytest.raises(DigestMismatch, match="ann changed it"):
        await engine.resume(run.thread_id, approve(), shown=run.reviews[0].digest)
    assert len((await elsewhere.get(run.thread_id)).reviews[0].votes) == 1


async def test_an_answer_that_comes_second_learns_of_the_first(engine: AsyncEngine, elsewhere: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await elsewhere.resume(run.thread_id, reject("too much"))
    for given in (approve(), "nonsense"):
        with pytest.raises(ReviewClosed, match="answered by ann"):
            await engine.resume(run.thread_id, given, review_id=run.reviews[0].id)


async def test_what_a_caller_does_with_a_question_changes_nothing(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"})
    digest = run.reviews[0].digest
    run.reviews[0].args["amount"] = 1_000_000
    await engine.resume(run.thread_id, approve(), shown=digest)
    assert execute(database, "select shown, proposal from adjourn.decisions") == [(digest, digest)]


async def test_what_is_kept_of_a_question_is_nobody_elses(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    shown = (await engine.get(run.thread_id)).reviews[0]
    look = engine._reviews.looks.take(run.thread_id, "default")
    assert look is not None
    assert look.asked is not None
    kept = look.asked[shown.id]
    assert kept.review == shown
    assert kept.review.args == shown.args == kept.question["action_requests"][0]["args"]
    assert shown.args is not kept.review.args
    assert shown.args is not kept.question["action_requests"][0]["args"]


@pytest.mark.parametrize("wrong", [-5.0, 5.0])
async def test_a_clock_that_goes_wrong_makes_no_wrong_time(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    run = await engine.start("asking", {"name": "x"})
    clock = engine._reviews.looks._clock
    monkeypatch.setattr(engine._reviews.looks, "_clock", lambda: clock() + wrong)
    assert (await engine.resume(run.thread_id, approve())).status == "completed"
    ((late, early),) = execute(
        database,
        "select decided_at > clock_timestamp(), decided_at < reviews.created_at from adjourn.decisions "
        "join adjourn.reviews using (thread_id, review_id)",
    )
    assert (late, early) == (False, False)


async def test_an_answer_long_after_the_question_has_its_own_time(engine: AsyncEngine, database: str) -> None:
    run = await engine.start("asking", {"name": "x"})
    await asyncio.sleep(0.3)
    await engine.resume(run.thread_id, approve())
    ((waited,),) = execute(
        database,
        "select extract(epoch from decided_at - reviews.created_at)::float8 from adjourn.decisions "
        "join adjourn.reviews using (thread_id, review_id)",
    )
    assert waited > 0.29
