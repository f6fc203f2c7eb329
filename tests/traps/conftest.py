"""Each trap is a test in two halves: plain LangGraph shows the failure, adjourn does the right thing."""

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver


@pytest.fixture
async def stock_saver(database: str) -> AsyncIterator[AsyncPostgresSaver]:
    """LangGraph's own saver, as its documentation opens it."""
    async with AsyncPostgresSaver.from_conn_string(database) as saver:
        yield saver
