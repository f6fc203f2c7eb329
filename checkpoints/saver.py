"""The saver: LangGraph's checkpoints in PostgreSQL, stored in groups, in order, behind a fence.

    saver ── rows.py ──► backlog.py ──► commits.py ──► statement.py ──► PostgreSQL
             what to store  a line per     lanes,          one statement,
                            thread         retries         fence, hooks

docs/explanation/store.md explains how it works and what it promises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, LiteralString, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from ..errors import ConfigurationError, InvalidInput
from .commits import Committer
from .faults import mapped_faults
from .fence import token_of
from .lending import Lender
from .migrate import set_up_langgraph
from .patience import patiently
from .priming import UNREAD, Unread, take_primed
from .queries import load_queries
from .rows import Call, put_call, writes_call
from .sealing import Seal
from .serde import serializer
from .statement import Hook
from .sync import SyncCalls

__all__ = ["Saver"]

_SQL: Final = load_queries(__package__, "threads.sql")
_PATIENCE_SECONDS: Final = 30.0
# the version of a checkpoint from which on it holds all that LangGraph reads
_NEEDS_NOTHING_ELSE: Final = 4
_FEW_BYTES: Final = 65_536
_Result = TypeVar("_Result")


class Saver(SyncCalls, AsyncPostgresSaver):
    """LangGraph's saver on PostgreSQL; reads what the stock one wrote and writes what the stock one reads.

    What is promised:
        A call returns after its rows are committed. A checkpoint is never committed before the writes that were handed
        over before it for its thread. Nothing is stored for a thread whose lease somebody else has taken (see
        `fence.py`). While the database is away, calls wait and are repeated, up to `patience` seconds.
        Copies (`with_allowlist`) share everything but the list of types.

    Args:
        conn: A pool of connections, or a single one (which cannot be replaced when it dies).
        pipe: The stock saver's pipeline; there is no use for one here.
        serde: Serialises values. The default stores and reads the types that LangGraph itself calls harmless.
        patience: Seconds to wait for a database that is away.
        keep: How many connections of the pool it may keep for a moment after use; see `lending.py`. Call `aclose`
            before the pool is closed if there are any.

    Raises:
        ConfigurationError: A pipeline was given.

    Belongs to the event loop that it is made in; the methods without `a` are for other threads.
    """

    def __init__(
        self,
        conn: AsyncConnectionPool[Any] | AsyncConnection[Any],
        pipe: None = None,
        serde: SerializerProtocol | None = None,
        *,
        patience: float = _PATIENCE_SECONDS,
        keep: int = 0,
    ) -> None:
        if pipe is not None:
            raise ConfigurationError("This saver sends one statement for many calls; make it without a pipeline.")
        super().__init__(conn, serde=serde or serializer())
        self._lender = Lender(conn, keep)
        self._committer = Committer(self._lender.lend, patience=patience, alone=self._lender.single)

    @property
    def patience(self) -> float:
        """Seconds to wait for a database that is away."""
        return self._committer.patience

    def lend(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Lend a connection for a block. It was used just now, or the pool has looked at it; none is known to be dead."""
        return self._lender.lend()

    def add_hook(self, hook: Hook) -> None:
        """Let a function add statements to every commit of this process; see `statement.Hook` for what it may do."""
        self._committer.hooks.append(hook)

    async def aclose(self) -> None:
        """Give all connections back to the pool; the saver can still be used, a little slower."""
        await self._lender.close()

    async def setup(self) -> None:
        """Make LangGraph's tables. Any number of processes may do so at once.

        A storage opened with `open_saver` or `open_storage` has them, and adjourn's own, which the fence needs.

        Raises:
            StorageUnavailable: The database cannot be reached, or the role lacks a right.
        """
        with mapped_faults("cannot make the tables"):
            async with self._lender.lend() as connection:
                await set_up_langgraph(connection)
        self._committer.forget_tables()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; return the configuration that names it.

        Args:
            config: Thread, namespace, parent checkpoint.
            checkpoint: The checkpoint.
            metadata: Its metadata.
            new_versions: The channels that changed.

        Raises:
            InvalidInput: A value is of a type that is not allowed, has no serial form, or PostgreSQL cannot hold it.
            LeaseLost: Somebody else drives the thread now.
            ThreadBusy: Somebody holds the thread's lease, and the caller has none.
            UnknownThread: The thread was deleted while the run was under way.
            StorageUnavailable: PostgreSQL refused, or did not come back in time.
        """
        # what `isinstance` would say, which takes long for a class that is derived from a protocol
        inline = EncryptedSerializer not in type(self.serde).__mro__

        def make() -> Call:
            return put_call(self.serde, config, checkpoint, metadata, new_versions, inline=inline)

        await self._commit(config, make)
        names = config["configurable"]
        return {
            "configurable": {
                "thread_id": names["thread_id"],
                "checkpoint_ns": names["checkpoint_ns"],
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store the writes of a task.

        Args:
            config: Thread, namespace, checkpoint.
            writes: Channel and value of each.
            task_id: Who wrote them.
            task_path: Where the task stands in its step.

        Raises:
            InvalidInput, LeaseLost, ThreadBusy, UnknownThread, StorageUnavailable: As `aput`.
        """
        if writes:
            await self._commit(config, lambda: writes_call(self.serde, config, writes, task_id, task_path))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that is named, or the latest of the thread. Raises StorageUnavailable."""
        known = await take_primed(config)
        if not isinstance(known, Unread):
            return known
        return await self._read("cannot read a checkpoint", config, lambda: super(Saver, self).aget_tuple(config))

    async def latest(self, thread_id: str, row: Mapping[str, Any] | None = None) -> CheckpointTuple | None:
        """Return the latest root checkpoint of a thread: from its row, where it is at hand and says all, or else read.

        Args:
            thread_id: The thread.
            row: What a statement `with_latest` returned.

        Raises:
            StorageUnavailable: The database did not come back in time.
        """
        saved = UNREAD if row is None else await self.from_row(row)
        if not isinstance(saved, Unread):
            return saved
        return await self.aget_tuple({"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}})

    async def rows(self, doing: str, query: LiteralString, thread_id: str) -> list[DictRow]:
        """Return what a query about a thread (`%(thread_id)s`) finds, and wait for a database that is away.

        Args:
            doing: What it is for, in the words of an error.
            query: The query; it changes nothing.
            thread_id: The thread.

        Raises:
            StorageUnavailable: PostgreSQL refused, or did not come back in time.
        """

        async def attempt() -> list[DictRow]:
            async with self._lender.lend() as connection, connection.cursor(row_factory=dict_row) as cursor:
                return await (await cursor.execute(query, {"thread_id": thread_id}, binary=True)).fetchall()

        return await self._read(doing, {"configurable": {"thread_id": thread_id}}, attempt)

    async def from_row(self, row: Mapping[str, Any]) -> CheckpointTuple | Unread | None:
        """Return the checkpoint of a row that a statement with `with_latest` returned; None for a row of nulls.

        UNREAD for one of an old version of LangGraph, which takes a statement more.
        """
        if row["thread_id"] is None:
            return None
        if row["checkpoint"]["v"] < _NEEDS_NOTHING_ELSE and row["parent_checkpoint_id"]:
            return UNREAD
        return await self._load_checkpoint_tuple(dict(row))

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
        for found in await self._read("cannot list checkpoints", config, read):
            yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read what `DeltaChannel`s were written since their last snapshot. Raises StorageUnavailable."""
        return await self._read(
            "cannot read the history of a channel",
            config,
            lambda: super(Saver, self).aget_delta_channel_history(config=config, channels=channels),
        )

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything that LangGraph stores for a thread, and what runs under way would still store.

        A driver that holds the lease loses it. A run without a lease, in any process, is refused from its next
        checkpoint on. What it had sent before is stored and then deleted. A new run may use the thread id at once.

        Raises:
            StorageUnavailable: PostgreSQL refused, or did not come back in time; nothing or everything is deleted.
        """
        await self._delete([str(thread_id)])

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that some runs made (`run_id` in their metadata), with their writes and values.

        Reads the whole table of checkpoints. Do not use it on threads with `DeltaChannel`s, whose later state
        needs the deleted writes (LangGraph's own warning).

        Raises:
            StorageUnavailable: PostgreSQL refused, or did not come back in time; nothing or everything is deleted.
        """
        if run_ids:
            await self._change("cannot delete runs", "delete_for_runs", {"run_ids": [str(each) for each in run_ids]})

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything that LangGraph stores for a thread, as it is at one moment, to another thread id.

        What the target holds already stays.

        Raises:
            StorageUnavailable: PostgreSQL refused, or did not come back in time; nothing or everything is copied.
        """
        values = {"source": str(source_thread_id), "target": str(target_thread_id)}
        async with self._committer.alone(str(source_thread_id)):
            await self._change("cannot copy a thread", "copy_thread", values)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Drop the past of threads, or all of them.

        Args:
            thread_ids: The threads.
            strategy: `keep_latest` keeps the latest checkpoint of each namespace, with its writes, so that a paused
                thread can go on; `delete` keeps nothing (see `adelete_thread`).

        Raises:
            TypeError, ValueError: As the base class: a single id was given, or an unknown strategy.
            NotImplementedError: As the base class: a thread with a `DeltaChannel` cannot keep its latest alone.
            StorageUnavailable: PostgreSQL refused, or did not come back in time.
        """
        if strategy == "delete" and not isinstance(thread_ids, str):
            await self._delete([str(each) for each in thread_ids])
            return
        if isinstance(thread_ids, str) or strategy != "keep_latest":
            await super().aprune(thread_ids, strategy=strategy)
        for thread_id in dict.fromkeys(str(each) for each in thread_ids):
            async with self._committer.alone(thread_id):
                await self._read(
                    "cannot prune a thread",
                    {"configurable": {"thread_id": thread_id}},
                    lambda: super(Saver, self).aprune([thread_id], strategy=strategy),  # noqa: B023 - runs here and now
                )

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        # The base class makes all its tuples with this.
        opened = {**value, "metadata": Seal(self.serde).open_metadata(value["metadata"])}
        if sum(len(blob or b"") for _, _, _, blob, *_ in value["pending_writes"] or ()) < _FEW_BYTES:
            # The base class reads the writes in a thread: to get there and back takes longer than to read a few.
            return PostgresSaver._load_checkpoint_tuple(cast("PostgresSaver", self), opened)
        return await super()._load_checkpoint_tuple(opened)

    async def _commit(self, config: RunnableConfig, make: Callable[[], Call]) -> None:
        thread_id = str(config["configurable"]["thread_id"])
        token = self._token(config)

        def carrying() -> Call:
            try:
                call = make()
            except InvalidInput as error:
                error.thread_id = thread_id
                raise
            call.token = token
            call.puts = [put._replace(token=token) for put in call.puts]
            call.given = [write._replace(token=token) for write in call.given]
            return call

        await self._committer.commit(carrying)

    def _token(self, config: RunnableConfig) -> int | None:
        """Return the token under which a call stores; a subclass may find it elsewhere."""
        return token_of(str(config["configurable"]["thread_id"]))

    async def _read(
        self, doing: str, config: RunnableConfig | None, attempt: Callable[[], Awaitable[_Result]]
    ) -> _Result:
        thread_id = config["configurable"].get("thread_id") if config and "configurable" in config else None
        with mapped_faults(doing, thread_id=thread_id):
            return await patiently(attempt, self._committer.patience)

    async def _change(self, doing: str, query: str, values: dict[str, Any]) -> None:
        async def attempt() -> None:
            async with self._lender.lend() as connection, connection.transaction():
                await connection.execute(_SQL[query], values)

        with mapped_faults(doing):
            await patiently(attempt, self._committer.patience)

    async def _delete(self, thread_ids: list[str]) -> None:
        async def attempt() -> None:
            async with self._lender.lend() as connection, connection.transaction():
                cursor = await connection.execute(_SQL["has_leases"])
                if await cursor.fetchone():
                    await connection.execute(_SQL["fence_off"], {"thread_ids": thread_ids})
                await connection.execute(_SQL["delete_threads"], {"thread_ids": thread_ids})

        with mapped_faults("cannot delete a thread", thread_id=thread_ids[0] if len(thread_ids) == 1 else None):
            async with self._all_alone(thread_ids):
                await patiently(attempt, self._committer.patience)

    @asynccontextmanager
    async def _all_alone(self, thread_ids: list[str]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            # In one order, so that two that delete the same threads do not wait for each other.
            for thread_id in sorted(set(thread_ids)):
                await stack.enter_async_context(self._committer.alone(thread_id))
            yield

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        # The base class takes one lock around every statement, even with a pool. It reads and prunes through this.
        async with self._lender.lend() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            yield cursor
