"""The strategies that ship, over any `Work`: each is a behaviour of its own, and each can be replaced by one of yours.

standard_processing     one part after the other
parallel_execution      all parts at the same time, as many as `max_workers` allows
simplified_processing   each part in the simpler way of `Work.simple`
cached_responses        the answer that was good when the very same was asked before, by any run of the tenant
multi_model_ensemble    several workers do each part, and vote
detailed_analysis       each part more thoroughly: checked and improved, or as `Work.thorough` does it
human_in_loop           a person does it; the run pauses until then
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel

from ..calling import called
from .doing import done_by
from .ensemble import voted
from .memory import kept_answer
from .models import as_function
from .strategies import Output, Strategy, Task
from .texts import reading_texts
from .work import Part, Work, parts_of

__all__ = [
    "cached_responses",
    "detailed_analysis",
    "human_in_loop",
    "multi_model_ensemble",
    "parallel_execution",
    "shipped_strategies",
    "simplified_processing",
    "standard_processing",
]


def shipped_strategies(work: Work | None = None) -> dict[str, Strategy]:
    """Return the strategies that ship, by name, in the order in which they are tried where nothing speaks for another.

        build(strategies={**shipped_strategies(work), "overnight": ask_the_batch_api})

    Args:
        work: What they do. Default: reading texts, with the model of `ADJOURN_MODEL` when it is set, otherwise with rules.
    """
    chosen = work or reading_texts()
    return {
        "standard_processing": standard_processing(chosen),
        "parallel_execution": parallel_execution(chosen),
        "simplified_processing": simplified_processing(chosen),
        "cached_responses": cached_responses(),
        "multi_model_ensemble": multi_model_ensemble(chosen),
        "detailed_analysis": detailed_analysis(chosen),
        "human_in_loop": human_in_loop(),
    }


def standard_processing(work: Work) -> Strategy:
    """Do one part after the other, the usual way."""
    worker = as_function(work.do)

    async def act(task: Task) -> Output:
        return await done_by(worker, work, task, at_once=1)

    return Strategy(act)


def parallel_execution(work: Work) -> Strategy:
    """Do the parts at the same time: async workers and models in one thread, plain functions in a thread each.

    It needs at least two parts and two workers. Python code that computes without waiting gains nothing by threads.
    """
    worker = as_function(work.do)

    def available(task: Task) -> str | None:
        if task.max_workers < 2:
            return "no more than one worker is allowed (max_workers)"
        return "the work has only one part" if len(parts_of(work, task)) < 2 else None

    async def act(task: Task) -> Output:
        return await done_by(worker, work, task, at_once=task.max_workers)

    return Strategy(act, available)


def simplified_processing(work: Work) -> Strategy:
    """Do each part in the simpler way, at the same time where that is allowed."""
    worker = None if work.simple is None else as_function(work.simple)

    async def act(task: Task) -> Output:
        assert worker is not None, "it was available"  # noqa: S101
        return await done_by(worker, work, task, at_once=task.max_workers)

    return Strategy(act, lambda _: "the work has no simpler way (Work.simple)" if worker is None else None)


def cached_responses(*, max_age: float | None = None) -> Strategy:
    """Give the answer that was good before: for exactly the same task, material and type, in an earlier run of the tenant.

    `finishing` keeps good answers in the store of the run; where there is no store or no memory, there is none.

    Args:
        max_age: Seconds after which an answer is too old; None for never.
    """

    async def available(task: Task) -> str | None:
        return "no good answer is kept for this task" if await kept_answer(task, max_age) is None else None

    async def act(task: Task) -> Any:
        found = await kept_answer(task, max_age)
        if found is None:
            raise LookupError("the answer that was kept is gone")
        return Output(found["result"], kept=True)

    return Strategy(act, available)


def multi_model_ensemble(work: Work) -> Strategy:
    """Let all of `Work.voters` do each part at the same time, and vote; see `ensemble.voted`."""

    async def act(task: Task) -> Output:
        async def vote(part: Part) -> Any:
            return await voted(part, work.voters)

        return await done_by(vote, work, task, at_once=task.max_workers)

    return Strategy(act, lambda _: "the work has no two voters (Work.voters)" if len(work.voters) < 2 else None)


def detailed_analysis(work: Work) -> Strategy:
    """Do each part more thoroughly: as `Work.thorough` says, or, with a chat model, by checking what it found at first."""
    first, model = as_function(work.do), isinstance(work.do, BaseChatModel | str)
    thorough = None if work.thorough is None else as_function(work.thorough)

    async def checked(part: Part) -> Any:
        return await called(first, replace(part, draft=await called(first, part)))

    async def act(task: Task) -> Output:
        return await done_by(thorough or checked, work, task, at_once=task.max_workers)

    def available(_: Task) -> str | None:
        return None if model or thorough is not None else "the work has no more thorough way (Work.thorough)"

    return Strategy(act, available)


def human_in_loop() -> Strategy:
    """Ask a person, unless the run's `resource_constraints` say that there are none (`people: false`)."""

    def available(task: Task) -> str | None:
        return None if task.resource_constraints.get("people", True) else "no person is to be asked (people: false)"

    return Strategy(None, available)
