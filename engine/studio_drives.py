"""What LangGraph's Agent Server drives, under the engine's rules: leases, recorded answers, recorded ends.

A drive there begins with the lease of its thread, as every drive of the engine does, so of the two exactly one drives a
thread; it ends with what the checkpoints say, which gives the lease back. Both happen before the server tells its client.

The server polls its graph from one task after another, so what a drive holds cannot travel in context variables: it is
found by thread and run id, which LangGraph's configuration carries to every node and every call of the saver.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp, GraphDrained, is_invalid_resume
from langgraph.types import Command

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Pool
from ..checkpoints.saver import Saver
from ..errors import AdjournError, LeaseLost, NotPaused, StorageUnavailable, ThreadBusy, UnknownThread
from ..nodes.cases import CasePort, install_cases
from ..nodes.effect_port import EffectPort, install_effects
from .audit import AuditStore
from .case_memory import CaseMemory, DriveCases
from .effects import EffectLedger
from .inputs import Stored
from .internals import open_interrupts
from .leases import Drive, LeaseKeeper
from .model import DEFAULT_TENANT, Principal, RunStatus
from .notifications import Notifications
from .opening import Opening, opening
from .outcome import status_after
from .policy_book import PolicyBook
from .questions import BREAKPOINT
from .reader import Reader
from .reading import next_nodes
from .reviews import ReviewStore
from .run_groups import NewRun
from .runs import Outcome, RunRow, RunStore
from .settling import describe, settled_unless_asked
from .studio_answers import CHANNEL, UNKNOWN, take_answers

__all__ = ["Call", "Drives", "ServerDrive", "control_drive", "token_of_drive"]

# A run that the engine would not drive on may be driven on in Studio: a finished thread takes a second input there. One
# that is running can be taken when its driver is gone.
_OPEN: Final[tuple[RunStatus, ...]] = ("paused", "completed", "failed", "running")
_REMEMBERED: Final = 1000

_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Call:
    """What the server is about to drive.

    Args:
        thread_id: The thread.
        run_id: The server's own id of this drive.
        workflow: The name of the graph.
        given: What the graph is called with.
        by: Who asked, if the server knows.
    """

    thread_id: str
    run_id: str
    workflow: str
    given: Any
    by: str | None


@dataclass(eq=False)
class ServerDrive(Drive):
    """A thread that the server drives in this process.

    Args:
        fed: The reviews whose answers it was given.
        ledger: Remembers its effects.
        cases: Recalls and remembers cases.
        kept: Ends the keeping of its lease and of its policies.
    """

    fed: list[str] = field(default_factory=list)
    ledger: EffectPort | None = None
    cases: CasePort | None = None
    kept: ExitStack = field(default_factory=ExitStack)

    def stop(self) -> None:
        """Stop before the next step. The tasks are the server's; what they still store is refused."""
        self.control.request_drain("stopped")


# Drives of this process by thread and run id. Those that have ended are remembered for a while: what a task of theirs
# still stores or does must be judged by their own lease.
_drives: OrderedDict[tuple[str, str], ServerDrive] = OrderedDict()


class Drives:
    """Takes and gives back the leases of the default tenant's runs that a server drives in this event loop.

    Args:
        pool: Connections.
        saver: The checkpoints.
        keeper: Keeps the leases alive.
        notifications: Tells people when a drive pauses.
        policies: Learns the policies of the runs that are driven here.
        source: Where the workflows of runs that are started here come from, in words.
        cases: The memory of past cases.
    """

    def __init__(
        self,
        pool: Pool,
        saver: Saver,
        keeper: LeaseKeeper,
        notifications: Notifications,
        policies: PolicyBook,
        source: str,
        cases: CaseMemory | None = None,
    ) -> None:
        self._pool = pool
        self._saver = saver
        self._keeper = keeper
        self._source = source
        self._cases = cases
        self._notifications = notifications
        self._acting = {"by": UNKNOWN, "source": "trusted", "channel": CHANNEL}
        self._audit = AuditStore(pool)
        self._policies = policies
        self._store = RunStore(
            pool,
            saver,
            owner=keeper.owner,
            seconds=keeper.seconds,
            actor=self._acting,
            on_pause=notifications.on_pause,
        )
        self._reviews = ReviewStore(pool, saver.serde, on_event=notifications.post)
        self._reader = Reader(saver)
        install_effects(_effects_of_node)
        install_cases(_cases_of_node)

    async def begin(self, call: Call) -> ServerDrive:
        """Take the lease of a thread before anything runs; a thread that has no run gets one.

        An answer is recorded in the same transaction, after it was held against its question, and handed on by question
        id in the form that the engine would give it.

        Raises:
            ThreadBusy: Somebody else holds the lease.
            NotPaused: It is answered, but asks nothing; it was cancelled; or it has child runs.
            UnknownReview: It is answered by the id of a question that it does not ask.
            ReviewClosed: The question was closed before.
            InvalidDecision: The answer does not fit; the question stays open.
            NotAuthorized: An open question of it takes more than one answer by anybody.
            UnknownThread: It belongs to another tenant.
            StorageUnavailable: The database cannot be reached.
        """
        thread_id = call.thread_id
        row = await self._store.get(thread_id, DEFAULT_TENANT)
        async with self._audit.recording(thread_id, self._actor(call), _answer(call.given)):
            claimed, fed = await (self._accept(call) if row is None else self._claim(call, row))
        drive = ServerDrive(thread_id, claimed["token"], fed=fed)
        drive.kept.enter_context(self._policies.learned(thread_id, drive.token, claimed["policies"]))
        try:
            if row is not None and row["status"] in ("failed", "running"):
                # As in the engine's retry: the nodes that failed run again as a whole, routing included.
                await self._store.forget_failed_writes(thread_id, drive.token)
        except BaseException:
            await asyncio.shield(self._give_up(drive))
            drive.kept.close()
            raise
        drive.ledger = EffectLedger(self._pool, self._saver.serde, drive, self._saver.patience)
        if self._cases is not None:
            drive.cases = DriveCases(self._cases, DEFAULT_TENANT, drive)
        drive.kept.enter_context(self._keeper.keeping(drive))
        _remember((thread_id, call.run_id), drive)
        _log.info("run driven by the Agent Server", thread=thread_id, workflow=call.workflow)
        return drive

    async def end(self, drive: ServerDrive, error: BaseException | None) -> None:
        """Record how a drive ended, as its checkpoints say, and give its lease back.

        Args:
            drive: What `begin` returned.
            error: What ended it, if it raised.

        Raises:
            StorageUnavailable: The database cannot be reached; recovery goes on from here.
        """
        drive.ending = True
        try:
            if isinstance(error, GraphDrained | LeaseLost | StorageUnavailable):
                await self._give_up(drive)
            elif error is not None and is_invalid_resume(error):
                await self._reviews.reopen(drive.thread_id, drive.fed, drive.token)
                await self._store.settle(drive.thread_id, drive.token, Outcome("paused"))
            else:
                await self._settle(drive, error)
        except StorageUnavailable:
            self._keeper.abandon(drive)
            raise
        finally:
            drive.kept.close()

    async def edited(self, thread_id: str) -> None:
        """Record that somebody edited a thread's state: it may have something to do again, or nothing any more."""
        claimed = await self._store.claim(thread_id, DEFAULT_TENANT, ("paused", "completed", "failed"))
        if claimed is not None:
            drive = ServerDrive(thread_id, claimed["token"])
            drive.kept.enter_context(self._policies.learned(thread_id, drive.token, claimed["policies"]))
            await self.end(drive, None)

    async def deleted(self, thread_id: str) -> None:
        """Forget the run of a thread that was deleted."""
        await self._store.delete(thread_id, DEFAULT_TENANT)

    async def _accept(self, call: Call) -> tuple[RunRow, list[str]]:
        thread_id = call.thread_id
        if isinstance(call.given, Command) and call.given.resume is not None and await self._is_empty(thread_id):
            raise UnknownThread(
                f"Thread {thread_id} has never run, so it asks nothing; start it with an input.", thread_id=thread_id
            )
        with mapped_faults("cannot accept the run", thread_id=thread_id):
            async with self._pool.connection() as connection, connection.transaction():
                new = NewRun(
                    thread_id=thread_id,
                    tenant=DEFAULT_TENANT,
                    workflow=call.workflow,
                    version="1",
                    source=self._source,
                    requested_by=call.by or Principal.from_system().id,
                    # the server keeps the input; no input that the engine is given equals it
                    given=Stored(None, None, ""),
                )
                row = await self._store.accept(new, connection)
                if row is not None and row["token"] is None:
                    raise _busy(thread_id)
        if row is None:
            if await self._store.get(thread_id, DEFAULT_TENANT):
                raise _busy(thread_id)
            raise UnknownThread(
                f"Thread {thread_id} belongs to somebody else; start a thread of your own.", thread_id=thread_id
            )
        return row, []

    async def _is_empty(self, thread_id: str) -> bool:
        """Whether nothing was ever stored; a thread of plain LangGraph's has checkpoints and no run, and may be answered."""
        return await self._reader.latest(thread_id) is None

    async def _claim(self, call: Call, row: RunRow) -> tuple[RunRow, list[str]]:
        """Take the lease and record the answer, both or neither."""
        thread_id = call.thread_id
        if row["status"] == "cancelled":
            raise NotPaused(f"Run {thread_id} was cancelled; start a new thread.", thread_id=thread_id)
        if row["has_children"]:
            raise NotPaused(
                f"Run {thread_id} has child runs, which this server cannot drive; answer and go on with it through "
                "adjourn's own doors. Its children can be answered here.",
                thread_id=thread_id,
            )
        with mapped_faults("cannot take the thread", thread_id=thread_id):
            async with self._pool.connection() as connection, connection.transaction():
                claimed = await self._store.claim(thread_id, DEFAULT_TENANT, _OPEN, connection, actor=self._actor(call))
                if claimed is None:
                    raise _busy(thread_id)
                return claimed, await take_answers(self._reviews, connection, row, call.given, call.by)

    def _actor(self, call: Call) -> dict[str, str]:
        return {**self._acting, "by": call.by, "source": "authenticated"} if call.by else self._acting

    async def _settle(self, drive: ServerDrive, error: BaseException | None) -> None:
        thread_id, token = drive.thread_id, drive.token
        saved = await self._reader.latest(thread_id)
        asked = [interrupt.id for interrupt in open_interrupts((saved and saved.pending_writes) or [])]
        if error is not None and not isinstance(error, GraphBubbleUp):
            outcome = Outcome("failed", describe(error, None), checkpointed=saved is not None, fed=drive.fed)
        elif status_after(saved) == "completed":
            outcome = Outcome("completed", fed=drive.fed)
        else:
            stopped = None if asked else await self._breakpoint(thread_id, token)
            outcome = Outcome("paused", fed=drive.fed, breakpoint=stopped, checkpointed=saved is not None)
            asked += [stopped[0]] if stopped else []
        await self._reviews.withdraw_others(thread_id, asked, token)
        settled = await self._store.settle(thread_id, token, outcome)
        if settled == "go on":
            settled, _ = await settled_unless_asked(self._store, self._reviews, thread_id, token, outcome, set(asked))
        if settled == "go on":
            # The engine recorded an answer meanwhile. Nobody can make the server go on; recovery does.
            await self._give_up(drive)
        self._notifications.wake()
        _log.info("run left by the Agent Server", thread=thread_id, status=outcome.status, recorded=settled)

    async def _breakpoint(self, thread_id: str, token: int) -> tuple[str, str, Opening] | None:
        newest: CheckpointTuple | None = await self._reader.newest(thread_id)
        if newest is None:
            return None
        checkpoint_id = newest.checkpoint["id"]
        policy = self._policies.policy(thread_id, token, None)
        opened = opening(self._saver.serde, list(next_nodes(newest.checkpoint)), None, policy)
        return f"{BREAKPOINT}{checkpoint_id}", checkpoint_id, opened

    async def _give_up(self, drive: ServerDrive) -> None:
        """Give the lease back and record no end: the run is shown as stalled, and recovery goes on with it."""
        try:
            await self._store.release(drive.thread_id, drive.token)
        except AdjournError as error:
            _log.warning("a lease cannot be given back yet", thread=drive.thread_id, error=error.message)
            self._keeper.abandon(drive)


def token_of_drive(config: Mapping[str, Any]) -> int | None:
    """Return the token of the server's drive that a call of the saver belongs to; None when it belongs to none.

    Args:
        config: LangGraph's configuration of the call.
    """
    drive = _drive_of(config)
    return None if drive is None else drive.token


def control_drive(config: Mapping[str, Any]) -> None:
    """Learn how the drive that reads a checkpoint is asked to stop: LangGraph carries that in its runtime.

    Args:
        config: LangGraph's configuration of the read.
    """
    drive, runtime = _drive_of(config), config.get("configurable", {}).get("__pregel_runtime")
    control = getattr(runtime, "control", None)
    if drive is not None and control is not None and control is not drive.control:
        drive.control = control


def _drive_of(config: Mapping[str, Any]) -> ServerDrive | None:
    names = {**config.get("metadata", {}), **config.get("configurable", {})}
    return _drives.get((str(names.get("thread_id")), str(names.get("run_id"))))


def _effects_of_node() -> EffectPort | None:
    """Return what remembers the effects of the node that runs here, if the server drives it."""
    drive = _drive_of_node()
    return None if drive is None else drive.ledger


def _cases_of_node() -> CasePort | None:
    """Return the memory of cases of the node that runs here, if the server drives it."""
    drive = _drive_of_node()
    return None if drive is None else drive.cases


def _drive_of_node() -> ServerDrive | None:
    try:
        return _drive_of(get_config())
    except RuntimeError:  # not in a node
        return None


def _remember(key: tuple[str, str], drive: ServerDrive) -> None:
    _drives[key] = drive
    _drives.move_to_end(key)
    while len(_drives) > _REMEMBERED:
        _drives.popitem(last=False)


def _answer(given: Any) -> Any:
    return given.resume if isinstance(given, Command) else None


def _busy(thread_id: str) -> ThreadBusy:
    return ThreadBusy(f"Run {thread_id} is being driven; wait until it asks or ends.", thread_id=thread_id)
