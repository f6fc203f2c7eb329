"""A worker's next job and its run, taken in one exchange with the database.

    a job whose queue was driven here → job, lease, answers and checkpoint in one statement; the job is deleted
    any other job → the job alone, as Procrastinate fetches it; its run is claimed when its code is there

A job only says that there may be something to do. When its run is taken it has said so, and nothing is left to be written
down of it: should the worker die, the lease runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ..checkpoints.faults import mapped_faults
from ..checkpoints.latest import with_latest
from ..checkpoints.parts import in_parts
from ..checkpoints.queries import load_queries
from ..checkpoints.saver import Saver
from .queue import WORKER
from .runs import RunRow

__all__ = ["JobTaker", "TakenRun"]

_SQL: Final = load_queries(__package__, "jobs.sql")
_TAKE: Final = with_latest(_SQL["take_job"], "(taken.run).thread_id")


@dataclass(frozen=True, slots=True)
class TakenRun:
    """A run that is ours to drive.

    Args:
        row: The run's row with the lease's token.
        answers: The rows of the answers that LangGraph has not stored yet, read under the lease.
        latest: The row of the run's latest checkpoint; None where that has to be read, or there is none.
        blank: Whether there is none: the thread was looked at under the lease.
    """

    row: RunRow
    answers: list[DictRow]
    latest: DictRow | None
    blank: bool


class JobTaker:
    """Takes the jobs of one worker. Belongs to one event loop.

    Args:
        saver: Lends connections.
        owner: Who takes leases: the worker's engine.
        seconds: How long a lease lasts.
        at_hand: Says of which queues runs may be taken with their jobs at this moment.
    """

    def __init__(self, saver: Saver, *, owner: str, seconds: float, at_hand: Callable[[], Collection[str]]) -> None:
        self._saver = saver
        self._lessee = {"owner": owner, "seconds": seconds}
        self._at_hand = at_hand
        self._runs: dict[str, TakenRun] = {}
        self._over: set[int] = set()
        self._nothing: DictRow | None = None
        self._heard = False

    async def fetch(self, queues: Sequence[str], worker: int | None) -> DictRow:
        """Take the next job.

        Args:
            queues: The queues.
            worker: Procrastinate's number of the worker.

        Returns:
            The job's row; a row of nulls when there is none.

        Raises:
            StorageUnavailable: The database cannot be reached. If a run was taken all the same, its lease runs out.
        """
        nothing, self._nothing = self._nothing, None
        if nothing is not None:
            return nothing
        self._heard = False
        values: dict[str, Any] = {"queues": list(queues), "at_hand": list(self._at_hand()), "worker": worker}
        values |= {**self._lessee, "actor": Jsonb(WORKER)}
        with mapped_faults("cannot take a job"):
            async with self._saver.lend() as connection:
                cursor = connection.cursor(row_factory=in_parts)
                rows = await (await cursor.execute(_TAKE, values, binary=True)).fetchall()
        job, run, _, latest, said = rows[0]
        if run["thread_id"] is not None:
            answers = [row[2] for row in rows if row[2]["review_id"] is not None]
            self._runs[run["thread_id"]] = TakenRun(run, answers, latest if said["holds"] else None, said["blank"])
            self._over.add(job["id"])
        if job["id"] is not None and not (said["more"] or self._heard):
            # Procrastinate asks again at once
            self._nothing = dict.fromkeys(job)
        return job

    def heard(self) -> None:
        """Take note that there is a new job."""
        self._heard, self._nothing = True, None

    def run_of(self, thread_id: str) -> TakenRun | None:
        """Return the run that was taken with a job, once; None where it is still to be claimed."""
        return self._runs.pop(thread_id, None)

    def is_over(self, job_id: int) -> bool:
        """Whether a job was deleted when its run was taken, so that nothing can be written down of it; once."""
        over = job_id in self._over
        self._over.discard(job_id)
        return over
