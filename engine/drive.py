"""Driving a thread: the one function that runs LangGraph, wherever a run is started, resumed, retried or recovered.

under the lease:  what is to be given to LangGraph?  the input, answers by question id, or nothing
→ run with `durability="sync"`
→ record how it ended and give the lease back, unless an answer came meanwhile: then once more
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import GraphDrained, is_invalid_resume
from langgraph.types import Command, StreamMode
from structlog.contextvars import bound_contextvars

from ..checkpoints.fence import holding
from ..checkpoints.priming import UNREAD, AtHand, Coming, Unread, primed
from ..errors import BudgetExceeded, LeaseLost, StorageUnavailable
from .binding import saver_of
from .coping.budgets import asks_for_more, refused_by
from .delivery import delivered
from .events import Started
from .factories import runnable_config
from .internals import Part, asking_tasks, has_failed_tasks, heard_by, open_interrupts
from .leases import Drive
from .model import Run
from .questions import BREAKPOINT
from .reader import thread_config
from .reviews import Given, ReviewStore
from .runs import RunStore
from .settling import End, Settling
from .telling import Teller
from .translate import Translator
from .witness import Witness
from .work import Claimed, Work

__all__ = ["Driver"]

_WITH_TOKENS: Final[list[StreamMode]] = ["tasks", "custom", "messages"]
_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Feed:
    """What LangGraph is given, and the reviews whose answers are in it.

    Answers go by question id, never by position.

    Args:
        value: What.
        fed: Whose answers.
        saved: The checkpoint that LangGraph is about to read, if it was read here under the lease; or what waits for it.
    """

    value: Any = None
    fed: list[str] = field(default_factory=list)
    saved: AtHand | Coming = UNREAD


Feeding = Callable[[], Awaitable[Feed]]


class _Otherwise(Exception):  # noqa: N818  (it never gets out of here)
    """That LangGraph must be given something else than what it was called with."""


class _Early:
    """A call of LangGraph before the run is ours: it waits where it would read the thread.

    Args:
        work: The thread.
        feeding: Waits until the run is ours, and says what LangGraph must be given then.
    """

    def __init__(self, work: Work, feeding: Feeding) -> None:
        self._feeding = feeding
        self._answers: dict[str, Any] = {}
        self._given = Command(resume=self._answers) if work.row["was"] != "new" else work.input
        self.feed: Feed | None = None

    @property
    def call(self) -> Feed:
        """What LangGraph is called with."""
        return Feed(self._given, saved=self._read)

    async def fed(self) -> Feed:
        """Wait until the run is ours, and return what LangGraph must be given."""
        if self.feed is None:
            self.feed = await self._feeding()
        return self.feed

    async def _read(self) -> AtHand:
        feed = await self.fed()
        if isinstance(self._given, Command) and isinstance(feed.value, Command):
            self._answers.update(cast("dict[str, Any]", feed.value.resume))
        elif feed.value is not self._given:
            raise _Otherwise
        return cast("AtHand", feed.saved)


class Driver:
    """Drives runs whose lease this process holds, and records how it went.

    Args:
        runs: The run rows.
        reviews: Questions and answers.
        witness: Sees what is stored.
        settling: Records how drives ended.
    """

    def __init__(self, runs: RunStore, reviews: ReviewStore, witness: Witness, settling: Settling) -> None:
        self._runs = runs
        self._reviews = reviews
        self._witness = witness
        self._settling = settling

    async def drive(self, work: Work, drive: Drive) -> Run | None:
        """Drive a run until it ends or needs people.

        Whatever happens, the outcome is recorded while the database can be reached; a failure of the workflow's own
        code is an outcome, not an exception. After a crash at any moment another process may call this again:
        nodes whose writes are committed do not run again, answers that were recorded are not asked for again.

        Returns:
            The run as it was recorded, or None where that must be read again.

        Raises:
            LeaseLost: Somebody else drives the thread now; nothing was recorded.
            StorageUnavailable: The database went away; recovery continues the run.
            InvalidDecision: The workflow's own schema refused the answer; the question is open again.
            asyncio.CancelledError: The drive was stopped; unless its run was cancelled or its lease lost, it is
                recorded as failed and can be retried.
        """
        with bound_contextvars(thread=work.thread_id, workflow=work.row["workflow"]), ExitStack() as stack:

            async def first() -> Feed:
                claimed = await work.claim
                stack.enter_context(holding(work.thread_id, drive.token))
                stack.enter_context(self._witness.watching(work.thread_id))
                work.emit(Started(work.thread_id, work.row["workflow"]))
                _log.info("run driven")
                return await self._feed(work, drive, claimed)

            async def again() -> Feed:
                return await self._feed(work, drive, None)

            end = await self._once(work, drive, first)
            while end == "go on":
                end = await self._once(work, drive, again)
            return end if isinstance(end, Run) else None

    async def _once(self, work: Work, drive: Drive, feeding: Feeding) -> End:
        """Run LangGraph once; return how that ended."""
        translator = Translator(work.thread_id)
        early = _Early(work, feeding)
        feed = Feed()
        try:
            try:
                if not work.claim.done():
                    await self._run_early(work, drive, early, translator)
                else:
                    await self._run(work, drive, await early.fed(), translator)
            finally:
                feed = early.feed or feed
                await work.children.begun()
            return await self._settling.record_end(work, drive, feed.fed)
        except asyncio.CancelledError as error:
            if not drive.lost:
                drive.ending = True
                await asyncio.shield(self._settling.record_stop(work, drive, error, translator.failed_node))
            raise
        except (LeaseLost, StorageUnavailable):
            raise
        except GraphDrained:
            await self._settling.give_back(work, drive)
            return "over"
        except Exception as error:  # noqa: BLE001  (whatever a node raises is an outcome of its run)
            if await self._settling.has_ended(work):
                # what failed is only somebody who was told so
                _log.exception("failed behind the end of the run")
                return await self._settling.record_end(work, drive, feed.fed)
            if isinstance(error, BudgetExceeded) and work.coping is not None and asks_for_more(work.coping):
                return await self._settling.ask_for_more(work, drive, feed.fed, work.coping)
            if is_invalid_resume(error):
                await self._settling.reopen(work, drive, feed.fed, error)
            await self._settling.record_failure(work, drive, error, translator.failed_node)
            return "over"

    async def _run_early(self, work: Work, drive: Drive, early: _Early, translator: Translator) -> None:
        """Call LangGraph before the run is ours; once more if it must be given something else then."""
        try:
            await self._run(work, drive, early.call, translator)
        except _Otherwise:
            await self._run(work, drive, await early.fed(), translator)
        except Exception:
            await early.fed()  # whatever it is, it is recorded when the run is ours
            raise

    async def _feed(self, work: Work, drive: Drive, claimed: Claimed | None) -> Feed:
        """Say what LangGraph must be given, from what is stored and under the lease.

        The open questions are read again: somebody without the engine may have driven the thread past one that was
        answered here, and LangGraph would give an answer with a stale id to the next question.
        """
        if claimed is not None and claimed.row["was"] == "new":
            return Feed(work.input, saved=claimed.saved)
        saved, given = await self._read(work, claimed)
        if saved is None:
            return Feed(work.input)
        failed = has_failed_tasks(saved.pending_writes or [])
        if failed:
            await self._runs.forget_failed_writes(work.thread_id, drive.token)
        asked = {each.id for each in open_interrupts(saved.pending_writes or [])}
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
        drive.fed_tasks = asking_tasks(saved.pending_writes or [], answers)
        value: Any = Command(resume=answers) if answers else None
        return Feed(value, [*answers, *passed], UNREAD if failed else saved)

    async def _read(self, work: Work, claimed: Claimed | None) -> tuple[CheckpointTuple | None, list[Given]]:
        """Read, with the types of the graph, what LangGraph is about to read, and the answers; unless they are at hand."""
        if claimed is not None and claimed.given is not None and not isinstance(claimed.saved, Unread):
            return claimed.saved, claimed.given
        reading = saver_of(work.graph).aget_tuple(thread_config(work.thread_id))
        if claimed is not None and claimed.given is not None:
            return await reading, claimed.given
        saved, given = await asyncio.gather(reading, self._reviews.unconsumed(work.thread_id))
        return saved, given

    async def _run(self, work: Work, drive: Drive, feed: Feed, translator: Translator) -> None:
        teller = Teller(translator, work.emit)
        config = _run_config(work)
        parts = work.graph.astream(
            feed.value,
            config if work.tokens else heard_by(teller.take, config, work.graph),
            context=work.context,
            # tokens are streamed only, and whatever else there is must not overtake them
            stream_mode=_WITH_TOKENS if work.tokens else [],
            subgraphs=work.tokens,
            durability="sync",
            control=drive.control,
        )
        with primed(work.thread_id, feed.saved):
            try:
                async for part in parts:
                    teller.take(cast("Part", part))
            finally:
                teller.tell()


def _run_config(work: Work) -> RunnableConfig:
    """Return the configuration of a drive; graphs without a `context_schema` find their context in it."""
    config = thread_config(work.thread_id)
    if work.graph.context_schema is not None or work.context is None:
        return config
    return merge_configs(runnable_config(None, work.context), config)
