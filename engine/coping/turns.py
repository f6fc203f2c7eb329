"""Turns: when the next call of a model or a tool may begin, over all processes that use the database."""

from __future__ import annotations

from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ...checkpoints.faults import mapped_faults
from ...checkpoints.queries import load_queries
from ...state.coping import Rate

__all__ = ["Turns"]

_SQL: Final = load_queries(__package__, "coping.sql")


class Turns:
    """Gives turns. One statement each; nobody polls, and nobody overtakes.

    Args:
        pool: Connections.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self._pool = pool

    async def take(self, name: str, rate: Rate) -> float:
        """Take the next turn of a name; return the seconds to wait until it comes. One that is not used is lost.

        Source: the generic cell rate algorithm (ITU-T I.371), with the clock of the database.

        Args:
            name: What is called.
            rate: How many calls may begin.

        Raises:
            StorageUnavailable: PostgreSQL cannot be reached.
        """
        values = _values(name, rate)
        with mapped_faults(f"cannot take a turn of {name}"):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_SQL["take_turn"], values)).fetchone()
        return 0.0 if row is None else max(float(row["wait"]), 0.0)

    async def delay(self, name: str, rate: Rate, seconds: float) -> None:
        """Let no call of a name begin for some seconds, in any process: its server asked for that.

        Args:
            name: What is called.
            rate: How many calls may begin; at least one turn was taken.
            seconds: How long.

        Raises:
            StorageUnavailable: PostgreSQL cannot be reached.
        """
        with mapped_faults(f"cannot delay the turns of {name}"):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["delay_turns"], {**_values(name, rate), "seconds": seconds})


def _values(name: str, rate: Rate) -> dict[str, Any]:
    return {"name": name, "apart": rate.seconds / rate.calls, "burst": rate.burst}
