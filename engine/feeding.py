"""What LangGraph is given in a drive, from what is stored and under the lease; and a call of LangGraph that waits for it.

It takes LangGraph about as long to begin a call as PostgreSQL to record an answer. So it may be called while the answer is
being recorded: it begins with a read of the thread, and that read waits. Nothing of the thread is read by it, and no code of
the workflow runs, before the answer is committed and the lease is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from langchain_core.runnables.config import ensure_config, get_async_callback_manager_for_config
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Command

from ..checkpoints.priming import UNREAD, AtHand, Unread
from .binding import Compiled, saver_of
from .coping.budgets import refused_by
from .delivery import delivered
from .internals import asking_tasks, has_failed_tasks, open_interrupts
from .leases import Drive
from .questions import BREAKPOINT
from .reader import thread_config
from .reviews import Given, ReviewStore
from .runs import RunStore
from .work import Claimed, Work

__all__ = ["EarlyCall", "Feed", "Feeder", "Feeding", "Otherwise", "is_observed"]


@dataclass(frozen=True, slots=True)
class Feed:
    """What LangGraph is given, and the reviews whose answers are in it.

    Answers go by question id, never by position.

    Args:
        value: What.
        fed: Whose answers.
        saved: The checkpoint that LangGraph is about to read, if it was read here under the lease.
    """

    value: Any = None
    fed: list[str] = field(default_factory=list)
    saved: AtHand = UNREAD


Feeding: TypeAlias = Callable[[], Awaitable[Feed]]


class Feeder:
    """Says what LangGraph must be given.

    Args:
        runs: The run rows.
        reviews: Questions and answers.
    """

    def __init__(self, runs: RunStore, reviews: ReviewStore) -> None:
        self._runs = runs
        self._reviews = reviews

    async def feed(self, work: Work, drive: Drive, claimed: Claimed | None) -> Feed:
        """Say what LangGraph must be given, from what is stored and under the lease.

        The open questions are read again: somebody without the engine may have driven the thread past one that was
        answered here, and LangGraph would give an answer with a stale id to the next question.

        Args:
            work: The thread.
            drive: Its drive; is told which tasks are given answers.
            claimed: What was read when the lease was taken; None when LangGraph has stored something since.

        Raises:
            LeaseLost: Somebody else drives the thread now.
            StorageUnavailable: The database went away.
        """
        if claimed is not None and claimed.row["was"] == "new":
            return Feed(work.input, saved=claimed.saved)
        saved, given = await self._read(work, claimed)
        if saved is None:
            return Feed(work.input)
        writes = saved.pending_writes or []
        failed = has_failed_tasks(writes)
        if failed:
            await self._runs.forget_failed_writes(work.thread_id, drive.token)
        asked = {each.id for each in open_interrupts(writes)}
        passed = [each.review_id for each in given if each.review_id.startswith(BREAKPOINT)]
        if passed:
            await self._reviews.consume(work.thread_id, passed)
        if work.coping is not None:
            work.coping.begin(refused_by(given))
        answers = {
            each.review_id: delivered(each.question, each.answer, by=each.by, at=each.at, approved_by=each.approved_by)
            for each in given
            if each.review_id in asked
        }
        drive.fed_tasks = asking_tasks(writes, answers)
        value: Any = Command(resume=answers) if answers else None
        return Feed(value, [*answers, *passed], UNREAD if failed else saved)

    async def _read(self, work: Work, claimed: Claimed | None) -> tuple[CheckpointTuple | None, list[Given]]:
        """Read, with the types of the graph, what LangGraph is about to read, and the answers; unless they are at hand."""
        given = None if claimed is None else claimed.given
        if claimed is not None and given is not None and not isinstance(claimed.saved, Unread):
            return claimed.saved, given
        reading = saver_of(work.graph).aget_tuple(thread_config(work.thread_id))
        if given is not None:
            return await reading, given
        saved, given = await asyncio.gather(reading, self._reviews.unconsumed(work.thread_id))
        return saved, given


class Otherwise(Exception):
    """That LangGraph must be given something else than what it was called with; it has done nothing yet.

    Args:
        feed: What.
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed


class EarlyCall:
    """A call of LangGraph before the run is ours: with its input, or with answers that are filled in when they are recorded.

    Args:
        work: The thread.
        feeding: Waits until the run is ours, and says what LangGraph must be given then.

    Attributes:
        value: What to call LangGraph with.
        was_read: Whether LangGraph has come to read the thread.
    """

    def __init__(self, work: Work, feeding: Feeding) -> None:
        self._feeding = feeding
        self._answers: dict[str, Any] | None = None if work.row["was"] == "new" else {}
        self.value: Any = work.input if self._answers is None else Command(resume=self._answers)
        self.was_read = False

    async def read(self) -> AtHand:
        """Wait until the run is ours, and return what LangGraph is to read first.

        Raises:
            Otherwise: LangGraph was called with the wrong thing.
        """
        self.was_read = True
        real = await self._feeding()
        if self._answers is not None and isinstance(real.value, Command):
            self._answers.update(cast("dict[str, Any]", real.value.resume))
        elif real.value is not self.value:
            raise Otherwise(real)
        return real.saved


def is_observed(graph: Compiled) -> bool:
    """Whether somebody is told of what a graph is called with (tracing, callbacks), who must not hear of it too early.

    Args:
        graph: The graph, about to be called in this context.
    """
    return bool(get_async_callback_manager_for_config(ensure_config(graph.config)).handlers)
