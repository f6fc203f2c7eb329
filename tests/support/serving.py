"""What tests with workers share."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from adjourn.engine.worker import Worker
from support.workflows import Trail, chain, mark

# runs a worker in this process for the length of a block
Serving = Callable[..., AbstractAsyncContextManager[Worker]]


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
