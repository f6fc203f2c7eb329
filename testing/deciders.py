"""Answer the reviews of a paused run until it ends, with `Engine` and `AsyncEngine` alike.

The rounds are written once, as a generator that yields calls and is sent their results; two short drivers make the
calls, one of them with `await`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from ..errors import AdjournError
from ..state.decisions import Decision

__all__ = ["Answers", "AsyncDrives", "Decider", "DecisionsExhausted", "Drives", "Given", "RunLike", "decide_all"]


class DecisionsExhausted(AdjournError, AssertionError):
    """A decider has no answer left that would bring the run to its end.

    It is an assertion as well, so that a test runner shows it as a failed expectation.
    """


class RunLike(Protocol):
    """What a decider reads of a run: its status, and its pending reviews (`id` and `action` of each)."""

    @property
    def status(self) -> str:
        """The run's status."""

    @property
    def reviews(self) -> Sequence[Any]:
        """The pending reviews."""


RunT = TypeVar("RunT", bound=RunLike)
RunOut = TypeVar("RunOut", bound=RunLike, covariant=True)


class Drives(Protocol[RunOut]):
    """The two verbs of `Engine` that a decider uses."""

    def get(self, thread_id: str, /) -> RunOut:
        """Read a run."""

    def resume(self, thread_id: str, decision: Any, /, *, review_id: str, by: str | None) -> RunOut:
        """Answer a review of a run and drive it on."""


class AsyncDrives(Protocol[RunOut]):
    """The same verbs of `AsyncEngine`."""

    def get(self, thread_id: str, /) -> Awaitable[RunOut]:
        """Read a run."""

    def resume(self, thread_id: str, decision: Any, /, *, review_id: str, by: str | None) -> Awaitable[RunOut]:
        """Answer a review of a run and drive it on."""


# Any: a review of the engine, and a plain JSON value for graphs that ask for one.
AnswerCall: TypeAlias = Callable[[Any], Any]
Answers: TypeAlias = Decision | AnswerCall | Mapping[str, Decision | AnswerCall]
# A call to make; its result, awaited if need be, is sent back.
Rounds: TypeAlias = Generator[Callable[[], Any], Any, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """One answer that a decider gave.

    Args:
        review: The review as it was shown.
        decision: What was answered.
        by: Who answered.
    """

    review: Any
    decision: Any
    by: str | None


class Decider:
    """Somebody who answers every review of a run. It keeps what it answered in `given`.

    Args:
        answers: One decision for all; a function from a review to a decision; or a mapping from the name of an action
            to either.
        by: Who answers. Several names answer in turn: a review that still waits after the first (its policy wants
            more people) is answered by the next.
        limit: The most answers to give before the run must have ended; a workflow that asks for ever meets it.
    """

    def __init__(self, answers: Answers, *, by: str | Sequence[str] | None = None, limit: int = 50) -> None:
        self._answers = answers
        self._people: tuple[str | None, ...] = (by,) if by is None or isinstance(by, str) else tuple(by)
        self._limit = limit
        self.given: list[Given] = []

    @overload
    def decide_all(self, engine: Drives[RunT], thread_id: str) -> RunT: ...
    @overload
    def decide_all(self, engine: AsyncDrives[RunT], thread_id: str) -> Awaitable[RunT]: ...
    def decide_all(self, engine: Drives[RunT] | AsyncDrives[RunT], thread_id: str) -> RunT | Awaitable[RunT]:
        """Answer the reviews of a run, one after the other, until it ends.

        Args:
            engine: An `Engine`, or an `AsyncEngine` (then the result is to be awaited).
            thread_id: The run.

        Returns:
            The run, which is completed, failed or cancelled.

        Raises:
            DecisionsExhausted: An action has no answer, a function gave none, a review waits for more people than
                `by` names, the run is driven elsewhere, or `limit` answers did not bring it to its end.
            AdjournError: Whatever the engine raises, InvalidDecision for example.
        """
        rounds = self._rounds(engine, thread_id)
        first = next(rounds)()
        return _drive_async(rounds, first) if inspect.isawaitable(first) else _drive(rounds, first)

    def _rounds(self, engine: Drives[Any] | AsyncDrives[Any], thread_id: str) -> Rounds:
        answered: dict[str, int] = {}
        run = yield partial(engine.get, thread_id)
        for _ in range(self._limit):
            if run.status != "paused":
                break
            review = run.reviews[0] if run.reviews else self._stop(thread_id, "it is paused and asks nothing")
            turn = answered.get(review.id, 0)
            answered[review.id] = turn + 1
            decision, person = self._decide(review, thread_id), self._person(review, turn, thread_id)
            self.given.append(Given(review, decision, person))
            # of a proposal that somebody edited people must say that they saw it
            seen = {"shown": review.digest} if getattr(review, "version", 1) > 1 else {}
            call: Callable[..., Any] = engine.resume
            run = yield partial(call, thread_id, decision, review_id=review.id, by=person, **seen)
        if run.status == "paused":
            self._stop(thread_id, f"it still asks after {self._limit} answers (last: {_about(run.reviews[0])})")
        if run.status not in {"completed", "failed", "cancelled"}:
            self._stop(thread_id, f"it is {run.status}, so somebody else drives it; wait for them first")
        return run

    def _person(self, review: Any, turn: int, thread_id: str) -> str | None:
        if turn >= len(self._people):
            names = ", ".join(str(name) for name in self._people)
            self._stop(thread_id, f"review {_about(review)} still waits after {names} answered; name more in by=[…]")
        return self._people[turn]

    def _decide(self, review: Any, thread_id: str) -> Any:
        answer = self._answers
        if isinstance(answer, Mapping):
            if review.action not in answer:
                known = ", ".join(repr(name) for name in answer) or "none"
                self._stop(thread_id, f"it asks about {_about(review)} and answers are given for {known}")
            answer = answer[review.action]
        if isinstance(answer, Decision):
            return answer
        decision = answer(review)
        if decision is None:
            self._stop(thread_id, f"the function returned no decision for {_about(review)}")
        return decision

    def _stop(self, thread_id: str, why: str) -> Any:
        raise DecisionsExhausted(f"Run {thread_id} did not end: {why}.", thread_id=thread_id)


@overload
def decide_all(
    engine: Drives[RunT], thread_id: str, answers: Answers, *, by: str | Sequence[str] | None = None, limit: int = 50
) -> RunT: ...
@overload
def decide_all(
    engine: AsyncDrives[RunT],
    thread_id: str,
    answers: Answers,
    *,
    by: str | Sequence[str] | None = None,
    limit: int = 50,
) -> Awaitable[RunT]: ...
def decide_all(
    engine: Drives[RunT] | AsyncDrives[RunT],
    thread_id: str,
    answers: Answers,
    *,
    by: str | Sequence[str] | None = None,
    limit: int = 50,
) -> RunT | Awaitable[RunT]:
    """Answer every review of a run until it ends; `Decider` in one call.

    Args:
        engine: An `Engine`, or an `AsyncEngine` (then the result is to be awaited).
        thread_id: The run.
        answers: See `Decider`.
        by: See `Decider`.
        limit: See `Decider`.

    Returns:
        The run, which is completed, failed or cancelled.

    Raises:
        DecisionsExhausted: See `Decider.decide_all`.
    """
    return Decider(answers, by=by, limit=limit).decide_all(engine, thread_id)


def _about(review: Any) -> str:
    # A question that is about no action has no name, only words.
    return repr(review.action or review.description)


def _drive(rounds: Rounds, run: Any) -> Any:
    try:
        while True:
            run = rounds.send(run)()
    except StopIteration as end:
        return end.value


async def _drive_async(rounds: Rounds, first: Awaitable[Any]) -> Any:
    run = await first
    try:
        while True:
            run = await rounds.send(run)()
    except StopIteration as end:
        return end.value
