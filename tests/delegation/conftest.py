from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from adjourn import AsyncEngine, Principal, Settings
from adjourn.graphs.delegation import build

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


@pytest.fixture
def opened(database: str) -> Open:
    """Open an engine whose workflow `delegation` is built with what the test says; back-off is none."""

    def open_with(
        *, also: dict[str, Any] | None = None, settings: Settings | None = None, **options: Any
    ) -> AbstractAsyncContextManager[AsyncEngine]:
        workflows = {"delegation": build(**{"backoff_seconds": 0, **options}), **(also or {})}
        return AsyncEngine.open(database, workflows=workflows, principal=Principal("kim"), settings=settings)

    return open_with
