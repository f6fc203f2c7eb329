"""The latest checkpoint of a thread as a part of somebody else's statement, which saves an exchange with the database.

`Saver.from_row` makes the checkpoint of the columns.
"""

from __future__ import annotations

from typing import LiteralString

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

__all__ = ["with_latest"]

_PLACE = "{latest}"


def with_latest(query: LiteralString, thread: LiteralString) -> LiteralString:
    """Return a query with LangGraph's own subquery for the latest root checkpoint where it says `{latest}`.

    Args:
        query: The query; `{latest}` stands in parentheses behind `lateral`.
        thread: Whose: an expression for the thread id.
    """
    latest: LiteralString = AsyncPostgresSaver.SELECT_SQL
    of_root: LiteralString = f" where thread_id = {thread} and checkpoint_ns = '' order by checkpoint_id desc limit 1"
    return query.replace(_PLACE, latest + of_root)
