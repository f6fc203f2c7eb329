"""Doing the parts of a task: one after the other or at the same time, each for itself, and kept where that is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter
from langgraph.errors import GraphBubbleUp

from ...errors import RunFailed
from ...state.values import storable_text
from ..branches import gather
from ..calling import called
from ..effects import once, remembers_effects
from .failing import FAILS, GIVES_WAY, in_words
from .strategies import Output, Task
from .work import Part, Work, parts_of

__all__ = ["done_by"]


async def done_by(worker: Callable[[Part], Any], work: Work, task: Task, *, at_once: int) -> Output:
    """Do all parts of a task, so many at the same time, and put the results together.

    A part that fails costs only itself. When all fail, the attempt fails with the first failure.

    Args:
        worker: Does a part.
        work: How the task is split and put together, and whether parts are kept.
        task: The task.
        at_once: How many parts are worked on at the same time; plain functions get as many threads.

    Raises:
        RunFailed: No part has a result.
        BudgetExceeded, LeaseLost, StorageUnavailable: The run's own trouble; no other part is begun.
    """
    parts = await called(parts_of, work, task)
    doing = _Doing(worker, at_once, kept=work.keep_parts and remembers_effects())
    await gather(*(doing.do(part) for part in parts))
    names = [part.name for part in parts]
    if not doing.results:
        raise RunFailed(f"No part has a result: {doing.failures[names[0]]}")
    done = {name: doing.results[name] for name in names if name in doing.results}
    failed = {name: doing.failures[name] for name in names if name in doing.failures}
    return Output(await called(work.combine, task, done), len(parts), failed, doing.seconds_before / at_once)


class _Doing:
    """The parts of one attempt as they are done."""

    def __init__(self, worker: Callable[[Part], Any], at_once: int, *, kept: bool) -> None:
        self.results: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        self.seconds_before = 0.0
        self._worker = worker
        self._kept = kept
        self._room = asyncio.Semaphore(at_once)
        self._threads = CapacityLimiter(at_once)
        self._stopped = False

    async def do(self, part: Part) -> None:
        async with self._room:
            if self._stopped:
                return
            try:
                self.results[part.name] = await (self._recorded(part) if self._kept else self._worked(part))
            except GIVES_WAY as trouble:
                self._stopped = not isinstance(trouble, GraphBubbleUp)  # one that waits does not hold up the others
                raise
            except FAILS as problem:  # a worker is the user's, and so are its errors
                self.failures[part.name] = in_words(problem)

    async def _recorded(self, part: Part) -> Any:
        """Do a part, or find what it came to in a process that died; its time then was spent there."""
        here = False

        async def work() -> dict[str, Any]:
            nonlocal here
            here, begun = True, time.monotonic()
            return {"result": await self._worked(part), "seconds": time.monotonic() - begun}

        # no arguments to compare: everything that a part is made of stands in the state
        found = await once("part", work, key=f"{part.task.attempt} {storable_text(part.name)}", on_uncertain="retry")
        if not here:
            self.seconds_before += found["seconds"]
        return found["result"]

    async def _worked(self, part: Part) -> Any:
        return await called(self._worker, part, limiter=self._threads)
