"""Many people at once, and people against the clock: the order in which the database takes them decides alone."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from adjourn import (
    AdjournError,
    AsyncEngine,
    NotAuthorized,
    NotPaused,
    Principal,
    ReviewClosed,
    Run,
    approve,
    edit,
    reject,
)
from adjourn.state.policies import HOUR, ReviewPolicy
from support.postgres import execute
from support.reviewing import person

THREE = ReviewPolicy(roles=("board",), approvals=3)
# resumed once, by the last of three
COUNTED = (3, 3, 1, True, "completed", ["before", "ask", "after"])
BOARD = [person(name, "board") for name in ("ann", "bob", "cid", "dee", "eve")]
OTHERS = [person(f"guest{number}") for number in range(14)]


@pytest.fixture
async def engines(database: str, known: Any, engine: AsyncEngine) -> AsyncIterator[list[AsyncEngine]]:
    """Two engines on one database, as two processes would have."""
    async with AsyncEngine.open(database, workflows=known, principal=engine.principal) as another:
        yield [engine, another]


def deciders(dice: random.Random) -> list[Principal]:
    """32 people: five of the board, some of them several times, and others who may not decide."""
    several = [dice.choice(BOARD) for _ in range(32 - len(BOARD) - len(OTHERS))]
    chosen = [*BOARD, *several, *OTHERS]
    dice.shuffle(chosen)
    return chosen


async def thirty_two_decide(engines: list[AsyncEngine], database: str, dice: random.Random) -> tuple[Any, ...]:
    """Let them approve one review at once; returns how many decisions by how many people were stored, how many of them
    final, whether all count, and how the run ended."""
    run = await engines[0].start("asking", {"name": "x"}, policies=THREE)
    asked = run.reviews[0].id

    async def one(who: Principal) -> Run | AdjournError:
        try:
            return await dice.choice(engines).resume(run.thread_id, approve(), by=who, review_id=asked)
        except AdjournError as error:
            return error

    results = await asyncio.gather(*(one(who) for who in deciders(dice)))
    errors = [result for result in results if isinstance(result, AdjournError)]
    assert {type(error) for error in errors} <= {NotAuthorized, ReviewClosed}
    ((stored, people, final, all_count),) = execute(
        database,
        "select count(*), count(distinct decided_by), count(*) filter (where final), bool_and(counts) "
        f"from adjourn.decisions where thread_id = '{run.thread_id}'",
    )
    done = await engines[0].get(run.thread_id)
    return stored, people, final, all_count, done.status, done.state["trail"]


async def test_of_thirty_two_deciders_exactly_three_are_counted(engines: list[AsyncEngine], database: str) -> None:
    dice = random.Random(6)
    for _ in range(2):
        assert await thirty_two_decide(engines, database, dice) == COUNTED


@pytest.mark.soak
async def test_of_thirty_two_deciders_exactly_three_are_counted_a_hundred_times(
    engines: list[AsyncEngine], database: str
) -> None:
    dice = random.Random(106)
    for _ in range(100):
        assert await thirty_two_decide(engines, database, dice) == COUNTED


async def a_person_meets_the_deadline(engines: list[AsyncEngine], database: str, dice: random.Random) -> str:
    default = dice.choice([None, reject("nobody looked")])
    run = await engines[0].start("asking", {"name": "x"}, policies=ReviewPolicy(deadline=HOUR, on_deadline=default))
    asked = run.reviews[0]
    assert asked.asked_at is not None
    now = asked.asked_at + timedelta(hours=1)

    async def person_answers() -> str:
        await asyncio.sleep(dice.random() * 0.004)
        try:
            await engines[0].resume(run.thread_id, approve(), by="ann", review_id=asked.id)
        except (ReviewClosed, NotPaused):
            return "too late"
        return "answered"

    async def clock_strikes() -> list[str]:
        await asyncio.sleep(dice.random() * 0.004)
        return [each.what for each in await engines[1].sweep(now=now)]

    said, swept = await asyncio.gather(person_answers(), clock_strikes())
    done = await engines[0].get(run.thread_id)
    outcome = "person" if said == "answered" else "clock"
    assert swept == ([] if outcome == "person" else ["expired" if default is None else "decided"])
    if outcome == "clock" and default is None:
        assert (done.status, done.error and done.error["type"]) == ("failed", "ReviewExpired")
    else:
        assert (done.status, done.state["trail"]) == ("completed", ["before", "ask", "after"])
        assert done.state["answer"]["decisions"][0]["type"] == ("approve" if outcome == "person" else "reject")
    finals = f"select count(*) from adjourn.decisions where thread_id = '{run.thread_id}' and final"
    assert execute(database, finals) == [(0 if done.status == "failed" else 1,)]
    return outcome


async def test_of_a_person_and_the_deadline_one_decides(engines: list[AsyncEngine], database: str) -> None:
    dice = random.Random(7)
    for _ in range(8):
        assert await a_person_meets_the_deadline(engines, database, dice) in ("person", "clock")


@pytest.mark.soak
async def test_of_a_person_and_the_deadline_one_decides_two_hundred_times(
    engines: list[AsyncEngine], database: str
) -> None:
    dice = random.Random(207)
    outcomes = [await a_person_meets_the_deadline(engines, database, dice) for _ in range(200)]
    assert set(outcomes) == {"person", "clock"}  # otherwise nothing was raced


async def test_an_approval_and_an_edit_at_once_never_approve_what_was_not_seen(
    engines: list[AsyncEngine], database: str
) -> None:
    for _ in range(4):
        run = await engines[0].start("asking", {"name": "x"}, policies=ReviewPolicy(approvals=2))
        asked = run.reviews[0]
        answers = [
            engines[number % 2].resume(run.thread_id, what, by=who, review_id=asked.id, shown=asked.digest)
            for number, (who, what) in enumerate([("ann", approve()), ("bob", edit({"amount": 7})), ("cid", approve())])
        ]
        await asyncio.gather(*answers, return_exceptions=True)
        done = await engines[0].get(run.thread_id)
        if done.status == "completed":  # both approvals came before the edit
            assert done.state["answer"]["decisions"] == [{"type": "approve"}]
            assert sorted(done.state["answer"]["adjourn"]["approved_by"]) == ["ann", "cid"]
        else:
            (review,) = done.reviews
            assert [(vote.by, vote.kind) for vote in review.votes if vote.counts] == [("bob", "edit")]
