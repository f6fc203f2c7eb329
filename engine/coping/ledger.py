"""What runs spend, in PostgreSQL: the count that survives crashes, and what people granted beyond a budget."""

from __future__ import annotations

from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ...checkpoints.faults import mapped_faults
from ...checkpoints.patience import patiently
from ...checkpoints.queries import load_queries
from ..delivery import only_decision
from ..questions import BUDGET
from .spending import Granted, Spent, Usage

__all__ = ["Ledger"]

_SQL: Final = load_queries(__package__, "coping.sql")


class Ledger:
    """Counts what runs spend. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
        serde: Reads answers.
        patience: Seconds for which the count of an answer waits for a database that is away.
    """

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], serde: SerializerProtocol, patience: float
    ) -> None:
        self._pool = pool
        self._serde = serde
        self._patience = patience

    async def spent(self, thread_id: str) -> Spent:
        """Return what a run has spent in all its drives."""
        with mapped_faults("cannot read what the run has spent", thread_id=thread_id):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_SQL["spent"], {"thread_id": thread_id})).fetchone()
        return Spent() if row is None else Spent(**row)

    async def granted(self, thread_id: str) -> tuple[Granted, int]:
        """Return what people granted a run beyond its budget, and how many questions for more are closed."""
        values = {"thread_id": thread_id, "pattern": f"{BUDGET}%"}
        with mapped_faults("cannot read what the run was granted", thread_id=thread_id):
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(_SQL["granted"], values)).fetchall()
        answers = [(row["kind"], row["data"]) for row in rows if row["kind"] is not None]
        return Granted.by(only_decision(self._serde.loads_typed(each)) for each in answers), len(rows)

    async def count(self, thread_id: str, usage: Usage, cost: float) -> Spent:
        """Count an answer; return what the run has spent now, other processes included.

        It is committed when this returns. An answer whose process dies before that is not counted.
        """
        values: dict[str, Any] = {"thread_id": thread_id, "input": usage.input, "output": usage.output, "cost": cost}

        async def attempt() -> DictRow | None:
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL["count_answer"], values)).fetchone()

        with mapped_faults("cannot count what the run has spent", thread_id=thread_id):
            row = await patiently(attempt, self._patience)
        return Spent() if row is None else Spent(**row)
