"""The engine: every verb that people, programs and doors use."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from ..checkpoints.storage import open_storage
from ..errors import AdjournError
from ..settings import Settings, load_settings
from .events import Event
from .looking import Looking
from .model import Principal
from .registry import Graph, Registry, Target
from .resuming import Resuming
from .starting import Starting
from .telemetry import configure_logs

__all__ = ["AsyncEngine"]


class AsyncEngine(Starting, Resuming, Looking):
    """Drives workflows that stop for people and go on later; made by `AsyncEngine.open()`.

    Every verb sees only its principal's tenant; anything else is unknown to it. Every verb may raise
    StorageUnavailable. What a verb has returned is committed.
    """

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        url: str | None = None,
        *,
        workflows: Mapping[str, Target | str] | None = None,
        principal: Principal | None = None,
        settings: Settings | None = None,
        channel: str = "python",
    ) -> AsyncIterator[AsyncEngine]:
        """Open an engine on a database; an async context manager.

        Args:
            url: PostgreSQL to use. Default: `ADJOURN_DATABASE_URL`, otherwise an embedded server.
            workflows: Name → graph, function that makes one, or `module:attribute`, beside those that are installed
                and those of the `langgraph.json` in the working folder.
            principal: Who acts. Default: the operating-system user, trusted.
            settings: Default: from the environment.
            channel: Through which door answers come; kept with each answer.

        Raises:
            ConfigurationError: A setting does not fit, the embedded server's folder cannot be used, or the
                `langgraph.json` of the working folder does not say what it should.
            StorageUnavailable: The database cannot be reached or refuses us.
        """
        settings = settings or load_settings()
        configure_logs(settings)
        registry = Registry(workflows, settings.project)
        async with open_storage(settings, url) as storage:
            engine = cls(storage, registry, principal or Principal.from_system(), settings, channel)
            try:
                yield engine
            finally:
                await engine._close()

    async def stream(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
    ) -> AsyncGenerator[Event, None]:
        """Start a run and yield its events while it is driven here, model tokens included.

        Closing the iteration early interrupts the run: it is recorded as failed and can be retried. Parameters and
        errors are those of `start`.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        async def run() -> None:
            try:
                await self.start(
                    workflow,
                    input,
                    thread_id=thread_id,
                    by=by,
                    context=context,
                    on_event=events.put_nowait,
                    tokens=True,
                )
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(run())
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, AdjournError):
                await task
