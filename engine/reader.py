"""Reading checkpoints to show them: no workflow code is needed, and none is imported.

Types of a workflow's own come back as plain data, which is what is wanted here, so LangGraph's warnings about them are
kept quiet; when a graph itself reads its checkpoints they are not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from psycopg.rows import DictRow

from ..checkpoints.latest import with_latest
from ..checkpoints.queries import load_queries
from ..checkpoints.saver import Saver

__all__ = ["Reader", "thread_config"]

_LATEST: Final = with_latest(load_queries(__package__, "reader.sql")["latest"], "%(thread_id)s")
_looking: ContextVar[bool] = ContextVar("adjourn_looking", default=False)


def thread_config(thread_id: str) -> RunnableConfig:
    """Return LangGraph's configuration for a thread's root graph."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


class Reader:
    """Reads the checkpoints of threads as plain data.

    Args:
        saver: The checkpoints, as every graph shares them.
    """

    def __init__(self, saver: Saver) -> None:
        self._saver = saver
        logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_quiet_while_looking)

    async def latest(self, thread_id: str, row: Mapping[str, Any] | None = None) -> CheckpointTuple | None:
        """Return the latest root checkpoint of a thread, perhaps from its row; see `Saver.latest`."""
        with _looking_only():
            return await self._saver.latest(thread_id, row)

    async def latest_row(self, thread_id: str) -> DictRow:
        """Return its row, for `latest`, with the thread's `position` then. Raises StorageUnavailable."""
        return (await self._saver.rows("cannot read a checkpoint", _LATEST, thread_id))[0]

    async def newest(self, thread_id: str) -> CheckpointTuple | None:
        """Return the newest checkpoint of a thread, those of its subgraphs included. Raises StorageUnavailable."""
        with _looking_only():
            found = [each async for each in self._saver.alist({"configurable": {"thread_id": thread_id}}, limit=1)]
        return found[0] if found else None

    async def everything(self, thread_id: str) -> list[CheckpointTuple]:
        """Return all checkpoints of a thread, those of its subgraphs included. Raises StorageUnavailable."""
        with _looking_only():
            return [each async for each in self._saver.alist({"configurable": {"thread_id": thread_id}})]

    async def history(self, thread_id: str) -> list[CheckpointTuple]:
        """Return the root checkpoints of a thread, newest first. Raises StorageUnavailable."""
        with _looking_only():
            return [each async for each in self._saver.alist(thread_config(thread_id))]


def _quiet_while_looking(record: logging.LogRecord) -> bool:
    return not (_looking.get() and str(record.msg).startswith("Blocked deserialization"))


@contextmanager
def _looking_only() -> Iterator[None]:
    token = _looking.set(True)
    try:
        yield
    finally:
        _looking.reset(token)
