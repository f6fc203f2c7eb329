"""Group commit: whatever waits at one moment, of all threads of this process, is stored by one statement.

A caller returns when its own rows are committed. Three lanes store side by side and share what waits, so that not all
threads go on in step, and PostgreSQL works while Python does; what arrives while they are at work forms their next
batches, so batches grow with the load and nothing waits for a timer. A batch that the database refuses is halved, down
to the one call that is to blame; only its caller fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from itertools import chain, groupby
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection, errors

from ..errors import AdjournError, InvalidInput, LeaseLost, ThreadBusy, UnknownThread
from .arrays import register_arrays
from .backlog import Backlog, Waiting
from .faults import to_adjourn, worth_repeating
from .patience import patiently
from .queries import load_queries
from .rows import Call
from .statement import Hook, store

__all__ = ["Committer", "Lend"]

Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]

_SQL: Final = load_queries(__package__, "threads.sql")
# Two keep a fast disk busy; with a slow one the third is stored by the flush that the second waits for.
_LANES: Final = 3
_BACKLOG_BYTES: Final = 64_000_000
_BATCH_BYTES: Final = 8_000_000
# Turns of the event loop before a lane first takes. The writes of a step and its checkpoint come a few turns apart, and
# are stored together then. This is no timer: with nothing else to do the turns take some microseconds.
_GATHER_TURNS: Final = 2
# Refusals that one call may be to blame for ...
_BLAME: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.InternalError,
    psycopg.ProgrammingError,
    errors.ProgramLimitExceeded,
    errors.OutOfMemory,
)
# ... except for these, which every part of the batch would meet again.
_NO_BLAME: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
)


class Committer:
    """Stores the calls of one process. Belongs to one event loop; its tasks live only while there is work.

    Args:
        lend: Lends a connection.
        patience: Seconds to go on trying while the database is away.
        alone: Whether there is one connection only, so that one batch at a time can be on its way.
    """

    def __init__(self, lend: Lend, *, patience: float, alone: bool = False) -> None:
        self.hooks: list[Hook] = []
        self.patience = patience
        self._lend = lend
        self._lanes = 1 if alone else _LANES
        self._free_lanes = self._lanes
        self._storing = 0
        self._backlog = Backlog(limit=_BACKLOG_BYTES, batch=_BATCH_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fenced: bool | None = None

    async def commit(self, make: Callable[[], Call]) -> None:
        """Store a call; return when it is committed.

        When the caller is cancelled while it waits, the call is stored all the same, or fails unseen.

        Args:
            make: Makes the call, once there is room for it. It runs before control returns to the event loop when
                there is room at once, so that calls are stored in the order in which `commit` was called.

        Raises:
            LeaseLost: The call carries a token that is not the newest; nothing was stored.
            ThreadBusy: It carries none, and somebody holds the thread's lease; nothing was stored.
            UnknownThread: The thread was deleted while the run that this belongs to was under way.
            InvalidInput: PostgreSQL cannot hold a value.
            StorageUnavailable: The database refused, or did not come back in time.
        """
        await self._backlog.room()
        waiting = Waiting(make())
        self._backlog.add(waiting)
        self._wake()
        await waiting.done

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        """Have a thread for oneself: what came before is stored, what comes later waits for the end of the block."""
        try:
            async with self._backlog.alone(thread_id):
                yield
        finally:
            self._wake()

    def forget_tables(self) -> None:
        """Look again, before the next batch, whether adjourn's tables exist."""
        self._fenced = None

    def _wake(self) -> None:
        if self._backlog.ready and self._free_lanes:
            self._free_lanes -= 1
            # A lane serves everybody, so it must not run in the context (tracing, logging) of whoever came first.
            task = asyncio.get_running_loop().create_task(self._run_lane(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run_lane(self) -> None:
        held = _Held(self._lend)
        try:
            for _ in range(_GATHER_TURNS):
                await asyncio.sleep(0)
            while taken := self._backlog.take(self._lanes - self._storing):
                self._storing += 1
                self._wake()  # for what is left to the others
                try:
                    await self._store(held, taken)
                finally:
                    self._storing -= 1
                    self._backlog.settle(taken)
                    for waiting in taken:  # none is left unless this task was cancelled, with its event loop
                        waiting.done.cancel()
        finally:
            self._free_lanes += 1
            await held.give_back()

    async def _store(self, held: _Held, taken: Sequence[Waiting]) -> None:
        """Store calls and let their callers go, each with its own outcome."""
        calls = [waiting.call for waiting in taken]
        try:
            refused = await patiently(lambda: self._attempt(held, calls), self.patience)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits to be told
            parts = _halves(taken) if _may_be_one_call(error) else []
            for part in parts:
                await self._store(held, part)
            if not parts:
                for waiting in taken:
                    waiting.fail(_as_ours(error, waiting.call))
            return
        for position, waiting in enumerate(taken):
            if position in refused:
                waiting.fail(_refusal(refused[position], waiting.call))
            else:
                waiting.succeed()

    async def _attempt(self, held: _Held, calls: Sequence[Call]) -> dict[int, str]:
        connection = await held.get()
        try:
            if self._fenced is None:
                # a transaction of its own, since this may be a connection that begins one with its first statement
                async with connection.transaction():
                    cursor = await connection.execute(_SQL["has_leases"])
                    self._fenced = bool(await cursor.fetchall())
            return await store(connection, calls, fenced=self._fenced, hooks=self.hooks)
        except psycopg.Error as error:
            if worth_repeating(error):
                await held.give_back(error)
            raise


class _Held:
    """A connection that a lane keeps from batch to batch."""

    def __init__(self, lend: Lend) -> None:
        self._lend = lend
        self._lent: AbstractAsyncContextManager[AsyncConnection[Any]] | None = None
        self._connection: AsyncConnection[Any] | None = None

    async def get(self) -> AsyncConnection[Any]:
        if self._connection is None:
            lent = self._lend()
            self._connection = await lent.__aenter__()
            self._lent = lent
            register_arrays(self._connection)
        return self._connection

    async def give_back(self, error: Exception | None = None) -> None:
        lent, self._connection, self._lent = self._lent, None, None
        if lent is not None:
            await lent.__aexit__(type(error) if error else None, error, None)


def _may_be_one_call(error: Exception) -> bool:
    if isinstance(error, psycopg.Error):
        return isinstance(error, _BLAME) and not isinstance(error, _NO_BLAME)
    return True


def _halves(taken: Sequence[Waiting]) -> list[list[Waiting]]:
    """Split calls in two, threads whole if there are several; return nothing for a single call."""
    if len(taken) < 2:
        return []
    threads = [list(group) for _, group in groupby(taken, key=lambda waiting: waiting.call.thread_id)]
    units = threads if len(threads) > 1 else [[waiting] for waiting in taken]
    middle = len(units) // 2
    return [list(chain.from_iterable(half)) for half in (units[:middle], units[middle:])]


def _as_ours(error: Exception, call: Call) -> Exception:
    doing = "cannot store a checkpoint" if call.checkpoints else "cannot store the writes of a step"
    if isinstance(error, psycopg.Error):
        ours: AdjournError = to_adjourn(error, doing, thread_id=call.thread_id)
    elif isinstance(error, UnicodeError):
        ours = InvalidInput(f"{doing}: {error}. Remove the characters that are no text.", thread_id=call.thread_id)
    else:
        return error
    ours.__cause__ = error
    return ours


def _refusal(reason: str, call: Call) -> AdjournError:
    thread_id = call.thread_id
    if reason == "lost":
        return LeaseLost(
            f"Another driver has taken thread {thread_id} over; this one (lease {call.token}) stores nothing any more. "
            "Follow the run there.",
            thread_id=thread_id,
        )
    if reason == "busy":
        return ThreadBusy(
            f"Thread {thread_id} is being driven by somebody who holds its lease, and this process does not. "
            "Wait until that drive has ended, or start and resume it through the engine.",
            thread_id=thread_id,
        )
    return UnknownThread(
        f"Thread {thread_id} was deleted while this run was under way; nothing of it is stored. Start a new run.",
        thread_id=thread_id,
    )
