"""What tests serve in their own process: workers, and servers of the standard library in a thread of their own."""

import asyncio
import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from adjourn.engine.worker import Worker
from support.workflows import Trail, chain, mark

__all__ = ["Gate", "Serving", "served"]

# runs a worker in this process for the length of a block
Serving = Callable[..., AbstractAsyncContextManager[Worker]]
Server = TypeVar("Server", bound=socketserver.BaseServer)


class Gate:
    """A workflow whose first node waits until it is let go, and counts how many wait at once."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.inside = self.most = 0
        self.graph = chain(("wait", self.wait), ("after", mark("after")))

    async def wait(self, state: Trail) -> Trail:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.reached.set()
        await self.open.wait()
        self.inside -= 1
        return {"trail": ["wait"]}


@contextlib.contextmanager
def served(server: Server) -> Iterator[Server]:
    """Serve for the length of a block; handlers that wait for `server.closing` are let go at its end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()
