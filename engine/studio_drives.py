"""What LangGraph's Agent Server drives, recorded as runs.

The server calls the graph itself, so no verb of ours sees it. What does see it is LangChain's callback system:
a handler that is registered for the whole process is told when a graph begins and how it ends. At the beginning it
claims the run as the engine does, so that of the engine and the server exactly one drives a thread; at the end it
records what the checkpoints say. Both happen before the server tells its client.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.errors import GraphBubbleUp, is_invalid_resume
from langgraph.types import Command

from ..errors import AdjournError, NotPaused, ThreadBusy, UnknownReview, UnknownThread
from .drive import describe, thread_config
from .inputs import Stored
from .internals import open_interrupts
from .model import DEFAULT_TENANT, Principal, RunStatus
from .outcome import status_after
from .runs import RunRow, RunStore

__all__ = ["Drives", "record_drives"]

# A run that the engine would not drive on may be driven on in Studio: a finished thread takes a second input there.
_OPEN: Final[tuple[RunStatus, ...]] = ("paused", "completed", "failed")
_INTERRUPT_ID: Final = re.compile(r"[0-9a-f]{32}")

_log = structlog.get_logger("adjourn")


class Drives:
    """Claims and settles the runs of the default tenant that a server in this process drives.

    Args:
        store: The run rows.
        saver: The checkpoints.
        source: Where the workflows of runs that are started here come from, in words.
    """

    def __init__(self, store: RunStore, saver: BaseCheckpointSaver[str], source: str) -> None:
        self._store = store
        self._saver = saver
        self._source = source

    async def begin(self, thread_id: str, workflow: str, given: Any, by: str | None) -> None:
        """Claim a thread before anything runs; a thread that has no run gets one.

        Args:
            thread_id: The thread.
            workflow: The name of its graph.
            given: What the graph is called with.
            by: Who asked, if the server knows.

        Raises:
            ThreadBusy: It is being driven, here or elsewhere.
            NotPaused: It is answered, but asks nothing; or it was cancelled.
            UnknownReview: It is answered by the id of a question that is not open.
            UnknownThread: It belongs to another tenant.
            StorageUnavailable: The database cannot be reached.
        """
        row = await self._store.get(thread_id, DEFAULT_TENANT)
        if row is None:
            await self._accept(thread_id, workflow, by)
            return
        _must_be_open(row)
        if isinstance(given, Command) and given.resume is not None:
            await self._must_ask(row, given.resume)
        if await self._store.claim(thread_id, DEFAULT_TENANT, (row["status"],)) is None:
            raise ThreadBusy(f"Somebody else went on with run {thread_id} at this moment.", thread_id=thread_id)
        if row["status"] == "failed":
            # As in the engine's retry: the nodes that failed run again as a whole, routing included.
            await self._store.forget_failed_writes(thread_id)
        _log.info("run driven by the Agent Server", thread=thread_id, workflow=workflow)

    async def end(self, thread_id: str, error: BaseException | None) -> None:
        """Record how a claimed thread's drive ended, as its checkpoints say.

        Args:
            thread_id: The thread.
            error: What ended it, if it raised.

        Raises:
            StorageUnavailable: The database cannot be reached.
        """
        saved = await self._saver.aget_tuple(thread_config(thread_id))
        status: Any = status_after(saved)
        described = None
        if error is not None and not isinstance(error, GraphBubbleUp) and not is_invalid_resume(error):
            status, described = "failed", describe(error, None)
        await self._store.settle(thread_id, status, error=described, checkpointed=saved is not None)
        _log.info("run left by the Agent Server", thread=thread_id, status=status)

    async def edited(self, thread_id: str) -> None:
        """Record that somebody edited a thread's state: it may have something to do again, or nothing any more."""
        if await self._store.claim(thread_id, DEFAULT_TENANT, _OPEN) is not None:
            await self.end(thread_id, None)

    async def deleted(self, thread_id: str) -> None:
        """Forget the run of a thread that was deleted."""
        await self._store.delete(thread_id, DEFAULT_TENANT)

    async def _accept(self, thread_id: str, workflow: str, by: str | None) -> None:
        row = await self._store.insert(
            thread_id=thread_id,
            tenant=DEFAULT_TENANT,
            workflow=workflow,
            version="1",
            source=self._source,
            requested_by=by or Principal.from_system().id,
            given=Stored(None, None, ""),  # the server keeps the input; no input that the engine is given equals it
            context=None,
        )
        if row is None:
            raise UnknownThread(
                f"Thread {thread_id} belongs to somebody else; start a thread of your own.", thread_id=thread_id
            )

    async def _must_ask(self, row: RunRow, answer: Any) -> None:
        thread_id = row["thread_id"]
        if row["status"] != "paused":
            raise NotPaused(
                f"Run {thread_id} waits for no answer: it is {row['status']}. Reload the thread.", thread_id=thread_id
            )
        saved = await self._saver.aget_tuple(thread_config(thread_id))
        if closed := _named(answer) - _open_ids(saved):
            raise UnknownReview(
                f"Question {sorted(closed)[0]} of run {thread_id} is not open (any more). Reload the thread and answer "
                "the one that is.",
                thread_id=thread_id,
            )


class _Watch(AsyncCallbackHandler):
    """Tells `Drives` of the graphs that the server calls; everything else that runs in the process is none of its."""

    run_inline = True
    raise_error = True  # a thread that must not be driven is refused by raising
    ignore_llm = True
    ignore_retriever = True
    ignore_agent = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(self) -> None:
        self.drives: WeakKeyDictionary[asyncio.AbstractEventLoop, Drives] = WeakKeyDictionary()
        self._driven: dict[UUID, str] = {}

    async def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A graph or a part of one begins."""
        drives = self.drives.get(asyncio.get_running_loop())
        if drives is None or metadata is None or not _is_drive(metadata):
            return
        thread_id = str(metadata["thread_id"])
        await drives.begin(thread_id, str(metadata["graph_id"]), inputs, metadata.get("langgraph_auth_user_id"))
        self._driven[run_id] = thread_id

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """A graph or a part of one ended: finished or paused."""
        await self._ended(run_id, None)

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A graph or a part of one failed, or was cancelled."""
        try:
            await self._ended(run_id, error)
        except AdjournError:
            # What the graph raised must reach the server, not what came after it.
            _log.exception("how a run ended in the Agent Server could not be recorded")

    async def _ended(self, run_id: UUID, error: BaseException | None) -> None:
        thread_id = self._driven.pop(run_id, None)
        drives = self.drives.get(asyncio.get_running_loop())
        if thread_id is not None and drives is not None:
            await drives.end(thread_id, error)


_watch = _Watch()
_watching: ContextVar[_Watch | None] = ContextVar("adjourn_watch", default=_watch)
_registered: list[bool] = []


def record_drives(drives: Drives | None) -> None:
    """Record what is driven in the running event loop; None ends that.

    Only graphs that are called with a `graph_id` and a `thread_id` count, as the Agent Server does; what the engine
    drives in the same process does not.
    """
    if not _registered:
        register_configure_hook(_watching, inheritable=False)
        _registered.append(True)
    loop = asyncio.get_running_loop()
    if drives is None:
        _watch.drives.pop(loop, None)
    else:
        _watch.drives[loop] = drives


def _is_drive(metadata: dict[str, Any]) -> bool:
    # The server names graph and thread in the metadata of the graph that it calls; the nodes in it inherit them.
    return bool(metadata.get("graph_id") and metadata.get("thread_id")) and "langgraph_node" not in metadata


def _must_be_open(row: RunRow) -> None:
    status, thread_id = row["status"], row["thread_id"]
    if status == "cancelled":
        raise NotPaused(f"Run {thread_id} was cancelled; start a new thread.", thread_id=thread_id)
    if status not in _OPEN:
        raise ThreadBusy(f"Run {thread_id} is {status}; wait until it asks or ends.", thread_id=thread_id)


def _named(answer: Any) -> set[str]:
    """Return the questions that an answer names; LangGraph takes a dictionary for such a map by its keys alone."""
    if not isinstance(answer, dict) or not all(isinstance(key, str) and _INTERRUPT_ID.fullmatch(key) for key in answer):
        return set()
    return set(answer)


def _open_ids(saved: CheckpointTuple | None) -> set[str]:
    writes: Iterable[Any] = (saved.pending_writes if saved else None) or ()
    return {interrupt.id for interrupt in open_interrupts(writes)}
