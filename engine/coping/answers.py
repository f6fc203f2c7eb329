"""What is given again for a while, in PostgreSQL, by tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ...checkpoints.faults import mapped_faults
from ...checkpoints.queries import load_queries

__all__ = ["Answers"]

_SQL: Final = load_queries(__package__, "coping.sql")


class Answers:
    """Keeps values for a while. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Keys are stored as digests; values as the saver stores them, so encrypted where there is a key. A value that was
    encrypted with a key that is not at hand, or cannot be read any more, counts as not kept.

    Args:
        pool: Connections.
        serde: The saver's serializer.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], serde: SerializerProtocol) -> None:
        self._pool = pool
        self._serde = serde

    async def get(self, tenant: str, keys: Sequence[str], serde: SerializerProtocol | None = None) -> dict[str, Any]:
        """Return what is kept under some keys of a tenant.

        Args:
            tenant: Whose.
            keys: The keys.
            serde: Reads values of other types than the saver's own serializer may build.
        """
        by_digest = {_digest(key): key for key in keys}
        with mapped_faults("cannot read what is kept"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["cached"], {"tenant": tenant, "keys": list(by_digest)})
                rows = await cursor.fetchall()
        found = {}
        for row in rows:
            try:
                found[by_digest[row["key"]]] = (serde or self._serde).loads_typed((row["kind"], row["data"]))
            except Exception:  # noqa: BLE001, S112  (another key, another version: as if it were not there)
                continue
        return found

    async def keep(
        self, tenant: str, key: str, value: Any, seconds: float, serde: SerializerProtocol | None = None
    ) -> None:
        """Keep a value for some seconds; one that cannot be stored is not kept."""
        try:
            kind, data = (serde or self._serde).dumps_typed(value)
        except Exception:  # noqa: BLE001  (it is the workflow's value, and it works without being kept)
            return
        values = {"tenant": tenant, "key": _digest(key), "kind": kind, "data": data, "seconds": seconds}
        with mapped_faults("cannot keep an answer"):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["keep"], values)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
