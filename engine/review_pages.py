"""Pages of reviews: the inbox, those of a run, and those whose id begins in some way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.queries import load_queries
from .model import Review
from .review_rows import ReviewRows

__all__ = ["ReviewPages"]

_SQL: Final = load_queries(__package__, "review_pages.sql")
_VOTES: Final = load_queries(__package__, "reviews.sql")["votes_on"]


class ReviewPages:
    """Lists reviews. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
        serde: Reads questions and answers.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], serde: SerializerProtocol) -> None:
        self._pool = pool
        self._rows = ReviewRows(serde)

    async def page(
        self, tenant: str, *, status: str, limit: int, filters: Mapping[str, Any], after: Mapping[str, Any]
    ) -> list[Review]:
        """Return a page of a tenant's reviews: open ones by urgency, closed ones newest first.

        Args:
            tenant: Whose.
            status: Theirs.
            limit: The most to return.
            filters: `workflow`, `role`, `held` (roles; of open reviews those that ask one of them, or everybody),
                `thread_id`, `asked_before`, `due_before`; None for no such filter.
            after: The keys of the review that ended the page before.
        """
        query = _SQL["inbox" if status == "pending" else "closed_reviews"]
        values = {"tenant": tenant, "status": status, "limit": limit, **filters, **after}
        return await self._listed(query, values)

    async def of_thread(self, tenant: str, thread_id: str, limit: int) -> list[Review]:
        """Return reviews of a run: open ones in the order in which they were asked, then closed ones, newest first."""
        return await self._listed(_SQL["reviews_of_thread"], {"tenant": tenant, "thread_id": thread_id, "limit": limit})

    async def beginning_with(self, tenant: str, start: str, limit: int) -> list[Review]:
        """Return the reviews, open or closed, whose id begins with a text."""
        pattern = re.sub(r"([\\%_])", r"\\\1", start) + "%"
        return await self._listed(
            _SQL["reviews_beginning_with"], {"tenant": tenant, "pattern": pattern, "limit": limit}
        )

    async def _listed(self, query: Any, values: Mapping[str, Any]) -> list[Review]:
        with mapped_faults("cannot list the reviews"):
            async with self._pool.connection() as connection:
                # never prepared: a plan for any combination of filters would be a plan for none
                rows = await (await connection.execute(query, values, prepare=False)).fetchall()
                named = {
                    "thread_ids": [row["thread_id"] for row in rows],
                    "review_ids": [row["review_id"] for row in rows],
                }
                votes = await (await connection.execute(_VOTES, named)).fetchall() if rows else []
        by_review: dict[tuple[str, str], list[DictRow]] = {}
        for vote in votes:
            by_review.setdefault((vote["thread_id"], vote["review_id"]), []).append(vote)
        return [self._rows.one(row, by_review.get((row["thread_id"], row["review_id"]), ())).review for row in rows]
