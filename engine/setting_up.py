"""Setting up drives: everything that one needs, joined; perhaps while PostgreSQL still records what gives the right to it.

expect:  the statement that takes the lease is sent → the drive is set up, and LangGraph called (feeding.py), as far as that
goes without touching the thread
ours:    the lease is taken → the drive goes on
refuse:  it is not → the drive has done nothing, and is dropped
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypedDict, Unpack

import anyio
import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.memory import Memory
from ..errors import LeaseLost, StorageUnavailable
from ..nodes.cases import cases_in
from ..nodes.children import children_in
from ..nodes.effects import effects_in
from ..settings import Settings, using_settings
from .binding import Compiled, serde_of
from .case_memory import CaseMemory, DriveCases
from .child_runs import ChildRuns
from .child_starting import ChildStarter, told_on
from .coping.book import CopingBook
from .coping.place import CopingDrive, Tools, driving
from .drive import Driver
from .effects import EffectLedger
from .events import Event
from .inputs import typed_input
from .leases import Drive, LeaseKeeper
from .model import Run
from .policy_book import COPING, PolicyBook
from .recorder import Recorder
from .runs import RunRow
from .stopping import stopped
from .work import Claimed, Emit, Work

__all__ = ["DriveOptions", "SetUp", "SettingUp", "Upcoming"]

# In a process that drives more, there is something to do while PostgreSQL works.
_FEW: Final = 2
_log = structlog.get_logger("adjourn")


class DriveOptions(TypedDict, total=False):
    """How a run is driven.

    Args:
        fresh: The input of a run that was accepted just now; otherwise what is stored counts.
        on_event: Gets the events.
        tokens: Whether models stream their tokens.
        alone: Whether its parent is left to the caller.
        held: Whether a worker drives it, so that limits hold back whatever else begins with it: its children, its parent.
    """

    fresh: Any
    on_event: Emit | None
    tokens: bool
    alone: bool
    held: bool


@dataclass(frozen=True, slots=True)
class SetUp:
    """A drive that is set up, and waits until its run is ours.

    Args:
        work: What is driven.
        drive: Its drive.
        options: How.
    """

    work: Work
    drive: Drive
    options: DriveOptions


class SettingUp:
    """Sets up the drives of one engine, and lets them go.

    Args:
        driver: Drives.
        keeper: Keeps their leases.
        pool: Connections.
        recorder: Writes events down for those who follow.
        policies: The policies of the runs that are driven here.
        coping: How runs cope with faults.
        tools: What they do that with.
        memory: What nodes remember.
        cases: Past cases.
        starter: Starts their children.
        settings: The settings.
    """

    def __init__(
        self,
        driver: Driver,
        keeper: LeaseKeeper,
        pool: AsyncConnectionPool[AsyncConnection[DictRow]],
        *,
        recorder: Recorder,
        policies: PolicyBook,
        coping: CopingBook,
        tools: Tools,
        memory: Memory,
        cases: CaseMemory,
        starter: ChildStarter,
        settings: Settings,
    ) -> None:
        self._driver = driver
        self._keeper = keeper
        self._pool = pool
        self._recorder = recorder
        self._policies = policies
        self._coping = coping
        self._tools = tools
        self._memory = memory
        self._cases = cases
        self._starter = starter
        self._settings = settings

    def set_up(self, row: RunRow, graph: Compiled, options: DriveOptions) -> SetUp:
        """Set up the drive of a run that is ours, or is about to be; its task begins.

        Args:
            row: The run's row, as far as it is known.
            graph: Its graph.
            options: How it is driven.
        """
        row = {**row}
        graph = self._remembering(graph, row["tenant"])
        held, on_event = options.get("held", False), options.get("on_event")
        drive = Drive(row["thread_id"], 0, awaited=held)
        fresh = options["fresh"] if "fresh" in options else _load(graph, row["input_type"], row["input"])
        work = Work(
            row=row,
            claim=asyncio.get_running_loop().create_future(),
            graph=graph,
            input=typed_input(graph, fresh),
            context=_load(graph, row["context_type"], row["context"]),
            emit=_guarded(self._recorder.record, on_event),
            children=ChildRuns(
                self._starter, row, drive, lambda: self._keeper.cancel(drive), told_on(on_event), held=held
            ),
            tokens=options.get("tokens", False),
            coping=self._coping_drive(row),
        )
        with (
            using_settings(self._settings),
            effects_in(EffectLedger(self._pool, serde_of(graph), drive, self._settings.storage_patience)),
            driving(work.coping),
            children_in(work.children),
            cases_in(DriveCases(self._cases, row["tenant"], drive)),
        ):
            # a task of its own, so that it can be stopped without stopping its caller
            drive.task = asyncio.create_task(self._driver.drive(work, drive))
        return SetUp(work, drive, options)

    async def run(self, what: SetUp, claimed: Claimed) -> Run | None:
        """Let a drive go on whose run is ours now, until its end.

        Returns:
            The run as it was recorded, or None where that must be read again.

        Raises:
            LeaseLost, StorageUnavailable, InvalidDecision: See `Driver.drive`.
        """
        work, drive = what.work, what.drive
        work.row.update(claimed.row)
        drive.token = claimed.row["token"]
        with (
            self._policies.learned(work.thread_id, drive.token, work.row["policies"]),
            self._keeper.keeping(drive),
        ):
            if not work.claim.done():
                work.claim.set_result(claimed)
            return await self._ended(drive)

    @asynccontextmanager
    async def upcoming(self, graph: Compiled, **options: Unpack[DriveOptions]) -> AsyncIterator[Upcoming]:
        """Give what sets up the drive of a run that may be ours in a moment; what it set up for nothing is dropped.

        Args:
            graph: The run's graph.
            **options: How it is driven.
        """
        upcoming = Upcoming(partial(self.set_up, graph=graph, options=options), early=self._keeper.count < _FEW)
        try:
            yield upcoming
        finally:
            await upcoming.refuse()

    async def _ended(self, drive: Drive) -> Run | None:
        """Wait for the end of a drive's task."""
        task = drive.task
        assert task is not None, "a drive is let go once"  # noqa: S101
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # anyio cancels again and again until its scope is left; the outcome must be recorded all the same
            with anyio.CancelScope(shield=True):
                await drive.stopped()
            raise
        finally:
            # its context knows the drive: in that circle the run would stay in memory, with its state
            drive.task = None
        if not task.cancelled():
            if isinstance(task.exception(), StorageUnavailable):
                self._keeper.abandon(drive)
            run: Run | None = task.result()
            return run
        if drive.lost:
            raise LeaseLost(
                f"Run {drive.thread_id} is driven by another process now; this one stopped and stored nothing more.",
                thread_id=drive.thread_id,
            )
        return None

    def _remembering(self, graph: Compiled, tenant: str) -> Compiled:
        """Return the graph with the memory of a run's tenant: workers drive the runs of all."""
        memory = self._memory.of(tenant)
        return graph if memory is self._memory or graph.store is not self._memory else graph.copy({"store": memory})

    def _coping_drive(self, row: RunRow) -> CopingDrive | None:
        rules = self._coping.rules(row["workflow"], self._policies.opened(row["policies"]).get(COPING))
        if rules is None:
            return None
        return CopingDrive(row["thread_id"], row["tenant"], rules.coping, self._tools)


class Upcoming:
    """A run that may be ours in a moment. Belongs to one event loop, and to whoever takes the lease.

    Args:
        set_up: Sets up its drive.
        early: Whether to do so while the lease is being taken.
    """

    def __init__(self, set_up: Callable[[RunRow], SetUp], *, early: bool) -> None:
        self._set_up = set_up
        self._early = early
        self._begins: asyncio.Handle | None = None
        self._begun: SetUp | None = None

    def expect(self, row: RunRow) -> None:
        """Set up the drive as soon as the statement was sent that takes the lease.

        That is about to be: in this turn of the event loop, or by a task that begins in it.

        Args:
            row: The run's row, as far as it is known; with `was`, where the run stands now.
        """
        if self._early:
            self._begins = asyncio.get_running_loop().call_soon(self._wait, row)

    def _wait(self, row: RunRow) -> None:
        self._begins = asyncio.get_running_loop().call_soon(self._begin, row)

    def _begin(self, row: RunRow) -> None:
        with contextlib.suppress(Exception):  # what is wrong is found again when the run is ours
            self._begun = self._set_up(row)

    def ours(self, claimed: Claimed) -> SetUp:
        """Return the drive of the run, which is ours now."""
        self._forget()
        if self._begun is None:
            self._begun = self._set_up(claimed.row)
        return self._begun

    async def refuse(self) -> None:
        """Drop what was set up, unless it was let go and is over."""
        self._forget()
        if self._begun is not None and self._begun.drive.task is not None:
            await stopped(self._begun.drive.task)
            self._begun.drive.task = None

    def _forget(self) -> None:
        if self._begins is not None:
            self._begins.cancel()


def _load(graph: Compiled, kind: str | None, data: bytes | None) -> Any:
    """Read an input or a context with the types that its graph may use."""
    return None if kind is None or data is None else serde_of(graph).loads_typed((kind, data))


def _guarded(record: Emit, listener: Emit | None) -> Emit:
    """Keep a run safe from whoever watches it: a listener that fails is told so in the log, once per event."""

    def emit(event: Event) -> None:
        record(event)
        if listener is None:
            return
        try:
            listener(event)
        except Exception:  # noqa: BLE001  (the listener is the caller's, and so are its errors)
            _log.exception("a listener failed", listened_to=event.kind)

    return emit
