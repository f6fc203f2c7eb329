"""Recording how a drive ended: the run has completed, waits for people or child runs, failed, or is handed back.

What is recorded, and the lease given back, is one transaction each time. An answer that came meanwhile to a run that pauses
lets its drive go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import replace
from typing import Any, Literal, NoReturn

import structlog
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.errors import is_invalid_resume
from psycopg.rows import DictRow
from pydantic import ValidationError

from ..errors import ChildFailed, InvalidDecision
from ..state.values import storable_text
from .child_waits import waits_in
from .coping.budgets import question_for_more
from .coping.place import CopingDrive
from .events import Completed, Failed, Paused
from .internals import open_interrupts
from .leases import Drive
from .model import Review, Run
from .opening import Opening, opening
from .outcome import has_tasks
from .policy_book import PolicyBook
from .questions import BREAKPOINT
from .queue import RunQueue
from .reader import Reader, thread_config
from .reading import next_nodes, visible_state
from .reviews import ReviewStore
from .runs import Outcome, RunRow, RunStore, Settled, to_run
from .witness import Witness
from .work import Work

__all__ = ["End", "Settling", "describe", "settled_unless_asked"]

End = Run | Literal["go on", "over"]
_log = structlog.get_logger("adjourn")


class Settling:
    """Records how drives ended, under their leases.

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

    async def record_end(self, work: Work, drive: Drive, fed: list[str]) -> End:
        """Record a drive that LangGraph ended: the end is a checkpoint without tasks, never an empty `next`."""
        over, saved = self._witness.is_over(work.thread_id), self._witness.end(work.thread_id)
        latest = None
        if saved is None:
            latest = await self._reader.latest_row(work.thread_id)
            saved = await self._reader.latest(work.thread_id, latest)
        open_ = open_interrupts(saved.pending_writes or []) if saved else []
        asked = {each.id for each in open_}
        if saved is None or over or not (asked or await self._has_tasks(work, saved)):
            return await self._record_completion(work, drive, saved)
        breakpoint_ = None if asked else await self._breakpoint(work.thread_id, drive.token)
        outcome = Outcome("paused", fed=fed, breakpoint=breakpoint_, waits=waits_in(open_))
        return await self._record_pause(work, drive, outcome, saved, latest)

    async def has_ended(self, work: Work) -> bool:
        """Whether a checkpoint without anything left to do is stored; the last that was seen may have been refused."""
        if not self._witness.is_over(work.thread_id):
            return False
        saved = await self._reader.latest(work.thread_id)
        return saved is not None and not has_tasks(saved)

    async def ask_for_more(self, work: Work, drive: Drive, fed: list[str], coping: CopingDrive) -> End:
        """Pause a run that has spent its budget, with the question for more; its node runs again with the answer."""
        saved = await self._reader.latest(work.thread_id)
        review_id, asked = question_for_more(coping)
        opened = opening(self._serde, asked, None, self._policies.policy(work.thread_id, drive.token, asked))
        checkpoint_id = saved.checkpoint["id"] if saved is not None else ""
        outcome = Outcome("paused", fed=fed, breakpoint=(review_id, checkpoint_id, opened))
        return await self._record_pause(work, drive, outcome, saved)

    async def _record_pause(
        self, work: Work, drive: Drive, outcome: Outcome, saved: CheckpointTuple | None, latest: DictRow | None = None
    ) -> End:
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
        return self._ended(work, row, saved, await self._reviews.pending(work.thread_id, row["tenant"], latest))

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

    async def reopen(self, work: Work, drive: Drive, fed: list[str], error: Exception) -> NoReturn:
        """Undo answers that the workflow's own schema refused, so that the question can be answered again."""
        await self._reviews.reopen(work.thread_id, fed, drive.token)
        drive.ending = True
        await self._runs.settle(work.thread_id, drive.token, Outcome("paused"))
        raise InvalidDecision(
            f"The workflow refused this answer: {describe(error, None)['message']}. The question stays open.",
            thread_id=work.thread_id,
        ) from error

    async def give_back(self, work: Work, drive: Drive) -> None:
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

    async def record_stop(self, work: Work, drive: Drive, error: BaseException, node: str | None) -> None:
        """Record a drive whose task was stopped: of a cancelled run the lease is given back, any other has failed.

        Args:
            work: The thread.
            drive: Its drive.
            error: What stopped it.
            node: The node that failed last.
        """
        if drive.cancelled:
            drive.ending = True
            await self._withdraw(work, drive)
            await self._runs.release(work.thread_id, drive.token)
        else:
            await self.record_failure(work, drive, error, node)

    async def record_failure(self, work: Work, drive: Drive, error: BaseException, node: str | None) -> None:
        """Record a failure, and where it came from, in the log and in the run's row."""
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
