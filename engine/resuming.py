"""Verbs that go on with runs: resume, retry, cancel and recover."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg

from ..checkpoints.faults import mapped_faults
from ..errors import AdjournError, NotPaused, ThreadBusy, UnknownReview
from .answers import Answer, check_answer, same_answer
from .base import EngineBase
from .drive import Emit
from .events import Cancelled
from .model import Review, Run, RunStatus
from .recovery import Attempt, RecoveryStore, Stalled, next_attempt
from .reviews import Recorded
from .runs import Outcome, RunRow

__all__ = ["Resuming"]

_AT_ONCE = 8


class Resuming(EngineBase):
    """Goes on with runs."""

    async def resume(
        self,
        thread_id: str,
        decision: Any,
        *,
        by: str | None = None,
        review_id: str | None = None,
        on_event: Emit | None = None,
        tokens: bool = False,
    ) -> Run:
        """Answer an open question and drive the run on.

        The answer is recorded before anything else happens; of several answers to one question the first to be
        recorded counts. If this process dies then, `recover` continues the run with the recorded answer. When another
        process drives the run at this moment, that one goes on with the answer, and this call returns the run as
        running. The same answer, sent again by the same person, changes nothing and returns the run.

        Args:
            thread_id: The run.
            decision: `approve()`, `edit({...})`, `reject("why")`, `respond("text")`, a plain JSON value where the
                question asks for one, or `{review_id: decision, …}` for several questions, all or nothing.
            by: Who answers, where the principal is trusted to name somebody else.
            review_id: Which question; may be left out while exactly one is open. Whoever may send an answer twice
                (a page, a webhook) names it, so that a repetition never meets the next question.
            on_event: Called with each event while the run is driven here; it must not block.
            tokens: Whether models stream their tokens into the events.

        Raises:
            UnknownThread: There is no such run.
            NotPaused: The run asks nothing.
            UnknownReview: There is no such question, or several are open and none was named.
            ReviewClosed: The question was closed before; carries who answered, when and what.
            InvalidDecision: The answer does not fit; nothing was recorded and the question stays open.
            UnknownWorkflow: The run's workflow is not registered here; nothing was recorded.
            LeaseLost: Another process drives the run now; the answer stays recorded.
        """
        row = await self._row(thread_id)
        async with self._audited(thread_id, by, decision), self._graph_of(row) as graph:
            actor = self._actor(by)
            reviews = {review.id: review for review in await self._reviews.pending(thread_id, row["workflow"])}
            if await self._was_answered(row, reviews, decision, review_id, actor):
                return await self._show(thread_id)
            chosen = _choose(reviews, decision, review_id, row)
            answers = {each: check_answer(reviews[each], given) for each, given in chosen.items()}
            closed, claimed = await self._decide(thread_id, answers, actor)
            if closed is not None:
                await self._refuse(thread_id, closed, answers[closed], actor)
            if claimed is None:
                return await self._show(thread_id)
            return await self._drive(claimed, graph, on_event=on_event, tokens=tokens)

    async def retry(
        self, thread_id: str, *, by: str | None = None, on_event: Emit | None = None, tokens: bool = False
    ) -> Run:
        """Continue a failed or stalled run from where it was.

        The nodes that failed run again as a whole, routing included, with the answers that they had been given; nodes
        that had finished do not.

        Raises:
            UnknownThread: There is no such run.
            ThreadBusy: It is being driven.
            NotPaused: It has not failed, or its content was erased.
            LeaseLost: Another process drives the run now.
        """
        row = await self._row(thread_id)
        if row["erased_at"] is not None and row["ended_at"] is not None and row["erased_at"] >= row["ended_at"]:
            raise NotPaused(f"The content of run {thread_id} was erased; start a new run.", thread_id=thread_id)
        async with self._audited(thread_id, by), self._graph_of(row) as graph:
            actor = self._actor(by)
            acting = {**self._acting, "by": actor}
            claimed = await self._runs.claim(thread_id, self.principal.tenant, ("failed", "running"), actor=acting)
            if claimed is None:
                raise _not_failed(await self._row(thread_id))
            return await self._drive(claimed, graph, on_event=on_event, tokens=tokens)

    async def cancel(self, thread_id: str, *, by: str | None = None, reason: str) -> Run:
        """End a run for good, from any process: open questions are withdrawn and later answers refused.

        A run that is being driven stops before its next step, or at once after a grace time
        (`ADJOURN_CANCEL_GRACE_SECONDS`). Cancelling a cancelled run changes nothing.

        Args:
            thread_id: The run.
            by: Who cancels.
            reason: Why; kept with the run.

        Raises:
            UnknownThread: There is no such run.
            NotPaused: It has completed.
        """
        await self._row(thread_id)
        async with self._audited(thread_id, by):
            note = {"type": "Cancelled", "message": reason, "by": self._actor(by)}
        if await self._runs.cancel(thread_id, self.principal.tenant, note):
            self._recorder.record(Cancelled(thread_id, note))
        drive = self._keeper.driving(thread_id)
        if drive is not None:
            self._keeper.cancel(drive)
        run = await self._show(thread_id)
        if run.status == "completed":
            raise NotPaused(f"Run {thread_id} has completed; there is nothing to cancel.", thread_id=thread_id)
        return run

    async def recover(self, *, limit: int = 100) -> list[Run]:
        """Continue runs whose driver died: those that are shown as stalled.

        Each is tried again after growing pauses; after five attempts in a row without a new checkpoint it is failed,
        with the history of its attempts. Any number of processes may do this at once.

        Args:
            limit: The most runs to look at.

        Returns:
            The runs that were driven or failed here, as they stand now.
        """
        store = RecoveryStore(self._storage.pool)
        stalled = await store.stalled(self.principal.tenant, limit)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(found: Stalled) -> Run | None:
            async with slots:
                return await self._recover_one(store, found)

        done = await asyncio.gather(*(one(found) for found in stalled))
        return [run for run in done if run is not None]

    async def _recover_one(self, store: RecoveryStore, found: Stalled) -> Run | None:
        row = await self._row(found.thread_id)
        async with self._graph_of(row) as graph:
            claimed = await self._runs.claim(found.thread_id, self.principal.tenant, ("running",))
            if claimed is None:
                return None
            plan = next_attempt(found, self._keeper.owner)
            if not isinstance(plan, Attempt):
                await self._runs.settle(found.thread_id, claimed["token"], Outcome("failed", plan, checkpointed=False))
                return await self._show(found.thread_id)
            await store.note(found.thread_id, plan)
            try:
                return await self._drive(claimed, graph)
            except AdjournError:  # lost the lease or the database: whoever has them goes on
                return None

    async def _was_answered(
        self, row: RunRow, reviews: Mapping[str, Review], decision: Any, review_id: str | None, by: str
    ) -> bool:
        """Say whether this very answer was recorded before; raise if the question was closed in another way."""
        if review_id in reviews or (review_id is None and reviews):
            return False
        recorded = await self._reviews.recorded(row["thread_id"], review_id)
        if recorded is None:
            return False
        if _same(recorded, decision, by):
            return True
        if review_id is not None or row["status"] in ("running", "paused"):
            raise recorded.as_error(row["thread_id"])
        return False

    async def _decide(self, thread_id: str, answers: Mapping[str, Answer], by: str) -> tuple[str | None, RunRow | None]:
        """Record answers and try to take the lease, in one transaction: a recorded answer is never left lying.

        Returns:
            The id of a review that was closed before (nothing was recorded then), and the run if it is ours to drive; when
            somebody drives it, that one finds the answers when it gives the lease back.
        """
        closed, claimed = None, None
        with mapped_faults("cannot record the answer", thread_id=thread_id):
            async with self._storage.pool.connection() as connection, connection.transaction() as transaction:
                await self._runs.lock(connection, thread_id)
                closed = await self._reviews.decide(
                    connection, thread_id, answers, by=by, principal=self.principal, channel=self.channel
                )
                if closed is not None:
                    raise psycopg.Rollback(transaction)
                claimed = await self._runs.claim(
                    thread_id,
                    self.principal.tenant,
                    ("paused", "running"),
                    connection,
                    actor={**self._acting, "by": by},
                )
        return closed, claimed

    async def _refuse(self, thread_id: str, review_id: str, answer: Answer, by: str) -> None:
        recorded = await self._reviews.recorded(thread_id, review_id)
        if recorded is not None and not recorded.is_same(by, answer.digest):
            raise recorded.as_error(thread_id)


def _choose(reviews: Mapping[str, Review], decision: Any, review_id: str | None, row: RunRow) -> dict[str, Any]:
    """Say which question gets which answer."""
    thread_id = row["thread_id"]
    known = f"Open: {', '.join(reviews)}." if reviews else "None is open."
    if review_id is not None:
        if review_id not in reviews:
            raise UnknownReview(f"Run {thread_id} has no review {review_id}. {known}", thread_id=thread_id)
        return {review_id: decision}
    if isinstance(decision, Mapping) and decision and set(decision) <= set(reviews):
        return dict(decision)
    if not reviews:
        raise _asks_nothing(row)
    if len(reviews) != 1:
        raise UnknownReview(
            f"Run {thread_id} asks {len(reviews)} questions; name one with review_id, "
            f"or answer several with {{review_id: decision, …}}. {known}",
            thread_id=thread_id,
        )
    return {next(iter(reviews)): decision}


def _asks_nothing(row: RunRow) -> NotPaused:
    status, thread_id = row["status"], row["thread_id"]
    advice = {
        "running": "it is being driven; wait until it asks",
        "queued": "it has not been started yet",
        "failed": "it failed; continue it with retry",
        "completed": "it has completed",
        "cancelled": "it was cancelled",
        "paused": "its questions were answered at this moment",
    }[status]
    return NotPaused(f"Run {thread_id} waits for no answer: {advice}.", thread_id=thread_id)


def _not_failed(row: RunRow) -> AdjournError:
    status: RunStatus = row["status"]
    thread_id = row["thread_id"]
    if status == "running":
        return ThreadBusy(f"Run {thread_id} is being driven already.", thread_id=thread_id)
    if status == "paused":
        return NotPaused(f"Run {thread_id} has not failed; it waits for an answer: use resume.", thread_id=thread_id)
    return NotPaused(f"Run {thread_id} has not failed: it is {status}.", thread_id=thread_id)


def _same(recorded: Recorded, decision: Any, by: str) -> bool:
    """Whether a decision is the one that was recorded, compared in its normalised form."""
    return recorded.status == "decided" and recorded.by == by and same_answer(recorded.answer, decision)
