"""The saver's methods for other threads: each runs its asynchronous twin on the saver's event loop and waits.

The base class has most of them; here are those that it lacks, and the two that would wait for ever when they were
called on the event loop itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

__all__ = ["SyncCalls"]

_Result = TypeVar("_Result")


class SyncCalls(AsyncPostgresSaver):
    """A mixin for savers; each method blocks its thread, and raises what its twin with `a` raises.

    Raises:
        asyncio.InvalidStateError: It was called on the saver's own event loop, which it would block for ever.
    """

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; see `aput`."""
        return self._elsewhere(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store the writes of a task; see `aput_writes`."""
        self._elsewhere(self.aput_writes(config, writes, task_id, task_path))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete what some runs made; see `adelete_for_runs`."""
        self._elsewhere(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread; see `acopy_thread`."""
        self._elsewhere(self.acopy_thread(source_thread_id, target_thread_id))

    def _elsewhere(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        if asyncio._get_running_loop() is self.loop:
            coroutine.close()
            raise asyncio.InvalidStateError(
                "This saver was called from its own event loop, which the call would block for ever. "
                "Use the method with an `a` in front (`await saver.aput(...)`, `await graph.ainvoke(...)`)."
            )
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()
