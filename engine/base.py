"""What the engine's verbs share: the stores, who acts, and the way into a drive."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Unpack

import structlog
from psycopg.rows import DictRow

from ..checkpoints.memory import Memory
from ..checkpoints.priming import UNREAD, AtHand
from ..checkpoints.sealing import Seal
from ..checkpoints.storage import Storage
from ..errors import AdjournError, LeaseLost, NotAuthorized, StorageUnavailable, UnknownThread
from ..nodes.analysts import check_model
from ..settings import Settings
from ..state.coping import Coping
from ..state.values import storable_text
from .answering import Answering
from .audit import AuditStore, actor_of
from .binding import Binder, Compiled
from .case_memory import CaseMemory
from .child_starting import ENDED, ChildStarter
from .child_store import ChildStore
from .child_undoing import ChildUndoing
from .coping.book import CopingBook
from .coping.setting_up import coping_tools
from .drive import Driver
from .elsewhere import finished_elsewhere
from .events import Cancelled
from .feeding import Feeder
from .hook import review_hook
from .leases import LeaseKeeper
from .listener import Listener
from .model import Principal, Run
from .notifiers import Notifier
from .policy_book import COPING, Policies, PolicyBook
from .queue import RunQueue
from .reader import Reader
from .reading import visible_state
from .receivers import notifications_of
from .recorder import Recorder
from .registry import Registry, Workflow
from .review_pages import ReviewPages
from .reviews import ReviewStore
from .runs import RunRow, RunStore, to_run
from .setting_up import DriveOptions, SettingUp, SetUp
from .settling import Settling
from .witness import Witness
from .work import Claimed

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["EngineBase", "unknown_thread"]

_log = structlog.get_logger("adjourn")


class EngineBase:
    """The parts of an engine.

    Args:
        storage: The open database.
        registry: The workflows.
        principal: Who acts.
        settings: The settings.
        channel: Through which door answers come: python, cli, http, page.
        recorder: Writes events down for those who follow.
        policies: By workflow, the policies of questions that bring none.
        coping: By workflow, how its runs cope with faults.
        notifiers: Who else is told about reviews, by name.
        embeddings: What finds past cases by meaning.
    """

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        principal: Principal,
        settings: Settings,
        channel: str,
        recorder: Recorder,
        policies: Mapping[str, Policies] | None = None,
        coping: Mapping[str, Coping] | None = None,
        notifiers: Mapping[str, Notifier] | None = None,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.principal = principal
        self.settings = settings
        self.registry = registry
        self.channel = channel
        self._storage = storage
        self._recorder = recorder
        self._listen_url = settings.listen_url or storage.url
        self._listener = Listener(self._listen_url, settings)
        self._keeper = LeaseKeeper(storage.pool, seconds=settings.lease_seconds, grace=settings.cancel_grace_seconds)
        self._seal = Seal(storage.saver.serde)
        self._cases = CaseMemory(storage.pool, self._seal, settings, embeddings)
        self._notifications = notifications_of(settings, storage.pool, storage.saver.serde, notifiers)
        self._reviews = ReviewStore(storage.pool, storage.saver.serde, on_event=self._notifications.post)
        self._pages = ReviewPages(storage.pool, storage.saver.serde)
        self._runs = RunStore(
            storage.pool,
            storage.saver,
            owner=self._keeper.owner,
            seconds=settings.lease_seconds,
            actor=actor_of(principal, channel),
            on_pause=self._notifications.on_pause,
        )
        self._queue = RunQueue(
            storage.pool,
            storage.saver,
            owner=self._keeper.owner,
            seconds=settings.lease_seconds,
            actor=actor_of(principal, channel),
        )
        self._answering = Answering(storage, self._runs, self._reviews, self._queue)
        self._audit = AuditStore(storage.pool)
        self._reader = Reader(storage.saver)
        self._coping = CopingBook(
            ("ADJOURN_COPING", settings.coping), ("langgraph.json", registry.coping), ("coping", coping)
        )
        self._coping_tools = coping_tools(storage, settings)
        self._memory = Memory(storage.pool, self._seal, principal.tenant)
        self._binder = Binder(storage.saver, self._memory, self._coping_tools.answers)
        self._policies = PolicyBook(self._seal)
        self._workflow_policies = dict(policies or {})
        self._children = ChildStore(storage.pool, self._runs, self._queue, self._seal, settings.max_child_depth)
        self._undoable = ChildUndoing(self._runs, self._children, self._reader, registry, self._graph_of)
        self._starter = ChildStarter(
            self._children,
            registry,
            self._reader,
            storage.saver.serde,
            limit=settings.max_input_bytes,
            policies=self._workflow_policies,
            coping=self._coping,
            bound=self._bound,
            graph_of=self._graph_of,
            drive=self._drive,
            cancel=self._cancel_tree,
            undoing=self._undoable,
        )
        witness = Witness(storage.saver.serde, self._keeper.driving, lambda: self._keeper.count)
        settling = Settling(
            self._runs, self._reviews, self._reader, storage.saver.serde, witness, self._policies, self._queue
        )
        self._driver = Driver(Feeder(self._runs, self._reviews), witness, settling)
        self._drives = SettingUp(
            self._driver,
            self._keeper,
            storage.pool,
            recorder=recorder,
            policies=self._policies,
            coping=self._coping,
            tools=self._coping_tools,
            memory=self._memory,
            cases=self._cases,
            starter=self._starter,
            settings=settings,
        )
        storage.saver.add_hook(review_hook(storage.saver.serde, self._policies, self._keeper.is_fed))
        storage.saver.add_hook(witness.hook)

    async def _close(self) -> None:
        await self._notifications.close()
        await self._listener.close()
        await self._keeper.close()

    def _actor(self, by: str | None) -> str:
        """Say who acts, where the principal may name somebody else only if it is trusted."""
        return self._acting(by).id

    def _acting(self, by: str | Principal | None) -> Principal:
        """Say who acts, with their roles: somebody who is only named has none."""
        if by is None or by in (self.principal, self.principal.id):
            return self.principal
        who = by if isinstance(by, Principal) else Principal(by, tenant=self.principal.tenant)
        if self.principal.source != "trusted":
            raise NotAuthorized(f"{self.principal.id} is authenticated and cannot act as {who.id!r}; leave `by` out.")
        if who.tenant != self.principal.tenant:
            raise NotAuthorized(f"{who.id} belongs to the tenant {who.tenant!r}, and this engine to another.")
        return who

    def _audited(
        self, thread_id: str, by: str | Principal | None, given: Any = None
    ) -> AbstractAsyncContextManager[None]:
        """Record it when the block refuses what somebody wants; only for runs that the principal may see.

        Args:
            thread_id: The run.
            by: Who wants it, as the caller says.
            given: What they want; a digest of it is recorded.
        """
        named = by.id if isinstance(by, Principal) else by and storable_text(by)
        door, trusted = actor_of(self.principal, self.channel), self.principal.source == "trusted"
        return self._audit.recording(thread_id, {**door, "by" if trusted else "as": named or self.principal.id}, given)

    def _bound(
        self, workflow: Workflow, thread_id: str, context: Any, kept: Mapping[str, Any] | None = None
    ) -> AbstractAsyncContextManager[Compiled]:
        """Give the graph of a workflow for a thread.

        Args:
            workflow: The workflow.
            thread_id: The thread.
            context: Its context.
            kept: The rules for coping that its run keeps; None for one that is new.
        """
        if workflow.built_in and self.settings.model:
            check_model(self.settings.model)
        return self._binder.bound(workflow, thread_id, context, self._coping.rules(workflow.name, kept))

    def _graph_of(self, row: RunRow, thread_id: str | None = None) -> AbstractAsyncContextManager[Compiled]:
        """Give the graph of a run, for a drive of its thread or of another that goes on from it."""
        workflow = self.registry.find_for_run(row["workflow"], row["source"], row["thread_id"])
        kind, data = row["context_type"], row["context"]
        context = None if kind is None else self._storage.saver.serde.loads_typed((kind, data))
        return self._bound(workflow, thread_id or row["thread_id"], context, self._kept_coping(row))

    async def _row(self, thread_id: str, tenant: str | None = None) -> RunRow:
        row = await self._runs.get(thread_id, tenant or self.principal.tenant)
        if row is None:
            raise unknown_thread(thread_id)
        return row

    async def _show(self, thread_id: str, tenant: str | None = None) -> Run:
        """Return a run with its state, open questions and children."""
        return await self._whole(*await self._read(thread_id, tenant))

    async def _read(
        self, thread_id: str, tenant: str | None = None, only: Collection[str] | None = None
    ) -> tuple[RunRow, DictRow]:
        """Read a run's row and that of its latest checkpoint, for `_whole`; see `RunStore.shown`."""
        found = await self._runs.shown(thread_id, tenant or self.principal.tenant, only)
        if found is None:
            raise unknown_thread(thread_id)
        return found

    async def _whole(self, row: RunRow, latest: DictRow) -> Run:
        thread_id: str = row["thread_id"]
        saved = await self._reader.latest(thread_id, latest)
        row = await finished_elsewhere(self._runs, row, saved)
        asking = row["status"] in ("queued", "running", "paused", "failed")
        reviews = await self._reviews.pending(thread_id, row["tenant"], latest) if asking else ()
        children = await self._children.below(thread_id) if row["has_children"] else ()
        return to_run(row, state=visible_state(saved), reviews=reviews, children=children)

    async def _drive(
        self, row: RunRow, graph: Compiled, *, saved: AtHand = UNREAD, **options: Unpack[DriveOptions]
    ) -> Run:
        """Drive a run whose lease this engine has just taken, and return it as it stands then; see `_driven`.

        Args:
            row: The run's row with the lease's token.
            graph: Its graph.
            saved: See `Claimed`.
            **options: See `DriveOptions`.
        """
        driven = await self._driven(Claimed(row, saved=saved), graph, **options)
        return driven or await self._show(row["thread_id"], row["tenant"])

    async def _driven(self, claimed: Claimed, graph: Compiled, **options: Unpack[DriveOptions]) -> Run | None:
        """Drive a run of any tenant whose lease this engine has just taken; see `_carry_out`.

        Args:
            claimed: The run.
            graph: Its graph.
            **options: See `DriveOptions`.
        """
        return await self._carry_out(self._drives.set_up(claimed.row, graph, options), claimed)

    async def _carry_out(self, what: SetUp, claimed: Claimed) -> Run | None:
        """Let a drive go on whose run is ours now.

        When it has ended and a parent waits for it, the parent is driven on here, too.

        Args:
            what: The drive.
            claimed: The run.

        Returns:
            The run as it was recorded, or None where that must be read again.
        """
        row, children = claimed.row, what.work.children
        held, alone = what.options.get("held", False), what.options.get("alone", False)
        try:
            run = await self._drives.run(what, claimed)
            if run is not None and run.status == "paused":
                self._notifications.wake()
            if await children.rest():  # what it waits for may have ended since
                run = await self._go_on_with(row["thread_id"], row["tenant"], held=held)
        except BaseException:
            await children.stop()
            raise
        if row["parent_id"] is not None and not alone and (run is None or run.status in ENDED):
            await self._go_on_with(row["parent_id"], row["tenant"], held=held)
        return run

    async def _go_on_with(self, thread_id: str, tenant: str, *, held: bool = False) -> Run | None:
        """Drive a paused run on if the children that it waits for have ended; return it if it was driven here.

        Where limits hold back what begins here (`held`), one that comes under a limit is queued instead.

        If it cannot be done here (its workflow is not registered, the database goes away), recovery finds it.
        """
        claimed = None
        try:
            row = await self._runs.get(thread_id, tenant)
            if row is None or row["status"] != "paused" or self._keeper.draining:
                return None  # of a process that stops, workers and recovery go on with what it leaves
            async with self._graph_of(row) as graph:
                claimed = await self._children.wake(thread_id, tenant, held=held)
                return None if claimed is None else await self._drive(claimed, graph, held=held)
        except AdjournError as error:
            _log.warning("a run whose children have ended cannot go on here", thread=thread_id, error=error.message)
            if claimed is not None and not isinstance(error, LeaseLost):
                with contextlib.suppress(StorageUnavailable):
                    await self._runs.release(thread_id, claimed["token"])
            return None

    async def _cancel_tree(self, thread_id: str, tenant: str, note: dict[str, Any]) -> list[str]:
        """Cancel a run with all below it and stop those that are driven here; return those that had not ended."""
        cancelled = await self._runs.cancel(thread_id, tenant, note)
        for each in cancelled:
            self._reviews.looks.forget(each)
            self._recorder.record(Cancelled(each, note))
        for each in {thread_id, *cancelled}:
            drive = self._keeper.driving(each)
            if drive is not None:
                self._keeper.cancel(drive)
        return cancelled

    def _kept_coping(self, row: RunRow) -> Mapping[str, Any] | None:
        """Return the rules for coping that a run keeps."""
        return self._policies.opened(row["policies"]).get(COPING)


def unknown_thread(thread_id: str) -> UnknownThread:
    """Return the error for a run that is not there, or not the principal's."""
    return UnknownThread(
        f"There is no run {thread_id!r} here; `adjourn list` shows those there are.", thread_id=thread_id
    )
