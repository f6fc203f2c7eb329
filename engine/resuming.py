"""Verbs that go on with runs: resume, retry, cancel and recover."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import structlog

from ..checkpoints.priming import Unread
from ..errors import AdjournError, InvalidInput, NotPaused, StorageUnavailable, ThreadBusy
from ..state.values import json_problem
from .audit import actor_of
from .base import unknown_thread
from .binding import saver_of
from .deciding import Sent
from .model import Principal, Run, RunStatus
from .reading import visible_state
from .recovery import Attempt, RecoveryStore, Stalled, next_attempt
from .runs import Outcome, RunRow, to_run
from .undoing import Undoing
from .work import Emit

__all__ = ["Resuming"]

_AT_ONCE = 8
_log = structlog.get_logger("adjourn")


class Resuming(Undoing):
    """Goes on with runs."""

    async def resume(
        self,
        thread_id: str,
        decision: Any,
        *,
        by: str | Principal | None = None,
        review_id: str | None = None,
        shown: str | None = None,
        wait: bool = True,
        on_event: Emit | None = None,
        tokens: bool = False,
    ) -> Run:
        """Answer an open question and, when that closes it, drive the run on.

        The answer is recorded before anything else happens; of several answers to one question the order in which they
        are recorded decides alone. If this process dies then, `recover` continues the run with the recorded answer. When
        another process drives the run at this moment, that one goes on with the answer, and this call returns the run as
        running. Where the policy asks for more people, the run is returned as it is, with what is still missing in
        `run.reviews`. The same answer, sent again by the same person, changes nothing and returns the run.

        Args:
            thread_id: The run.
            decision: `approve()`, `edit({...})`, `reject("why")`, `respond("text")`, a plain JSON value where the
                question asks for one, or `{review_id: decision, …}` for several questions, all or nothing.
            by: Who answers, where the principal is trusted to name somebody else. A name alone holds no roles; give a
                `Principal` for somebody whose roles, and perhaps authentication, the caller vouches for.
            review_id: Which question; may be left out while exactly one is open. Whoever may send an answer twice
                (a page, a webhook) names it, so that a repetition never meets the next question.
            shown: The `digest` of the review that the person looked at. A decision about another version is refused;
                an edited one takes no approval without it.
            wait: Whether to drive the run on here. Otherwise a worker does: the answer and the run's place in the queue are
                one transaction, and the run is returned as queued.
            on_event: Called with each event while the run is driven here; it must not block.
            tokens: Whether models stream their tokens into the events.

        Raises:
            UnknownThread: There is no such run.
            NotPaused: The run asks nothing.
            UnknownReview: There is no such question, or several are open and none was named.
            ReviewClosed: The question was closed before; carries who answered, when and what.
            InvalidDecision: The answer does not fit; nothing was recorded and the question stays open.
            NotAuthorized: The policy of the question does not let this person answer.
            DigestMismatch: The proposal is not the one that was shown: somebody has edited it.
            UnknownWorkflow: The run's workflow is not registered here, and it would be driven here; nothing was recorded.
            LeaseLost: Another process drives the run now; the answer stays recorded.
        """
        found = await self._answering.look(thread_id, self.principal.tenant)
        if found is None:
            raise unknown_thread(thread_id)
        async with self._audited(thread_id, by, decision):
            sent = Sent(decision, self._acting(by), self.channel, review_id, shown)
            if not wait:
                shown_by = partial(self._reader.latest, thread_id)
                queued = await self._answering.decide(
                    thread_id, self.principal.tenant, sent, found, read=shown_by, queues=True
                )
                if queued is None or isinstance(queued.saved, Unread):
                    return await self._show(thread_id)
                return to_run(queued.row, state=visible_state(queued.saved))
            async with (
                self._graph_of(found.run) as graph,
                self._drives.upcoming(graph, on_event=on_event, tokens=tokens) as upcoming,
            ):
                read = partial(saver_of(graph).latest, thread_id)
                answered = await self._answering.decide(
                    thread_id, self.principal.tenant, sent, found, read=read, expect=upcoming.expect
                )
                run = None if answered is None else await self._carry_out(upcoming.ours(answered), answered)
                return run or await self._show(thread_id)

    async def retry(
        self, thread_id: str, *, by: str | None = None, on_event: Emit | None = None, tokens: bool = False
    ) -> Run:
        """Continue a failed or stalled run from where it was.

        The nodes that failed run again as a whole, routing included, with the answers that they had been given; nodes
        that had finished do not. A question whose deadline failed the run is asked again, and its time begins anew. Where
        a child run failed it, that goes on from where it was as well.

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
            actor = actor_of(self._acting(by), self.channel)
            claimed = await self._runs.claim(thread_id, self.principal.tenant, ("failed", "running"), actor=actor)
            if claimed is None:
                raise _not_failed(await self._row(thread_id))
            await self._reviews.ask_expired(thread_id, claimed["token"])
            await self._children.again_below(row)
            return await self._drive(claimed, graph, on_event=on_event, tokens=tokens)

    async def cancel(self, thread_id: str, *, by: str | None = None, reason: str) -> Run:
        """End a run for good, from any process: open questions are withdrawn and later answers refused.

        A run that is being driven stops before its next step, or at once after a grace time
        (`ADJOURN_CANCEL_GRACE_SECONDS`). Cancelling a cancelled run changes nothing. Its child runs that have not ended are
        cancelled with it, and theirs: all or none. If it is itself a child, its parent goes on here with that.

        What a run of `delegation` did is undone then, where its plan declares compensations: by another run of the same
        workflow, which is driven here, may ask people, and is found by `recover` if this process dies. It begins when
        nobody is at work on the cancelled run any more. Its thread id is `undoing_id(thread_id)`. What delegations below it
        did is undone as well: by child runs of that run, each before what it depended on.

        Args:
            thread_id: The run.
            by: Who cancels.
            reason: Why; kept with the run.

        Raises:
            UnknownThread: There is no such run.
            NotPaused: It has completed.
            InvalidInput: The reason is no text that can be stored.
        """
        if problem := json_problem(reason, "the reason"):
            raise InvalidInput(f"The run was not cancelled: {problem}.", thread_id=thread_id)
        row = await self._row(thread_id)
        async with self._audited(thread_id, by):
            note = {"type": "Cancelled", "message": reason, "by": self._actor(by)}
        undoings = await self._accept_undoings(row, note["by"])
        cancelled = await self._cancel_tree(thread_id, self.principal.tenant, note)
        for undoing in undoings:
            await self._undo(undoing)
        # later, so that a parent that fails with this finds it undone
        if cancelled and row["parent_id"] is not None:
            await self._go_on_with(row["parent_id"], row["tenant"])
        run = await self._show(thread_id)
        if run.status == "completed":
            raise NotPaused(f"Run {thread_id} has completed; there is nothing to cancel.", thread_id=thread_id)
        return run

    async def recover(self, *, limit: int = 100) -> list[Run]:
        """Continue runs whose driver died: those that are shown as stalled, and paused ones whose child runs have ended.

        A stalled one is tried again after growing pauses; after five attempts in a row without a new checkpoint or a
        finished effect it is failed, with the history of its attempts. Any number of processes may do this at once.

        Args:
            limit: The most runs to look at.

        Returns:
            The runs that were driven or failed here, as they stand now. One whose workflow is not registered here, or
            cannot be loaded, is left stalled for others, and the log says so.

        Raises:
            StorageUnavailable: The database cannot be reached; what had begun has ended.
        """
        store = RecoveryStore(self._storage.pool)
        stalled = await store.stalled(self.principal.tenant, limit)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(found: Stalled) -> Run | None:
            async with slots:
                return await self._recover_one(store, found)

        async def woken(thread_id: str) -> Run | None:
            async with slots:
                return await self._go_on_with(thread_id, self.principal.tenant)

        done = await asyncio.gather(*(one(found) for found in stalled), return_exceptions=True)
        for found, outcome in zip(stalled, done, strict=True):
            if isinstance(outcome, AdjournError) and not isinstance(outcome, StorageUnavailable):
                _log.warning("a run cannot be recovered here", thread=found.thread_id, error=outcome.message)
            elif isinstance(outcome, BaseException):
                raise outcome
        # later, since what was driven just now may have been the last child
        try:
            parents = await self._children.woken(self.principal.tenant, limit)
        except StorageUnavailable:
            if not stalled:
                raise
            parents = []  # what was driven just now is told of; the next call finds the rest
        done += await asyncio.gather(*(woken(each) for each in parents))
        return [run for run in done if isinstance(run, Run)]

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


def _not_failed(row: RunRow) -> AdjournError:
    status: RunStatus = row["status"]
    thread_id = row["thread_id"]
    if status == "running":
        return ThreadBusy(f"Run {thread_id} is being driven already.", thread_id=thread_id)
    if status == "paused":
        return NotPaused(f"Run {thread_id} has not failed; it waits for an answer: use resume.", thread_id=thread_id)
    return NotPaused(f"Run {thread_id} has not failed: it is {status}.", thread_id=thread_id)
