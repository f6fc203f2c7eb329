"""Driving a thread: the one function that runs LangGraph, wherever a run is started, resumed, retried or recovered.

under the lease:  what is to be given to LangGraph?  the input, answers by question id, or nothing
→ run with `durability="sync"`
→ record how it ended and give the lease back, unless an answer came meanwhile: then once more
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.errors import GraphDrained, is_invalid_resume
from langgraph.types import Command, StreamMode
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from ..checkpoints.fence import holding
from ..checkpoints.priming import UNREAD, Unread, primed
from ..errors import BudgetExceeded, ChildFailed, InvalidDecision, LeaseLost, StorageUnavailable
from ..state.values import storable_text
from .binding import Compiled, saver_of
from .child_runs import ChildRuns
from .child_waits import waits_in
from .coping.budgets import asks_for_more, question_for_more, refused_by
from .coping.place import CopingDrive
from .delivery import delivered
from .events import Completed, Event, Failed, Paused, Started
from .factories import runnable_config
from .internals import Part, asking_tasks, has_failed_tasks, heard_by, open_interrupts
from .leases import Drive
from .model import Review, Run
from .opening import Opening, opening
from .outcome import has_tasks
from .policy_book import PolicyBook
from .questions import BREAKPOINT
from .queue import RunQueue
from .reader import Reader, thread_config
from .reading import next_nodes, visible_state
from .reviews import Given, ReviewStore
from .runs import Outcome, RunRow, RunStore, Settled, to_run
from .translate import Translator
from .witness import Witness

__all__ = ["Driver", "Emit", "Work", "describe", "settled_unless_asked"]

Emit = Callable[[Event], None]
End = Run | Literal["go on", "over"]

_WITH_TOKENS: Final[list[StreamMode]] = ["tasks", "custom", "messages"]
_log = structlog.get_logger("adjourn")


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
    saved: CheckpointTuple | Unread | None = UNREAD


@dataclass(frozen=True, slots=True)
class Work:
    """One thread to drive.

    Args:
        row: The run's row with the lease's token.
        graph: Its graph on our saver.
        input: What it starts with, while no checkpoint holds that.
        context: The run's context, the same in every drive.
        emit: Gets the events.
        children: Runs the children that its nodes start.
        tokens: Whether models stream their tokens into the events.
        given: The answers that LangGraph has not stored yet, if they were read under the lease.
        saved: The checkpoint that LangGraph is about to read, if that was.
        blank: Whether the thread id was made for this run, so that nobody can have stored anything for it.
        coping: How the run copes with faults, where its workflow has rules for that.
    """

    row: RunRow
    graph: Compiled
    input: Any
    context: Any
    emit: Emit
    children: ChildRuns
    tokens: bool = False
    given: list[Given] | None = None
    saved: CheckpointTuple | Unread | None = UNREAD
    blank: bool = False
    coping: CopingDrive | None = None

    @property
    def thread_id(self) -> str:
        """The thread."""
        return str(self.row["thread_id"])


class Driver:
    """Drives runs whose lease this process holds, and records how it went.

    Args:
        runs: The run rows.
        reviews: Questions and answers.
        reader: The checkpoints.
        serde: Serialises the questions of static breakpoints.
        witness: Sees what is stored.
        policies: Says under which policy the questions of static breakpoints are asked.
        queue: Takes runs back when the process stops.
    """

    def __init__(
        self,
        runs: RunStore,
        reviews: ReviewStore,
        reader: Reader,
        serde: SerializerProtocol,
        witness: Witness,
        policies: PolicyBook,
        queue: RunQueue,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._reviews = reviews
        self._reader = reader
        self._serde = serde
        self._witness = witness
        self._policies = policies

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
        with (
            holding(work.thread_id, drive.token),
            self._witness.watching(work.thread_id),
            bound_contextvars(thread=work.thread_id, workflow=work.row["workflow"]),
        ):
            work.emit(Started(work.thread_id, work.row["workflow"]))
            _log.info("run driven")
            was, first = work.row["was"], True
            while (end := await self._once(work, drive, was, first=first)) == "go on":
                was, first = "running", False
            return end if isinstance(end, Run) else None

    async def _once(self, work: Work, drive: Drive, was: str, *, first: bool) -> End:
        """Run LangGraph once; return how that ended."""
        translator = Translator(work.thread_id)
        feed = Feed()
        try:
            feed = await self._feed(work, drive, was, first=first)
            try:
                await self._run(work, drive, feed, translator)
            finally:
                await work.children.begun()
            return await self._record_end(work, drive, feed)
        except asyncio.CancelledError as error:
            if not drive.lost:
                drive.ending = True
                await asyncio.shield(self._record_stop(work, drive, error, translator.failed_node))
            raise
        except (LeaseLost, StorageUnavailable):
            raise
        except GraphDrained:
            await self._give_back(work, drive)
            return "over"
        except Exception as error:  # noqa: BLE001  (whatever a node raises is an outcome of its run)
            if await self._has_ended(work):
                # what failed is only somebody who was told so
                _log.exception("failed behind the end of the run")
                return await self._record_end(work, drive, feed)
            if isinstance(error, BudgetExceeded) and work.coping is not None and asks_for_more(work.coping):
                return await self._ask_for_more(work, drive, feed, work.coping)
            if is_invalid_resume(error):
                await self._reopen(work, drive, feed, error)
            await self._record_failure(work, drive, error, translator.failed_node)
            return "over"

    async def _feed(self, work: Work, drive: Drive, was: str, *, first: bool) -> Feed:
        """Say what LangGraph must be given, from what is stored and under the lease.

        The open questions are read again: somebody without the engine may have driven the thread past one that was
        answered here, and LangGraph would give an answer with a stale id to the next question.
        """
        if was == "new":
            return Feed(work.input, saved=None if work.blank else UNREAD)
        saved, given = await self._read(work, first)
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

    async def _read(self, work: Work, first: bool) -> tuple[CheckpointTuple | None, list[Given]]:
        """Read, with the types of the graph, what LangGraph is about to read, and the answers; unless they are at hand."""
        if first and work.given is not None and not isinstance(work.saved, Unread):
            return work.saved, work.given
        reading = saver_of(work.graph).aget_tuple(thread_config(work.thread_id))
        if first and work.given is not None:
            return await reading, work.given
        saved, given = await asyncio.gather(reading, self._reviews.unconsumed(work.thread_id))
        return saved, given

    async def _run(self, work: Work, drive: Drive, feed: Feed, translator: Translator) -> None:
        def take(part: Part) -> None:
            for event in translator.translate(part):
                work.emit(event)

        config = _run_config(work)
        parts = work.graph.astream(
            feed.value,
            config if work.tokens else heard_by(take, config, work.graph),
            context=work.context,
            # tokens are streamed only, and whatever else there is must not overtake them
            stream_mode=_WITH_TOKENS if work.tokens else [],
            subgraphs=work.tokens,
            durability="sync",
            control=drive.control,
        )
        with primed(work.thread_id, feed.saved):
            async for part in parts:
                take(cast("Part", part))

    async def _record_end(self, work: Work, drive: Drive, feed: Feed) -> End:
        """Record a drive that LangGraph ended: the end is a checkpoint without tasks, never an empty `next`."""
        over, saved = self._witness.is_over(work.thread_id), self._witness.end(work.thread_id)
        if saved is None:
            saved = await self._reader.latest(work.thread_id)
        open_ = open_interrupts(saved.pending_writes or []) if saved else []
        asked = {each.id for each in open_}
        if saved is None or over or not (asked or await self._has_tasks(work, saved)):
            return await self._record_completion(work, drive, saved)
        breakpoint_ = None if asked else await self._breakpoint(work.thread_id, drive.token)
        outcome = Outcome("paused", fed=feed.fed, breakpoint=breakpoint_, waits=waits_in(open_))
        return await self._record_pause(work, drive, outcome, saved)

    async def _has_ended(self, work: Work) -> bool:
        """Whether a checkpoint without anything left to do is stored; the last that was seen may have been refused."""
        if not self._witness.is_over(work.thread_id):
            return False
        saved = await self._reader.latest(work.thread_id)
        return saved is not None and not has_tasks(saved)

    async def _ask_for_more(self, work: Work, drive: Drive, feed: Feed, coping: CopingDrive) -> End:
        """Pause a run that has spent its budget, with the question for more; its node runs again with the answer."""
        saved = await self._reader.latest(work.thread_id)
        review_id, asked = question_for_more(coping)
        opened = opening(self._serde, asked, None, self._policies.policy(work.thread_id, drive.token, asked))
        checkpoint_id = saved.checkpoint["id"] if saved is not None else ""
        outcome = Outcome("paused", fed=feed.fed, breakpoint=(review_id, checkpoint_id, opened))
        return await self._record_pause(work, drive, outcome, saved)

    async def _record_pause(self, work: Work, drive: Drive, outcome: Outcome, saved: CheckpointTuple | None) -> End:
        """Record that a run waits for people, unless an answer came meanwhile to what it asks."""
        drive.ending = True
        settled, row = await self._runs.settle_run(work.thread_id, drive.token, outcome)
        if settled == "go on":
            asked = {each.id for each in open_interrupts(saved.pending_writes or [])} if saved else set()
            settled, row = await settled_unless_asked(
                self._runs, self._reviews, work.thread_id, drive.token, outcome, asked
            )
        if settled == "go on":
            drive.ending = False
            return "go on"
        if row is None:
            await self._withdraw(work, drive)
            return "over"
        return self._ended(work, row, saved, await self._reviews.pending(work.thread_id, row["tenant"]))

    async def _record_completion(self, work: Work, drive: Drive, saved: CheckpointTuple | None) -> End:
        """Record that a run has completed, unless the commit of its last checkpoint did."""
        drive.ending = True
        seen = self._witness.recorded(work.thread_id)
        if seen is None:
            row = (await self._runs.settle_run(work.thread_id, drive.token, Outcome("completed")))[1]
        else:
            row = self._runs.ended(seen)[1]
        return "over" if row is None else self._ended(work, {**work.row, **row}, saved, ())

    def _ended(self, work: Work, row: RunRow, saved: CheckpointTuple | None, reviews: tuple[Review, ...]) -> End:
        _log.info(f"run {row['status']}", questions=len(reviews))
        work.emit(Paused(work.thread_id, reviews) if row["status"] == "paused" else Completed(work.thread_id))
        return "over" if row["has_children"] else to_run(row, state=visible_state(saved), reviews=reviews)

    async def _has_tasks(self, work: Work, saved: CheckpointTuple) -> bool:
        """Ask the checkpoint, and where it does not say that all is done, LangGraph itself."""
        if not has_tasks(saved):
            return False
        return bool((await work.graph.aget_state(thread_config(work.thread_id))).tasks)

    async def _breakpoint(self, thread_id: str, token: int) -> tuple[str, str, Opening] | None:
        """Return the review of a static breakpoint: its id changes with each, so that one answer never passes two."""
        newest = await self._reader.newest(thread_id)
        if newest is None:
            return None
        checkpoint_id = newest.checkpoint["id"]
        policy = self._policies.policy(thread_id, token, None)
        opened = opening(self._serde, list(next_nodes(newest.checkpoint)), None, policy)
        return f"{BREAKPOINT}{checkpoint_id}", checkpoint_id, opened

    async def _reopen(self, work: Work, drive: Drive, feed: Feed, error: Exception) -> NoReturn:
        """Undo answers that the workflow's own schema refused, so that the question can be answered again."""
        await self._reviews.reopen(work.thread_id, feed.fed, drive.token)
        drive.ending = True
        await self._runs.settle(work.thread_id, drive.token, Outcome("paused"))
        raise InvalidDecision(
            f"The workflow refused this answer: {describe(error, None)['message']}. The question stays open.",
            thread_id=work.thread_id,
        ) from error

    async def _give_back(self, work: Work, drive: Drive) -> None:
        """End a drive that was asked to stop before the next step: the run was cancelled, or the process stops."""
        drive.ending = True
        if drive.draining and not drive.cancelled:
            _log.info("run handed back")
            await self._queue.hand_back(work.thread_id, drive.token)
        else:
            if drive.cancelled:
                await self._withdraw(work, drive)
            await self._runs.release(work.thread_id, drive.token)

    async def _withdraw(self, work: Work, drive: Drive) -> None:
        """Withdraw what a drive asked between the moment at which its run was cancelled and the one at which it noticed."""
        await self._reviews.withdraw_others(work.thread_id, [], drive.token)

    async def _record_stop(self, work: Work, drive: Drive, error: BaseException, node: str | None) -> None:
        if drive.cancelled:
            drive.ending = True
            await self._withdraw(work, drive)
            await self._runs.release(work.thread_id, drive.token)
        else:
            await self._record_failure(work, drive, error, node)

    async def _record_failure(self, work: Work, drive: Drive, error: BaseException, node: str | None) -> None:
        described = describe(error, node)
        _log.warning("run failed", error=described["message"], error_type=described["type"], failed_node=node)
        saved = await self._reader.latest(work.thread_id)
        outcome = Outcome("failed", described, checkpointed=saved is not None)
        drive.ending = True
        if await self._runs.settle(work.thread_id, drive.token, outcome) == "recorded":
            work.emit(Failed(work.thread_id, described))


async def settled_unless_asked(
    runs: RunStore, reviews: ReviewStore, thread_id: str, token: int, outcome: Outcome, asked: Set[str]
) -> tuple[Settled, RunRow | None]:
    """Settle a pause that answers came for, unless one of them is to a question that the thread asks.

    An answer to any other can never be given: somebody drove the thread past that question without the engine.

    Args:
        runs: The run rows.
        reviews: Questions and answers.
        thread_id: The thread.
        token: The lease's token.
        outcome: The pause.
        asked: The questions that the thread asks.
    """
    waiting = [each.review_id for each in await reviews.unconsumed(thread_id)]
    if any(each in asked or each.startswith(BREAKPOINT) for each in waiting):
        return "go on", None
    return await runs.settle_run(thread_id, token, replace(outcome, fed=waiting))


def _run_config(work: Work) -> RunnableConfig:
    """Return the configuration of a drive; graphs without a `context_schema` find their context in it."""
    mirrored = runnable_config(None, work.context) if work.graph.context_schema is None else {}
    return merge_configs(mirrored, thread_config(work.thread_id))


def describe(error: BaseException, node: str | None) -> dict[str, Any]:
    """Return an error as a run row keeps it: type, message (its first 2,000 characters), node, and a child that failed."""
    if isinstance(error, asyncio.CancelledError):
        return {"type": "Interrupted", "message": "the process that drove the run was interrupted", "node": node}
    if is_invalid_resume(error) and isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        return {"type": "InvalidDecision", "message": f"{place}: {first['msg']}", "node": node}
    described = {"type": type(error).__name__, "message": storable_text(str(error))[:2000], "node": node}
    return described if not isinstance(error, ChildFailed) else {**described, "child": error.thread_id}
