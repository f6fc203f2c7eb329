"""The last checkpoint of each thread that is driven here, seen as it is stored: the end of a run rides on its commit.

A checkpoint without anything left to do is the end of its run. The commit that stores it records the end and gives the
lease back as well, unless most of what it stores is not at its end, or somebody else has the run's row locked at that
moment; then the drive records the end afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg.rows import DictRow

from ..checkpoints.arrays import texts
from ..checkpoints.queries import load_queries
from ..checkpoints.rows import Put, Write
from ..checkpoints.statement import Added
from .leases import Drive
from .outcome import has_tasks
from .reader import thread_config
from .recorder import CHANNEL
from .run_groups import End, columns

__all__ = ["Witness", "rides"]

_SQL: Final = load_queries(__package__, "run_groups.sql")
# Checkpoints of a commit that is small, and drives of a process that is not busy.
_FEW: Final = 2


@dataclass(slots=True)
class _Watched:
    """What was seen of a thread: its last checkpoint if nothing is left to do there, and then its row's change."""

    last: Put | None = None
    row: DictRow | None = None


class Witness:
    """Sees the checkpoints that this process stores, and records the ends of the runs that it drives with them.

    Args:
        serde: The saver's serializer without any workflow's types, which appear as plain data, as in a read.
        driving: Finds the drive of a thread in this process.
        count: Says how many drives there are.
    """

    def __init__(
        self, serde: SerializerProtocol, driving: Callable[[str], Drive | None], count: Callable[[], int]
    ) -> None:
        self._serde = serde
        self._count = count
        self._driving = driving
        self._watched: dict[str, _Watched] = {}

    @contextmanager
    def watching(self, thread_id: str) -> Iterator[None]:
        """Watch a thread while the block, which drives it under its lease, runs."""
        self._watched[thread_id] = _Watched()
        try:
            yield
        finally:
            self._watched.pop(thread_id, None)

    def hook(self, puts: Sequence[Put], writes: Sequence[Write]) -> list[Added]:
        """Look at a commit of the saver, and add the ends of the runs whose last checkpoints are in it; see `Hook`."""
        drives = []
        for put in puts:
            drive = None if put.checkpoint_ns else self._driving(put.thread_id)
            watched = self._watched.get(put.thread_id)
            # an earlier drive of this process that woke up late stores under an older lease, and will be refused
            if drive is None or watched is None or drive.token != put.token:
                continue
            watched.last = None if has_tasks(_tuple_of(put, put.checkpoint)) else put
            if watched.last is not None:
                drives.append(drive)
        if not rides(len(drives), len(puts)):
            return []
        for drive in drives:
            # from here on the heartbeat may find the lease given back
            drive.ending = True
        ends = [End(drive.thread_id, drive.token, "completed", None, True) for drive in drives]
        told = [texts(self._told(drives)), CHANNEL]
        return [Added("complete_runs", _SQL["complete_runs"], [*told, *columns(ends).values()], self._recorded)]

    def _told(self, drives: Sequence[Drive]) -> list[str]:
        """Say of which runs the ends are told to those who wait for them, before the events are.

        Commits that tell something take turns in PostgreSQL, so a busy process leaves it to the events, which come together.
        """
        return [] if self._count() > _FEW else [drive.thread_id for drive in drives if drive.awaited]

    def is_over(self, thread_id: str) -> bool:
        """Whether nothing is left to do at the last checkpoint of a watched thread.

        To be asked when LangGraph has returned from a drive with `durability="sync"`, so that what was handed over is
        stored.
        """
        watched = self._watched.get(thread_id)
        return watched is not None and watched.last is not None

    def end(self, thread_id: str) -> CheckpointTuple | None:
        """Return the last checkpoint of a watched thread if nothing is left to do there, as a read would return it.

        None when something may be left to do, or when only a read can say how its values come back.
        """
        watched = self._watched.get(thread_id)
        if watched is None or watched.last is None:
            return None
        put = watched.last
        try:
            values = self._serde.loads_typed(self._serde.dumps_typed(put.checkpoint["channel_values"]))
        except Exception:  # noqa: BLE001  (a value with a type of the workflow's own; the saver knows that type)
            return None
        return _tuple_of(put, {**put.checkpoint, "channel_values": values})

    def recorded(self, thread_id: str) -> DictRow | None:
        """Return what `RunGroups.end` does, of a watched run whose end was recorded with its last checkpoint."""
        watched = self._watched.get(thread_id)
        return None if watched is None else watched.row

    def _recorded(self, rows: list[DictRow]) -> None:
        for row in rows:
            watched = self._watched.get(row["of_thread"])
            if watched is not None:
                watched.row = row


def rides(ends: int, checkpoints: int) -> bool:
    """Whether ends are recorded by the commit of their checkpoints; otherwise in groups, after it.

    In a large commit everybody would wait for the ends of a few. Runs that were accepted together go on in step, though, and
    end together.

    Args:
        ends: How many of the checkpoints are ends.
        checkpoints: How many the commit stores.
    """
    return ends > 0 and checkpoints <= max(_FEW, 2 * ends)


def _tuple_of(put: Put, checkpoint: Checkpoint) -> CheckpointTuple:
    return CheckpointTuple(thread_config(put.thread_id), checkpoint, put.metadata, None, [])
