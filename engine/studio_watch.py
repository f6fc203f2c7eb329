"""How the drives of LangGraph's Agent Server are seen: through LangChain's callbacks.

The server calls the graph itself, so no verb of ours sees it. A handler that is registered for the whole process is told
when a graph begins, before LangGraph reads or stores anything, and how it ended, after everything is stored.
tests/studio/test_reliance.py notices the day this changes.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from ..errors import AdjournError
from .studio_drives import Call, Drives, ServerDrive

__all__ = ["record_drives"]

_log = structlog.get_logger("adjourn")


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
        self._driven: dict[UUID, ServerDrive] = {}

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
        call = Call(
            thread_id=str(metadata["thread_id"]),
            run_id=str(metadata["run_id"]),
            workflow=str(metadata["graph_id"]),
            given=inputs,
            by=metadata.get("langgraph_auth_user_id"),
        )
        self._driven[run_id] = await drives.begin(call)

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
        drive = self._driven.pop(run_id, None)
        drives = self.drives.get(asyncio.get_running_loop())
        if drive is not None and drives is not None:
            await drives.end(drive, error)


_watch = _Watch()
_watching: ContextVar[_Watch | None] = ContextVar("adjourn_watch", default=_watch)
_registered: list[bool] = []


def record_drives(drives: Drives | None) -> None:
    """Record what is driven in the running event loop; None ends that.

    Only graphs that are called with a `graph_id`, a `run_id` and a `thread_id` count, as the Agent Server does; what the
    engine drives in the same process does not.
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
    # The server names graph, thread and run in the metadata of the graph that it calls; the nodes in it inherit them.
    named = metadata.get("graph_id") and metadata.get("thread_id") and metadata.get("run_id")
    return bool(named) and "langgraph_node" not in metadata
