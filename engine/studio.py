"""The door for LangGraph's Agent Server, and for Studio on top of it: our saver, as `langgraph.json` names it.

    "checkpointer": {"path": "adjourn.engine.studio.open_saver"},
    "store": {"path": "adjourn.engine.studio.open_store"}

What the server drives on it is a run like any other: the engine lists it, and of the two exactly one drives a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple

from ..checkpoints.memory import Memory
from ..checkpoints.pool import Pool
from ..checkpoints.saver import Saver
from ..checkpoints.sealing import Seal
from ..checkpoints.storage import open_storage
from ..settings import load_settings
from .case_memory import CaseMemory
from .hook import review_hook
from .internals import served_graphs
from .leases import LeaseKeeper
from .model import Principal
from .notifications import Notifications
from .policy_book import PolicyBook
from .receivers import notifications_of
from .storable import storable_types
from .studio_drives import Drives, control_drive, token_of_drive
from .studio_watch import record_drives

__all__ = ["StudioSaver", "open_saver", "open_store"]


class StudioSaver(Saver):
    """Our saver, as the Agent Server needs it.

    The server gives its own graphs to its savers without saying which types they store; this one asks the server for
    them. A thread that is deleted or edited there changes its run.

    Args:
        pool: The connections.
        keeper: Keeps the leases of the server's drives alive.
        notifications: Tells people when the server's drives pause.
        cases: The memory of past cases, for nodes that the server runs.
        **options: As the base class.
    """

    def __init__(
        self,
        pool: Pool,
        keeper: LeaseKeeper,
        notifications: Notifications,
        cases: CaseMemory | None = None,
        **options: Any,
    ) -> None:
        super().__init__(pool, **options)
        policies = PolicyBook(Seal(self.serde))
        self.add_hook(review_hook(self.serde, policies))
        source = f"the langgraph.json of an Agent Server in {Path.cwd()}"
        self.drives = Drives(pool, self, keeper, notifications, policies, source, cases)
        self._learned: set[str] = set()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read one checkpoint; see the base class."""
        self._learn_types()
        control_drive(config)
        return await super().aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the name is LangGraph's
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints, newest first; see the base class."""
        self._learn_types()
        async for found in super().alist(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; see the base class. An edited state is recorded with its run."""
        stored = await super().aput(config, checkpoint, metadata, new_versions)
        if metadata.get("source") == "update" and not config["configurable"].get("checkpoint_ns"):
            await self.drives.edited(config["configurable"]["thread_id"])
        return stored

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread, and forget its run; see the base class."""
        await super().adelete_thread(thread_id)
        await self.drives.deleted(thread_id)

    def _token(self, config: RunnableConfig) -> int | None:
        return token_of_drive(config)

    def _learn_types(self) -> None:
        """Let the types that the server's graphs name come back from checkpoints; graphs may be added while it runs."""
        graphs = served_graphs()
        if new := graphs.keys() - self._learned:
            self._learned |= new
            for name in new:
                self.serde = self.with_allowlist(storable_types(graphs[name])).serde


@asynccontextmanager
async def open_saver() -> AsyncIterator[StudioSaver]:
    """Open the storage that the settings name, and give the saver for an Agent Server in this process.

    The server enters this when it starts and leaves it elsewhere, so nothing here is bound to a task.

    Yields:
        The saver. While it is open, what the server drives is recorded.

    Raises:
        StorageUnavailable: As `open_storage`.
        ConfigurationError: As `open_storage`, or a setting does not fit.
    """
    settings = load_settings()
    async with open_storage(settings) as storage:
        keeper = LeaseKeeper(storage.pool, seconds=settings.lease_seconds, grace=settings.cancel_grace_seconds)
        serde = storage.saver.serde
        notifications = notifications_of(settings, storage.pool, serde)
        cases = CaseMemory(storage.pool, Seal(serde), settings)
        saver = StudioSaver(storage.pool, keeper, notifications, cases, serde=serde, patience=settings.storage_patience)
        record_drives(saver.drives)
        try:
            yield saver
        finally:
            record_drives(None)
            await notifications.close()
            await keeper.close()


@asynccontextmanager
async def open_store() -> AsyncIterator[Memory]:
    """Open the storage that the settings name, and give its memory for an Agent Server in this process.

    It is the memory that engines of the same tenant give to their graphs. The server enters this in each of its threads.

    Raises:
        StorageUnavailable: As `open_storage`.
        ConfigurationError: As `open_storage`, or a setting does not fit.
    """
    async with open_storage(load_settings()) as storage:
        yield Memory(storage.pool, Seal(storage.saver.serde), Principal.from_system(frozenset()).tenant)
