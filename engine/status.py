"""The verb that shows the whole: what waits in the queue, who works, what is late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import together
from ..checkpoints.queries import load_queries
from .base import EngineBase

__all__ = ["Busy", "Overseeing", "QueueStatus", "Status", "WorkerStatus"]

_SQL: Final = load_queries(__package__, "workers.sql")


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The runs of one workflow that wait for a worker.

    Args:
        workflow: The workflow.
        waiting: How many.
        lag: Seconds that the first of them has waited.
        workers: How many workers take its runs; none: they wait until one comes that has this workflow.
    """

    workflow: str
    waiting: int
    lag: float
    workers: int


@dataclass(frozen=True, slots=True)
class Busy:
    """One run that a worker drives.

    Args:
        thread_id: The run.
        workflow: Its workflow.
        since: When the worker took it (database time).
    """

    thread_id: str
    workflow: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker process.

    Args:
        name: Its name: what stands in the leases that it holds.
        host: The machine.
        pid: The process.
        version: Its adjourn.
        concurrency: The most runs that it drives at once.
        workflows: The workflows whose runs it takes.
        status: serving; draining (it was told to stop); silent (no sign of life for longer than a lease: it is gone, or
            cannot reach the database).
        started_at: Since when it is alive (database time).
        seen_at: Its last sign of life.
        busy: The runs that it drives, longest first.
        others: How many runs of other tenants it drives.
    """

    name: str
    host: str
    pid: int
    version: str
    concurrency: int
    workflows: tuple[str, ...]
    status: str
    started_at: datetime
    seen_at: datetime
    busy: tuple[Busy, ...]
    others: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand. Runs and reviews are those of one tenant; workers serve all.

    Args:
        at: When (database time).
        queues: What waits, by workflow.
        workers: The workers, the oldest first.
        leases: How many runs are driven, by workers or others.
        stalled: How many runs have lost their driver and were not taken up again yet.
        overdue: How many open reviews are past their deadline.
    """

    at: datetime
    queues: tuple[QueueStatus, ...]
    workers: tuple[WorkerStatus, ...]
    leases: int
    stalled: int
    overdue: int

    @property
    def waiting(self) -> int:
        """How many runs wait for a worker."""
        return sum(queue.waiting for queue in self.queues)

    @property
    def lag(self) -> float:
        """Seconds that the first of them has waited; zero when none does."""
        return max((queue.lag for queue in self.queues), default=0.0)


class Overseeing(EngineBase):
    """Shows how things stand."""

    async def status(self) -> Status:
        """Return what waits for workers, which workers there are and what they do, and what is late.

        Of other tenants nothing is shown but how many of their runs a worker drives.
        """
        tenant, silence = self.principal.tenant, self.settings.lease_seconds
        values = {"tenant": tenant, "silence": silence}
        with mapped_faults("cannot read how things stand"):
            async with self._storage.pool.connection() as connection, together(connection):
                queues = await connection.execute(_SQL["queues"], values)
                workers = await connection.execute(_SQL["workers"])
                totals = await connection.execute(_SQL["totals"], values)
                waiting, alive, total = await queues.fetchall(), await workers.fetchall(), await totals.fetchall()
        return Status(
            at=total[0]["at"],
            queues=tuple(
                QueueStatus(each["workflow"], each["waiting"], each["lag"], each["workers"]) for each in waiting
            ),
            workers=tuple(_worker(each, tenant, silence) for each in alive),
            leases=total[0]["leases"],
            stalled=total[0]["stalled"],
            overdue=total[0]["overdue"],
        )


def _worker(row: Mapping[str, Any], tenant: str, silence: float) -> WorkerStatus:
    ours = [each for each in row["busy"] if each["tenant"] == tenant]
    return WorkerStatus(
        name=row["owner"],
        host=row["host"],
        pid=row["pid"],
        version=row["version"],
        concurrency=row["concurrency"],
        workflows=tuple(row["workflows"]),
        status="silent" if row["silent"] > silence else "draining" if row["draining"] else "serving",
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        busy=tuple(Busy(each["thread_id"], each["workflow"], datetime.fromisoformat(each["since"])) for each in ours),
        others=len(row["busy"]) - len(ours),
    )
