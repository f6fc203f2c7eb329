"""The last checkpoint of each thread that is driven here, seen as it is stored: its end need not be read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from ..checkpoints.rows import Put, Write
from .leases import Drive
from .outcome import has_tasks
from .reader import thread_config

__all__ = ["Witness"]


class Witness:
    """Sees the checkpoints that this process stores, and remembers the last of each watched thread.

    Args:
        serde: The saver's serializer without any workflow's types, which appear as plain data, as in a read.
        driving: Finds the drive of a thread in this process.
    """

    def __init__(self, serde: SerializerProtocol, driving: Callable[[str], Drive | None]) -> None:
        self._serde = serde
        self._driving = driving
        self._watched: dict[str, Put | None] = {}

    @contextmanager
    def watching(self, thread_id: str) -> Iterator[None]:
        """Watch a thread while the block, which drives it under its lease, runs."""
        self._watched[thread_id] = None
        try:
            yield
        finally:
            self._watched.pop(thread_id, None)

    def hook(self, puts: Sequence[Put], writes: Sequence[Write]) -> list[tuple[str, Sequence[Any]]]:
        """Look at a commit of the saver, and add nothing to it; see `Hook`."""
        for put in puts:
            drive = None if put.checkpoint_ns else self._driving(put.thread_id)
            # an earlier drive of this process that woke up late stores under an older lease, and will be refused
            if drive is not None and drive.token == put.token and put.thread_id in self._watched:
                self._watched[put.thread_id] = put
        return []

    def end(self, thread_id: str) -> CheckpointTuple | None:
        """Return the last checkpoint of a watched thread if nothing is left to do there, as a read would return it.

        To be asked when LangGraph has returned from a drive with `durability="sync"`, so that what was handed over is
        stored. None when something may be left to do, or when only a read can say how its values come back.
        """
        put = self._watched.get(thread_id)
        if put is None:
            return None
        try:
            values = self._serde.loads_typed(self._serde.dumps_typed(put.checkpoint["channel_values"]))
        except Exception:  # noqa: BLE001  (a value with a type of the workflow's own; the saver knows that type)
            return None
        checkpoint: Checkpoint = {**put.checkpoint, "channel_values": values}
        saved = CheckpointTuple(thread_config(thread_id), checkpoint, put.metadata, None, [])
        return None if has_tasks(saved) else saved
