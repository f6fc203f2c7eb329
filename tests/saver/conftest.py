"""A saver on a database of the test's own, and a watch on the event loop."""

import asyncio
import inspect
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adjourn.checkpoints import Storage, open_storage
from adjourn.settings import load_settings

# The machine may be busy, so a turn of the loop may take long; a call that blocks takes longer.
BLOCKED_SECONDS = 2.0


@pytest_asyncio.fixture(autouse=True)
async def unblocked_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail an asynchronous test if anything blocks the event loop; says where."""
    if not inspect.iscoroutinefunction(request.function):
        yield
        return
    loop, thread_id, seen, ended = asyncio.get_running_loop(), threading.get_ident(), [], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            if not answered.wait(BLOCKED_SECONDS) and not ended.is_set():
                stack = traceback.format_stack(sys._current_frames().get(thread_id))
                # fixtures that make databases are not what is watched
                if not any("_pytest/fixtures.py" in line for line in stack):
                    seen.append("".join(stack[-6:]))
                answered.wait(10)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    ended.set()
    await asyncio.to_thread(watcher.join)
    assert not seen, f"the event loop was blocked for {BLOCKED_SECONDS} s:\n{seen[0]}"


@pytest_asyncio.fixture
async def storage(database: str) -> AsyncIterator[Storage]:
    async with open_storage(load_settings(), database) as opened:
        yield opened
