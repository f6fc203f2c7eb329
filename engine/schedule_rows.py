"""Schedules between rows and what people see, and the runs that they start; no I/O.

A run gets its thread id from tenant, schedule and moment, so one moment starts one run, whatever happens and however many
workers there are.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from psycopg.rows import DictRow

from .inputs import Stored
from .run_groups import NewRun
from .schedule_rules import Timetable

__all__ = ["Schedule", "columns_of", "run_at", "schedule_of", "thread_of", "timetable_of"]

_NAMESPACE: Final = uuid.UUID("5b9b1d3e-9a55-5cf2-9c3e-0d6a8f6d2f51")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A workflow that is started again and again.

    Args:
        name: Its name.
        workflow: What it starts.
        timetable: When, and what becomes of moments that were missed.
        priority: Of its runs.
        created_by: Who declared it as it is.
        next_at: The next moment; None when none comes.
        last_at: The last moment that was started.
        last_thread_id: The run of that moment.
        problem: Why it cannot be kept here, such as a zone that this machine does not know; None where it can.
    """

    name: str
    workflow: str
    timetable: Timetable
    priority: int
    created_by: str
    next_at: datetime | None
    last_at: datetime | None
    last_thread_id: str | None
    problem: str | None = None


def thread_of(tenant: str, name: str, moment: datetime) -> str:
    """Return the thread id of the run that a schedule starts at a moment: a UUIDv5 (RFC 9562, section 5.5)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join((tenant, name, moment.astimezone(UTC).isoformat()))))


def columns_of(run: NewRun) -> dict[str, Any]:
    """Return what a schedule keeps of the runs that it starts."""
    context = run.context or Stored(None, None, "")
    return {
        "tenant": run.tenant,
        "workflow": run.workflow,
        "input_type": run.given.type,
        "input": run.given.data,
        "input_digest": run.given.digest,
        "context_type": context.type,
        "context": context.data,
        "policies": run.policies,
    }


def run_at(row: DictRow, moment: datetime, *, version: str, source: str) -> NewRun:
    """Return the run that a schedule starts at a moment."""
    return NewRun(
        thread_id=thread_of(row["tenant"], row["name"], moment),
        tenant=row["tenant"],
        workflow=row["workflow"],
        version=version,
        source=source,
        requested_by=f"schedule:{row['name']}",
        given=Stored(row["input_type"], row["input"], row["input_digest"]),
        context=Stored(row["context_type"], row["context"], "") if row["context_type"] else None,
        policies=None if row["policies"] is None else json.dumps(row["policies"]),
        priority=row["priority"],
    )


def timetable_of(row: DictRow) -> tuple[Timetable, str | None]:
    """Return when a schedule starts something, and why it cannot be kept here, if it cannot."""
    return Timetable.stored(row["cron"], row["timezone"], row["missed"], row["grace"])


def schedule_of(row: DictRow) -> Schedule:
    """Return a schedule as people see it."""
    timetable, problem = timetable_of(row)
    return Schedule(
        name=row["name"],
        workflow=row["workflow"],
        timetable=timetable,
        priority=row["priority"],
        created_by=row["created_by"],
        next_at=row["next_at"],
        last_at=row["last_at"],
        last_thread_id=row["last_thread_id"],
        problem=problem,
    )
