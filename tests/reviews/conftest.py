"""An engine on a database of the test's own, opened by a trusted program that vouches for people."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adjourn import AsyncEngine, Principal
from support import workflows

KIM = Principal("kim")


@pytest.fixture
def known() -> dict[str, Any]:
    return {"asking": workflows.asking, "plain": workflows.plain, "parallel": workflows.parallel()}


@pytest.fixture
async def engine(database: str, known: dict[str, Any]) -> AsyncIterator[AsyncEngine]:
    async with AsyncEngine.open(database, workflows=known, principal=KIM) as opened:
        yield opened
