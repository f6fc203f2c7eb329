"""LangGraph's store without a background task."""

from __future__ import annotations

from langgraph.store.postgres.aio import AsyncPostgresStore

__all__ = ["BareStore"]


class BareStore(AsyncPostgresStore):
    """The store for `abatch` and `setup` alone.

    The stock one starts a task that collects single calls as soon as it is made, and nobody would end that.
    """

    def _ensure_task(self) -> None:
        pass
