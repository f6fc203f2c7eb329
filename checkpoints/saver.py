"""LangGraph's saver on our pool: a connection that dies in use costs a repetition, not the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from .faults import connection_lost, mapped_faults

__all__ = ["Saver"]

_Result = TypeVar("_Result")


class Saver(AsyncPostgresSaver):
    """`AsyncPostgresSaver` that repeats a call once when its connection was lost, and raises our errors.

    Repeating is safe: what it writes is keyed, and writing the same rows again changes nothing. Constructed like its
    base, with a pool; a single connection that died cannot be replaced.
    """

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read one checkpoint; see the base class. Raises StorageUnavailable."""
        return await _repeated(lambda: super(Saver, self).aget_tuple(config), "cannot read a checkpoint", config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; see the base class. Raises StorageUnavailable or InvalidInput."""
        return await _repeated(
            lambda: super(Saver, self).aput(config, checkpoint, metadata, new_versions),
            "cannot store a checkpoint",
            config,
        )

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store the writes of a task; see the base class. Raises StorageUnavailable or InvalidInput."""
        await _repeated(
            lambda: super(Saver, self).aput_writes(config, writes, task_id, task_path),
            "cannot store the writes of a step",
            config,
        )

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the name is LangGraph's
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints, newest first; see the base class. Raises StorageUnavailable."""

        async def read() -> list[CheckpointTuple]:
            listed = super(Saver, self).alist(config, filter=filter, before=before, limit=limit)
            return [found async for found in listed]

        # The base class fetches all rows before it yields the first, so collecting them costs no memory more.
        for found in await _repeated(read, "cannot list checkpoints", config):
            yield found

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything LangGraph stored for a thread; see the base class. Raises StorageUnavailable."""
        config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
        await _repeated(lambda: super(Saver, self).adelete_thread(thread_id), "cannot delete a thread", config)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read the history of delta channels; see the base class. Raises StorageUnavailable."""
        return await _repeated(
            lambda: super(Saver, self).aget_delta_channel_history(config=config, channels=channels),
            "cannot read the history of a channel",
            config,
        )


async def _repeated(call: Callable[[], Awaitable[_Result]], doing: str, config: RunnableConfig | None) -> _Result:
    thread_id = config["configurable"].get("thread_id") if config and "configurable" in config else None
    with mapped_faults(doing, thread_id=thread_id):
        try:
            return await call()
        except psycopg.Error as error:
            if not connection_lost(error):
                raise
        return await call()
