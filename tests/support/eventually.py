"""Wait for something to become true, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")
_PAUSE = 0.02


async def eventually(condition: Callable[[], Found | Awaitable[Found]], *, timeout: float = 10.0) -> Found:
    """Call a condition, plain or async, until what it returns is true; return that.

    Fails the test with the condition's last value after `timeout` seconds. Errors of the condition are not caught.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not true after {timeout} s; the last value was {found!r}"
        await asyncio.sleep(_PAUSE)


def wait_for(condition: Callable[[], Found], *, timeout: float = 10.0) -> Found:
    """`eventually` for tests that are not coroutines."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true after {timeout} s; the last value was {found!r}"
        time.sleep(_PAUSE)
    return found
