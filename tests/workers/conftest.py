"""Workers in the test's own process, on a database of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adjourn import AsyncEngine
from adjourn.engine.worker import Worker
from adjourn.settings import Settings
from support.serving import Serving


@pytest.fixture
def serving(database: str) -> Serving:
    """Runs a worker for the length of a block, and drains it at the end."""

    @asynccontextmanager
    async def serve(known: dict[str, Any], **options: Any) -> AsyncIterator[Worker]:
        settings = options.pop("settings", Settings(lease_seconds=2.0))
        async with AsyncEngine.open(database, workflows=known, settings=settings) as engine:
            worker = Worker(engine, **options)
            running = asyncio.create_task(worker.run())
            try:
                yield worker
            except BaseException:
                running.cancel()
                raise
            worker.drain()
            assert await running

    return serve
