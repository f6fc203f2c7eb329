"""A decider answers the reviews of a run until it ends, with a synchronous and an asynchronous engine alike."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest

from adjourn import Decision, approve, reject
from adjourn.testing import Decider, DecisionsExhausted, decide_all


@dataclass(frozen=True)
class AReview:
    id: str
    action: str = "send"
    args: dict[str, Any] = field(default_factory=dict)
    allowed: tuple[str, ...] = ("approve", "reject")
    description: str = ""


@dataclass(frozen=True)
class ARun:
    status: str
    reviews: list[AReview]


@dataclass
class PlainEngine:
    """The two verbs that a decider uses, over a list of questions; stands in until a test has a database."""

    questions: list[AReview]
    together: bool = False
    approvals: int = 1
    end: str = "completed"
    answers: list[tuple[str, Any, str | None]] = field(default_factory=list)

    def get(self, thread_id: str) -> ARun:
        assert thread_id == "t1"
        if not self.questions:
            return ARun(self.end, [])
        return ARun("paused", self.questions if self.together else self.questions[:1])

    def resume(self, thread_id: str, decision: Any, *, review_id: str, by: str | None = None) -> ARun:
        self.answers.append((review_id, decision, by))
        if sum(answered == review_id for answered, _, _ in self.answers) >= self.approvals:
            self.questions = [review for review in self.questions if review.id != review_id]
        return self.get(thread_id)


class LateEngine:
    """The same with coroutines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.plain = PlainEngine(*args, **kwargs)
        self.answers = self.plain.answers

    async def get(self, *args: Any, **kwargs: Any) -> ARun:
        return self.plain.get(*args, **kwargs)

    async def resume(self, *args: Any, **kwargs: Any) -> ARun:
        return self.plain.resume(*args, **kwargs)


@pytest.fixture(params=[PlainEngine, LateEngine], ids=["Engine", "AsyncEngine"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def ended(outcome: ARun | Awaitable[ARun]) -> ARun:
    return await outcome if inspect.isawaitable(outcome) else outcome


ONE, TWO = AReview("r1", "send", {"to": "dana"}), AReview("r2", "refund", {"amount": 900})


async def test_one_decision_answers_every_review(kind: Any) -> None:
    engine = kind([ONE, TWO])
    run = await ended(decide_all(engine, "t1", approve(), by="dana"))
    assert run.status == "completed"
    assert engine.answers == [("r1", approve(), "dana"), ("r2", approve(), "dana")]


async def test_reviews_that_are_open_together_are_answered_one_by_one(kind: Any) -> None:
    engine = kind([ONE, TWO], together=True)
    assert (await ended(decide_all(engine, "t1", approve()))).status == "completed"
    assert [review_id for review_id, _, _ in engine.answers] == ["r1", "r2"]


async def test_a_function_decides_by_what_is_asked(kind: Any) -> None:
    def careful(review: AReview) -> Decision:
        return reject("too much") if review.args.get("amount", 0) > 500 else approve()

    engine = kind([ONE, TWO])
    await ended(decide_all(engine, "t1", careful, by="dana"))
    assert [decision for _, decision, _ in engine.answers] == [approve(), reject("too much")]


async def test_each_action_may_have_an_answer_of_its_own(kind: Any) -> None:
    decider = Decider({"send": approve(), "refund": lambda review: reject(f"not {review.args['amount']}")}, by="dana")
    run = await ended(decider.decide_all(kind([ONE, TWO]), "t1"))
    assert run.status == "completed"
    assert [(given.review.action, given.decision, given.by) for given in decider.given] == [
        ("send", approve(), "dana"),
        ("refund", reject("not 900"), "dana"),
    ]


async def test_several_people_answer_in_turn_where_a_review_wants_them(kind: Any) -> None:
    engine = kind([ONE, TWO], approvals=2)
    await ended(decide_all(engine, "t1", approve(), by=["dana", "lee"]))
    assert [(review_id, by) for review_id, _, by in engine.answers] == [
        ("r1", "dana"),
        ("r1", "lee"),
        ("r2", "dana"),
        ("r2", "lee"),
    ]


async def test_a_review_that_wants_more_people_than_there_are_is_an_error(kind: Any) -> None:
    with pytest.raises(DecisionsExhausted, match=r"'send' still waits after dana answered; name more in by="):
        await ended(decide_all(kind([ONE], approvals=2), "t1", approve(), by="dana"))


async def test_an_action_without_an_answer_is_an_error_that_names_it(kind: Any) -> None:
    with pytest.raises(DecisionsExhausted, match=r"asks about 'refund' and answers are given for 'send'"):
        await ended(decide_all(kind([ONE, TWO]), "t1", {"send": approve()}))


async def test_a_function_that_gives_nothing_is_an_error(kind: Any) -> None:
    with pytest.raises(DecisionsExhausted, match="returned no decision for 'send'"):
        await ended(decide_all(kind([ONE]), "t1", lambda review: None))


async def test_a_workflow_that_asks_for_ever_meets_the_limit(kind: Any) -> None:
    engine = kind([AReview(f"r{number}") for number in range(9)])
    with pytest.raises(DecisionsExhausted, match="still asks after 5 answers") as caught:
        await ended(decide_all(engine, "t1", approve(), limit=5))
    assert caught.value.thread_id == "t1"
    assert len(engine.answers) == 5


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_is_returned_as_it_is(kind: Any, end: str) -> None:
    engine = kind([], end=end)
    assert (await ended(decide_all(engine, "t1", approve()))).status == end
    assert engine.answers == []


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_a_run_that_somebody_else_drives_is_an_error(kind: Any, status: str) -> None:
    with pytest.raises(DecisionsExhausted, match=f"it is {status}, so somebody else drives it"):
        await ended(decide_all(kind([], end=status), "t1", approve()))
