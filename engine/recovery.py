"""Recovery: runs whose driver died are found by their lease, which ran out, and tried again.

An attempt counts only if no new checkpoint was committed since the one before, and if it was not the database that went
away (`LeaseKeeper.abandon` takes it back then). So a run that makes progress between two crashes is tried for ever, and
one that kills its process at the same place five times is failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries

__all__ = ["MOST_ATTEMPTS", "Attempt", "RecoveryStore", "Stalled", "next_attempt"]

_SQL: Final = load_queries(__package__, "recovery.sql")
MOST_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Stalled:
    """A run whose driver is gone.

    Args:
        thread_id: The run.
        attempts: The attempts since the last progress: who tried.
        attempted_checkpoint: The newest checkpoint, and how many effects were done, when it was last tried.
        newest_checkpoint: The same now.
    """

    thread_id: str
    attempts: list[str]
    attempted_checkpoint: str | None
    newest_checkpoint: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run is to be tried now.

    Args:
        attempts: All attempts since the last progress, this one included.
        checkpoint: The newest checkpoint.
        pause: Seconds until it may be tried once more, if this one dies as well.
    """

    attempts: list[str]
    checkpoint: str | None
    pause: float


def next_attempt(found: Stalled, owner: str) -> Attempt | dict[str, Any]:
    """Decide what becomes of a stalled run; a pure function.

    Args:
        found: The run.
        owner: Who would try.

    Returns:
        The attempt to make, or the error with which the run is failed.
    """
    progressed = found.newest_checkpoint != found.attempted_checkpoint
    before = [] if progressed else found.attempts
    if len(before) >= MOST_ATTEMPTS:
        return {
            "type": "Crashed",
            "message": f"the process that drove it died {len(before)} times in a row at the same place",
            "node": None,
            "attempts": before,
        }
    pause = min(_FIRST_PAUSE * 2 ** len(before), _LONGEST_PAUSE)
    return Attempt([*before, owner], found.newest_checkpoint, pause)


class RecoveryStore:
    """Finds stalled runs and remembers attempts. Every method raises StorageUnavailable when PostgreSQL is away.

    Args:
        pool: Connections.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self._pool = pool

    async def stalled(self, tenant: str | None, limit: int, workflows: Sequence[str] | None = None) -> list[Stalled]:
        """Return runs whose lease ran out and whose time has come, the longest stalled first.

        Args:
            tenant: Whose; None: all.
            limit: The most to return.
            workflows: Only runs of these; None: of any.
        """
        values = {"tenant": tenant, "limit": limit, "workflows": None if workflows is None else list(workflows)}
        with mapped_faults("cannot look for stalled runs"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["list_stalled"], values)
                return [
                    Stalled(row["thread_id"], row["attempts"], row["attempted_checkpoint"], row["newest_checkpoint"])
                    for row in await cursor.fetchall()
                ]

    async def note(self, thread_id: str, attempt: Attempt) -> None:
        """Remember an attempt before it is made."""
        values = {
            "thread_id": thread_id,
            "attempts": Jsonb(attempt.attempts),
            "checkpoint": attempt.checkpoint,
            "pause": attempt.pause,
        }
        with mapped_faults("cannot note an attempt", thread_id=thread_id):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["note_attempt"], values)
