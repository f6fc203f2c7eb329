"""Threads that were driven past the engine: by LangGraph itself on the same tables, without any door of ours."""

from __future__ import annotations

from langgraph.checkpoint.base import CheckpointTuple

from .outcome import has_tasks
from .runs import Outcome, RunRow, RunStore

__all__ = ["finished_elsewhere"]


async def finished_elsewhere(store: RunStore, row: RunRow, saved: CheckpointTuple | None) -> RunRow:
    """Record a paused run as completed when its latest checkpoint has nothing left to do; return the row as it is then.

    Somebody has answered it and driven it to its end with a graph and a saver of their own; its open questions are
    withdrawn. Of several callers one records it; a run that is being driven at this moment stays as it is.

    Args:
        store: The run rows.
        row: The run's row.
        saved: Its latest root checkpoint, with its writes.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    if row["status"] != "paused" or saved is None or has_tasks(saved):
        return row
    thread_id, tenant = row["thread_id"], row["tenant"]
    claimed = await store.claim(thread_id, tenant, ("paused",))
    if claimed is not None:
        await store.settle(thread_id, claimed["token"], Outcome("completed"))
    return await store.get(thread_id, tenant) or row
