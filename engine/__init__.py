"""How a run is driven: the engine, and what it shows."""

from .async_engine import AsyncEngine
from .audit import AuditReport
from .audit_chain import AuditEntry, Finding
from .events import Event
from .model import Child, Page, Principal, Review, Run, Step, Timeline, Vote
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
    "Page",
    "Principal",
    "QueueStatus",
    "Review",
    "Run",
    "Status",
    "Step",
    "Swept",
    "Timeline",
    "Vote",
    "WorkerStatus",
]
