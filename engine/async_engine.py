"""The engine: every verb that people, programs and doors use."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import structlog

from ..checkpoints.copying import copy_until
from ..checkpoints.faults import mapped_faults
from ..checkpoints.storage import Storage, open_storage
from ..errors import (
    AdjournError,
    InvalidInput,
    NotAuthorized,
    NotPaused,
    ThreadBusy,
    ThreadExists,
    UnknownReview,
    UnknownThread,
)
from ..nodes.analysts import check_model
from ..settings import Settings, load_settings, using_settings
from .answers import resume_value
from .binding import Compiled, bind
from .drive import Driver, Emit, Feed, thread_config
from .elsewhere import finished_elsewhere
from .events import Event
from .ids import check_thread_id, new_thread_id
from .inputs import Stored, check_input, serialised
from .model import Page, Principal, Review, Run, RunStatus, Step, Timeline
from .questions import BREAKPOINT
from .reading import open_reviews, steps_of, timeline_of, visible_state
from .registry import Graph, Registry, Workflow
from .runs import RunRow, RunStore, to_run
from .telemetry import configure_logs

__all__ = ["AsyncEngine"]

_log = structlog.get_logger("adjourn")


def _guarded(listener: Emit | None) -> Emit:
    """Keep a run safe from whoever watches it: a listener that fails is told so in the log, once per event."""

    def emit(event: Event) -> None:
        if listener is None:
            return
        try:
            listener(event)
        except Exception:  # noqa: BLE001  (the listener is the caller's, and so are its errors)
            _log.exception("a listener failed", listened_to=event.kind)

    return emit


class AsyncEngine:
    """Drives workflows that stop for people and go on later; made by `AsyncEngine.open()`.

    Every verb sees only its principal's tenant; anything else is unknown to it. Every verb may raise
    StorageUnavailable. What a verb has returned is committed.
    """

    def __init__(self, storage: Storage, registry: Registry, principal: Principal, settings: Settings) -> None:
        self.principal = principal
        self.settings = settings
        self.registry = registry
        self._storage = storage
        self._runs = RunStore(storage.pool)
        self._driver = Driver(self._runs, storage.saver)
        self._active: dict[str, asyncio.Task[None]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        url: str | None = None,
        *,
        workflows: Mapping[str, Graph | str] | None = None,
        principal: Principal | None = None,
        settings: Settings | None = None,
    ) -> AsyncIterator[AsyncEngine]:
        """Open an engine on a database; an async context manager.

        Args:
            url: PostgreSQL to use. Default: `ADJOURN_DATABASE_URL`, otherwise an embedded server.
            workflows: Name → graph or `module:attribute`, beside those that are installed.
            principal: Who acts. Default: the operating-system user, trusted.
            settings: Default: from the environment.

        Raises:
            ConfigurationError: A setting does not fit, or the embedded server's folder cannot be used.
            StorageUnavailable: The database cannot be reached or refuses us.
        """
        settings = settings or load_settings()
        configure_logs(settings)
        registry = Registry(workflows)
        async with open_storage(settings, url) as storage:
            yield cls(storage, registry, principal or Principal.from_system(), settings)

    # -- starting and going on

    async def start(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002  (what LangGraph calls it, too)
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
        on_event: Emit | None = None,
        tokens: bool = False,
    ) -> Run:
        """Start a run and drive it until it ends or needs people.

        Idempotent by thread id: the same id with the same input returns the existing run as it is and drives nothing.
        A failure of the workflow's own code is no exception here: the run's status is `failed`
        (`run.raise_for_failure()` raises it).

        Args:
            workflow: A registered name, or a graph that has a name of its own.
            input: What the graph starts with.
            thread_id: 1-200 printable characters; made by the engine (UUIDv7) when left out.
            by: Who asks for the run, where the principal is trusted to name somebody else.
            context: The graph's run-time context; stored, and given again to every later drive. Keep secrets out.
            on_event: Called with each event while the run is driven here; it must not block.
            tokens: Whether models stream their tokens into the events.

        Returns:
            The run, paused, completed or failed.

        Raises:
            UnknownWorkflow: No such workflow is registered.
            InvalidInput: The input, context or thread id does not fit; nothing was stored.
            ThreadExists: The thread id is taken by a run with another workflow or other input.
            NotAuthorized: The principal may not act for somebody else.
            ConfigurationError: The workflow or its model cannot be used as configured; nothing was stored.
        """
        actor = self._actor(by)
        chosen = self.registry.find(workflow)
        graph = self._bind(chosen)
        check_input(graph, input, json_only=chosen.built_in)
        given = serialised(self._serde, input, what="input", limit=self.settings.max_input_bytes)
        row = await self._runs.insert(
            thread_id=check_thread_id(thread_id) if thread_id is not None else new_thread_id(),
            tenant=self.principal.tenant,
            workflow=chosen.name,
            version=chosen.version,
            source=chosen.source,
            requested_by=actor,
            given=given,
            context=None if context is None else serialised(self._serde, context, what="context"),
        )
        if row is None:
            return await self._existing(str(thread_id), chosen, given)
        return await self._drive(row, graph, Feed(input), on_event, tokens)

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

        Of several callers who answer one question exactly one drives the run; an answer that does not fit leaves
        the question open and stores nothing.

        Args:
            thread_id: The run.
            decision: `approve()`, `edit({...})`, `reject("why")`, `respond("text")`, a plain JSON value where the
                question asks for one, or `{review_id: decision, …}` for several questions, all or nothing.
            by: Who answers, where the principal is trusted to name somebody else.
            review_id: Which question; may be left out while exactly one is open.
            on_event: Called with each event while the run is driven here; it must not block.
            tokens: Whether models stream their tokens into the events.

        Raises:
            UnknownThread: There is no such run.
            NotPaused: The run waits for nobody.
            UnknownReview: The question is not open, or several are and none was named.
            InvalidDecision: The answer does not fit; the message says what would.
            UnknownWorkflow: The run's workflow is not registered here.
        """
        actor = self._actor(by)
        row = await self._row(thread_id)
        saved = await self._storage.saver.aget_tuple(thread_config(thread_id))
        _must_be_paused(await finished_elsewhere(self._runs, row, saved))
        graph = self._graph_of(row)
        reviews = {review.id: review for review in await self._open_reviews(row, graph)}
        chosen = _choose(reviews, decision, review_id, thread_id)
        at = datetime.now(UTC)
        answers = {each: resume_value(reviews[each], given, by=actor, at=at) for each, given in chosen.items()}
        feed = Feed() if any(each.startswith(BREAKPOINT) for each in answers) else Feed(answers=answers)
        claimed = await self._runs.claim(thread_id, self.principal.tenant, ("paused",))
        if claimed is None:
            _must_be_paused(await self._row(thread_id))
            raise NotPaused(f"Somebody else answered run {thread_id} at this moment.", thread_id=thread_id)
        await self._must_still_ask(claimed, graph, answers)
        return await self._drive(claimed, graph, feed, on_event, tokens)

    async def retry(
        self, thread_id: str, *, by: str | None = None, on_event: Emit | None = None, tokens: bool = False
    ) -> Run:
        """Continue a failed run from where it was.

        The nodes that failed run again as a whole, routing included, with the answers that they had been given; nodes
        that had finished do not.

        Raises:
            UnknownThread: There is no such run.
            ThreadBusy: It is being driven.
            NotPaused: It has not failed.
        """
        self._actor(by)
        row = await self._row(thread_id)
        graph = self._graph_of(row)
        claimed = await self._runs.claim(thread_id, self.principal.tenant, ("failed",))
        if claimed is None:
            raise _not_failed(await self._row(thread_id))
        await self._runs.forget_failed_writes(thread_id)
        saved = await self._storage.saver.aget_tuple(thread_config(thread_id))
        feed = Feed() if saved else Feed(self._load(claimed["input_type"], claimed["input"]))
        return await self._drive(claimed, graph, feed, on_event, tokens)

    async def fork(
        self,
        thread_id: str,
        *,
        at: int | str,
        update: dict[str, Any] | None = None,
        by: str | None = None,
        on_event: Emit | None = None,
    ) -> Run:
        """Start a new thread from an old step of a run and drive it; the original is never touched.

        What ran after that step runs again in the fork, effects included.

        Args:
            thread_id: The run to fork.
            at: A step's number or its checkpoint id, from `history()`.
            update: State keys to change first.
            by: Who asks for the fork.
            on_event: Called with each event while the fork is driven here.

        Raises:
            UnknownThread: There is no such run.
            InvalidInput: There is no such step, or the update does not fit the state; nothing was stored.
        """
        actor = self._actor(by)
        row = await self._row(thread_id)
        graph = self._graph_of(row)
        step = _find_step(await self.history(thread_id), at, thread_id)
        fork_id = new_thread_id()
        with mapped_faults("cannot fork the run", thread_id=thread_id):
            forked = await self._copy_run(row, fork_id, step.checkpoint_id, actor)
        if update:
            await self._update_fork(graph, fork_id, update)
        return await self._drive(forked, graph, Feed(), on_event, tokens=False)

    async def cancel(self, thread_id: str, *, by: str | None = None, reason: str) -> Run:
        """End a run for good: open questions are withdrawn and later answers refused.

        A run that this engine drives is stopped at once. Cancelling a cancelled run changes nothing.

        Args:
            thread_id: The run.
            by: Who cancels.
            reason: Why; kept with the run.

        Raises:
            UnknownThread: There is no such run.
            ThreadBusy: Another process drives it.
            NotPaused: It has completed.
        """
        note = {"type": "Cancelled", "message": reason, "by": self._actor(by)}
        await self._row(thread_id)
        mine = self._active.get(thread_id)
        expected: tuple[RunStatus, ...] = ("queued", "paused", "failed", *(("running",) if mine else ()))
        row = await self._runs.cancel(thread_id, self.principal.tenant, expected, note)
        if row is not None and mine is not None:
            mine.cancel()
        if row is None:
            row = await self._row(thread_id)
            _must_be_cancellable(row)
        return await self._run(row)

    async def stream(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
    ) -> AsyncGenerator[Event, None]:
        """Start a run and yield its events while it is driven here, model tokens included.

        Closing the iteration early interrupts the run: it is recorded as failed and can be retried. Parameters and
        errors are those of `start`.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        async def run() -> None:
            try:
                await self.start(
                    workflow,
                    input,
                    thread_id=thread_id,
                    by=by,
                    context=context,
                    on_event=events.put_nowait,
                    tokens=True,
                )
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(run())
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, AdjournError):
                await task

    # -- looking

    async def get(self, thread_id: str) -> Run:
        """Return a run with its state and open questions. The workflow's code is not imported.

        Raises:
            UnknownThread: There is no such run.
        """
        return await self._run(await self._row(thread_id))

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Run]:
        """Return a page of runs, newest first, without their states.

        Args:
            status: Only runs that stand so.
            workflow: Only runs of this workflow.
            limit: The most runs on a page (1-1000).
            after: The `after` of the page before.
        """
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit must be between 1 and 1000, not {limit}.")
        rows = await self._runs.page(
            self.principal.tenant, status=status, workflow=workflow, limit=limit + 1, after=after
        )
        shown = tuple(to_run(row) for row in rows[:limit])
        return Page(shown, after=shown[-1].thread_id if len(rows) > limit else None)

    async def history(self, thread_id: str) -> list[Step]:
        """Return the steps of a run, oldest first; a step's number or checkpoint id is what `fork` takes.

        Raises:
            UnknownThread: There is no such run.
        """
        await self._row(thread_id)
        saved = [each async for each in self._storage.saver.alist(thread_config(thread_id))]
        return list(steps_of(saved))

    async def timeline(self, thread_id: str) -> Timeline:
        """Return how the time of a run was spent, step by step.

        Raises:
            UnknownThread: There is no such run.
        """
        return timeline_of(await self.get(thread_id), tuple(await self.history(thread_id)))

    # -- inside

    @property
    def _serde(self) -> Any:
        return self._storage.saver.serde

    def _actor(self, by: str | None) -> str:
        if by is None or by == self.principal.id:
            return self.principal.id
        if self.principal.source != "trusted":
            raise NotAuthorized(f"{self.principal.id} is authenticated and cannot act as {by!r}; leave `by` out.")
        return by

    def _bind(self, workflow: Workflow) -> Compiled:
        if workflow.built_in and self.settings.model:
            check_model(self.settings.model)
        return bind(workflow, self._storage.saver)

    def _graph_of(self, row: RunRow) -> Compiled:
        return self._bind(self.registry.find_for_run(row["workflow"], row["source"], row["thread_id"]))

    def _load(self, kind: str | None, data: bytes | None) -> Any:
        return None if kind is None else self._serde.loads_typed((kind, data))

    async def _row(self, thread_id: str) -> RunRow:
        row = await self._runs.get(thread_id, self.principal.tenant)
        if row is None:
            raise UnknownThread(
                f"There is no run {thread_id!r} here; `adjourn list` shows those there are.", thread_id=thread_id
            )
        return row

    async def _run(self, row: RunRow) -> Run:
        saved = await self._storage.saver.aget_tuple(thread_config(row["thread_id"]))
        row = await finished_elsewhere(self._runs, row, saved)
        reviews = open_reviews(saved, row["thread_id"], row["workflow"]) if row["status"] == "paused" else ()
        return to_run(row, state=visible_state(saved), reviews=reviews)

    async def _open_reviews(self, row: RunRow, graph: Compiled) -> tuple[Review, ...]:
        saver = graph.checkpointer
        saved = await saver.aget_tuple(thread_config(row["thread_id"]))  # type: ignore[union-attr]
        return open_reviews(saved, row["thread_id"], row["workflow"])

    async def _must_still_ask(self, row: RunRow, graph: Compiled, answers: Mapping[str, Any]) -> None:
        """Give a claimed run back if somebody drove it on to other questions before it was claimed.

        LangGraph would hand the answer to the next question.
        """
        thread_id = row["thread_id"]
        still = {review.id for review in await self._open_reviews(row, graph)}
        if closed := answers.keys() - still:
            await self._runs.settle(thread_id, "paused", error=None, checkpointed=True)
            raise UnknownReview(
                f"Review {min(closed)} of run {thread_id} was answered by somebody else at this moment; see what it "
                "asks now.",
                thread_id=thread_id,
            )

    async def _existing(self, thread_id: str, workflow: Workflow, given: Stored) -> Run:
        row = await self._runs.get(thread_id, self.principal.tenant)
        if row is None or row["workflow"] != workflow.name or row["input_digest"] != given.digest:
            raise ThreadExists(
                f"The thread id {thread_id!r} is taken by a run with another workflow or other input; choose another.",
                thread_id=thread_id,
            )
        return await self._run(row)

    async def _copy_run(self, row: RunRow, fork_id: str, checkpoint_id: str, actor: str) -> RunRow:
        async with self._storage.pool.connection() as connection, connection.transaction():
            await copy_until(connection, row["thread_id"], fork_id, checkpoint_id)
            forked = await self._runs.insert(
                thread_id=fork_id,
                tenant=row["tenant"],
                workflow=row["workflow"],
                version=row["version"],
                source=row["source"],
                requested_by=actor,
                given=Stored(None, None, row["input_digest"]),
                context=Stored(row["context_type"], row["context"], ""),
                forked_from=row["thread_id"],
                connection=connection,
            )
        assert forked is not None, "a fresh UUID was taken"  # noqa: S101
        return forked

    async def _update_fork(self, graph: Compiled, thread_id: str, update: dict[str, Any]) -> None:
        try:
            await graph.aupdate_state(thread_config(thread_id), update)
        except AdjournError:
            raise
        except Exception as error:
            await self._runs.settle(
                thread_id, "failed", error={"type": type(error).__name__, "message": str(error)}, checkpointed=True
            )
            raise InvalidInput(f"The update does not fit the state: {error}.", thread_id=thread_id) from error

    async def _drive(self, row: RunRow, graph: Compiled, feed: Feed, on_event: Emit | None, tokens: bool) -> Run:
        """Drive a claimed run in a task of its own, so that `cancel` can stop it without stopping its caller."""
        thread_id = row["thread_id"]
        context = self._load(row["context_type"], row["context"])
        with using_settings(self.settings):
            task = asyncio.create_task(self._driver.drive(row, graph, feed, context, _guarded(on_event), tokens=tokens))
        self._active[thread_id] = task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            # anyio cancels again and again until its scope is left; the outcome must be recorded all the same
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})
            raise
        finally:
            self._active.pop(thread_id, None)
        if not task.cancelled():
            task.result()
        return await self.get(thread_id)


def _must_be_paused(row: RunRow) -> None:
    status, thread_id = row["status"], row["thread_id"]
    if status == "paused":
        return
    advice = {
        "running": "it is being driven; wait until it asks",
        "queued": "it has not been started yet",
        "failed": "it failed; continue it with retry",
        "completed": "it has completed",
        "cancelled": "it was cancelled",
    }[status]
    raise NotPaused(f"Run {thread_id} waits for no answer: {advice}.", thread_id=thread_id)


def _must_be_cancellable(row: RunRow) -> None:
    status, thread_id = row["status"], row["thread_id"]
    if status == "running":
        raise ThreadBusy(f"Run {thread_id} is being driven by another process; cancel it there.", thread_id=thread_id)
    if status == "completed":
        raise NotPaused(f"Run {thread_id} has completed; there is nothing to cancel.", thread_id=thread_id)


def _not_failed(row: RunRow) -> AdjournError:
    status, thread_id = row["status"], row["thread_id"]
    if status == "running":
        return ThreadBusy(f"Run {thread_id} is being driven already.", thread_id=thread_id)
    if status == "paused":
        return NotPaused(f"Run {thread_id} has not failed; it waits for an answer: use resume.", thread_id=thread_id)
    return NotPaused(f"Run {thread_id} has not failed: it is {status}.", thread_id=thread_id)


def _choose(reviews: Mapping[str, Review], decision: Any, review_id: str | None, thread_id: str) -> dict[str, Any]:
    """Say which question gets which answer."""
    known = f"Open: {', '.join(reviews)}."
    if review_id is not None:
        if review_id not in reviews:
            raise UnknownReview(f"Review {review_id} of run {thread_id} is not open. {known}", thread_id=thread_id)
        return {review_id: decision}
    if isinstance(decision, Mapping) and decision and set(decision) <= set(reviews):
        return dict(decision)
    if len(reviews) != 1:
        raise UnknownReview(
            f"Run {thread_id} asks {len(reviews)} questions; name one with review_id, "
            f"or answer several with {{review_id: decision, …}}. {known}",
            thread_id=thread_id,
        )
    return {next(iter(reviews)): decision}


def _find_step(steps: list[Step], at: int | str, thread_id: str) -> Step:
    for step in steps:
        if at in (step.number, step.checkpoint_id):
            return step
    numbers = f"{steps[0].number} to {steps[-1].number}" if steps else "none"
    raise InvalidInput(f"Run {thread_id} has no step {at!r}; it has {numbers} (see its history).", thread_id=thread_id)
