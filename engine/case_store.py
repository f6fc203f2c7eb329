"""Cases in the database: remembered under the lease of a drive, found by words and by meaning, forgotten.

Every statement names the tenant; what is not the tenant's is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ..checkpoints.faults import mapped_faults
from ..checkpoints.patience import patiently
from ..checkpoints.pool import Pool
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from ..errors import LeaseLost
from ..state.cases import Case, NewCase
from .case_vectors import CaseVectors, Vector
from .case_words import Words
from .cursors import read_case_cursor

__all__ = ["CaseStore", "Found"]

Found = tuple[str, float]
"""The id of a case, and how much it is like what was asked: above 0, at most 1."""

_SQL: Final = load_queries(__package__, "cases.sql")


class CaseStore:
    """Keeps the cases of all tenants.

    Args:
        pool: The connections.
        seal: Encrypts texts and outcomes where there is a key.
        words: Turns texts into words.
        days: How long cases are kept; None for ever. Older ones are not shown, whether they have been removed yet or not.
        patience: Seconds to wait for a database that is away.
    """

    def __init__(self, pool: Pool, seal: Seal, words: Words, days: int | None, patience: float) -> None:
        self.vectors = CaseVectors(pool, patience)
        self._pool = pool
        self._seal = seal
        self._words = words
        self._days = days
        self._patience = patience

    async def known(self, tenant: str, ids: Sequence[str]) -> bool:
        """Say whether a case is there already, under one of its ids."""
        return bool(await self._rows("look for a case", "known_case", tenant=tenant, ids=list(ids)))

    async def add(
        self, tenant: str, thread_id: str, token: int, ids: Sequence[str], case: NewCase, vector: Vector | None
    ) -> bool:
        """Remember a case; of one that is there already nothing changes.

        Args:
            tenant: Whose it is.
            thread_id: The run that it comes from.
            token: The lease under which that is driven.
            ids: Its id, and those that it may have been left under before.
            case: The case.
            vector: What it means, where a model is set; `CaseVectors.ensure` was called.

        Returns:
            Whether it is new.

        Raises:
            LeaseLost: Another process drives the run now; nothing was stored.
            StorageUnavailable: The database cannot be reached.
        """
        words, length = await asyncio.to_thread(self._words.vector, tenant, case.kind, case.text)
        values = {
            "tenant": tenant, "id": ids[0], "ids": list(ids), "kind": case.kind, "thread_id": thread_id, "token": token,
            "words": words, "length": length,
            "content": Jsonb(self._seal.close({"text": case.text, "outcome": case.outcome})),
        }  # fmt: skip

        async def attempt() -> DictRow | None:
            async with self._pool.connection() as connection, connection.transaction():
                row = await (await connection.execute(_SQL["add_case"], values)).fetchone()
                if row is not None and row["fresh"] and vector is not None:
                    await self.vectors.add(connection, tenant, ids[0], vector)
                return row

        with mapped_faults("cannot remember a case", thread_id=thread_id):
            row = await patiently(attempt, self._patience)
        if row is None or not row["held"]:
            raise LeaseLost(
                f"Run {thread_id} is driven by another process now; its case was not remembered here.",
                thread_id=thread_id,
            )
        return bool(row["fresh"])

    async def by_words(
        self, tenant: str, kind: str | None, text: str, *, limit: int, apart_from: str | None
    ) -> list[Found]:
        """Return the cases that share most words with a text, best first.

        Args:
            tenant: Whose.
            kind: Of which kind; None for all.
            text: The text.
            limit: The most.
            apart_from: A run whose own cases are left out.
        """
        asked, length = await asyncio.to_thread(self._words.asked, tenant, text)
        if not asked:
            return []
        values = {
            **self._scope(tenant, kind),
            "except": apart_from,
            "limit": limit,
            "asked": Jsonb(asked),
            "length": float(length),
        }
        values["scope"] = self._words.scope(tenant, kind)
        rows = await self._rows("search the cases", "find_by_words", **values)
        return [(row["id"], float(row["score"])) for row in rows]

    async def by_meaning(
        self, tenant: str, kind: str | None, vector: Vector, *, limit: int, apart_from: str | None
    ) -> list[Found]:
        """Return the cases nearest to a vector, among those whose vector is of the same model, nearest first."""
        scope = self._scope(tenant, kind)
        return await self.vectors.find(vector, **scope, **{"except": apart_from}, limit=limit)

    async def read(self, tenant: str, found: Sequence[Found]) -> list[Case]:
        """Return cases with their scores, in the given order; one that was forgotten meanwhile is left out.

        Raises:
            ConfigurationError: A case was encrypted with a key that is not among ours.
        """
        rows = await self._rows("read cases", "read_cases", tenant=tenant, ids=[each for each, _ in found])
        by_id = {row["id"]: row for row in rows}
        return [self._case(by_id[each], score) for each, score in found if each in by_id]

    async def newest(self, tenant: str, kind: str | None, *, limit: int, after: str | None) -> list[Case]:
        """Return a page of cases, newest first.

        Raises:
            InvalidInput: `after` is of no page.
        """
        values = {**self._scope(tenant, kind), "limit": limit, **read_case_cursor(after)}
        return [self._case(row, None) for row in await self._rows("list the cases", "newest_cases", **values)]

    async def forget(self, tenant: str, id: str, who: Mapping[str, str]) -> bool:  # noqa: A002
        """Remove a case, and say whether it was there. The audit of its run says so in the same transaction.

        Args:
            tenant: Whose it is.
            id: Its id.
            who: Who wants it: by, source and channel.
        """
        return bool(await self._rows("forget a case", "forget_case", tenant=tenant, id=id, who=Jsonb(dict(who))))

    def _scope(self, tenant: str, kind: str | None) -> dict[str, Any]:
        since = None if self._days is None else datetime.now(UTC) - timedelta(days=self._days)
        return {"tenant": tenant, "kind": kind, "since": since}

    def _case(self, row: DictRow, score: float | None) -> Case:
        content = self._seal.open(row["content"])
        return Case(
            row["id"], row["kind"], row["thread_id"], content["text"], content["outcome"], row["remembered_at"], score
        )

    async def _rows(self, doing: str, query: str, **values: Any) -> list[DictRow]:
        async def attempt() -> list[DictRow]:
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL[query], values)).fetchall()

        with mapped_faults(f"cannot {doing}"):
            return await patiently(attempt, self._patience)
