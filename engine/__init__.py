"""How a run is driven: the engine, and what it shows."""

from .admission_books import Limit
from .async_engine import AsyncEngine
from .audit import AuditReport
from .audit_chain import AuditEntry, Finding
from .events import Event
from .limiting import LimitStatus
from .model import Child, Page, Principal, Review, Run, Step, Timeline, Vote
from .schedule_rows import Schedule
from .schedule_rules import Timetable
from .status import QueueStatus, Status, WorkerStatus
from .sweeping import Swept
from .sync_engine import Engine

__all__ = [
    "AsyncEngine",
    "AuditEntry",
    "AuditReport",
    "Child",
    "Engine",
    "Event",
    "Finding",
    "Limit",
    "LimitStatus",
    "Page",
    "Principal",
    "QueueStatus",
    "Review",
    "Run",
    "Schedule",
    "Status",
    "Step",
    "Swept",
    "Timeline",
    "Timetable",
    "Vote",
    "WorkerStatus",
]
