"""What waits to be stored: a line for each thread, all lines together bounded in bytes. No I/O here.

The order within a thread is the order of arrival, whoever stores it: a thread whose calls were taken is left alone
until they are settled. Between threads it is first come, first served, so that none starves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from .rows import Call

__all__ = ["Backlog", "Waiting"]

# Threads that one statement stores in about the time that it takes for one.
_FEW: Final = 8


class Waiting:
    """A call in its line, and the future that its caller waits for."""

    __slots__ = ("call", "done")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def succeed(self) -> None:
        """Let the caller return; nothing happens if it was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Let the caller raise; nothing happens if it was cancelled meanwhile."""
        if not self.done.done():
            self.done.set_exception(error)


class _Pause:
    """Stands in a thread's line where somebody wants the thread for themselves."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Backlog:
    """The lines of all threads of this process. Belongs to one event loop.

    Args:
        limit: Bytes that may wait, those on their way included; callers wait in `room` while there are more.
        batch: Bytes after which `take` stops; one call may be larger.
    """

    def __init__(self, *, limit: int, batch: int) -> None:
        self._limit = limit
        self._batch = batch
        self._bytes = 0
        self._lines: dict[str, deque[Waiting | _Pause]] = {}
        self._ready: deque[str] = deque()
        self._turns: deque[asyncio.Future[None]] = deque()

    @property
    def ready(self) -> bool:
        """Whether `take` would find something."""
        return bool(self._ready)

    async def room(self) -> None:
        """Wait until there is room for another call; callers are let in one after the other, in order."""
        if self._bytes < self._limit and not self._turns:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._let_in()
        try:
            await turn
        finally:
            # It stood at the head until now, so that nobody overtook it between its turn and this moment.
            self._turns.remove(turn)
            asyncio.get_running_loop().call_soon(self._let_in)

    def add(self, waiting: Waiting) -> None:
        """Put a call at the end of its thread's line."""
        self._bytes += waiting.call.size
        line = self._lines.get(waiting.call.thread_id)
        if line is None:
            self._lines[waiting.call.thread_id] = deque((waiting,))
            self._ready.append(waiting.call.thread_id)
        else:
            line.append(waiting)

    def take(self, share: int = 1) -> list[Waiting]:
        """Take what waits at this moment, up to the size of a batch; `settle` must follow.

        The calls of one thread that are taken together carry one lease token, so that they stand or fall together.

        Args:
            share: Between how many what waits is shared: so many may take now. A few threads are not shared.
        """
        taken: list[Waiting] = []
        size, left = 0, max(_FEW, -(-len(self._ready) // share))
        while self._ready and size < self._batch and left:
            before = len(taken)
            size += self._take_line(self._ready.popleft(), taken, self._batch - size)
            left -= len(taken) > before  # a thread that somebody has for themselves gives nothing
        return taken

    def settle(self, taken: Iterable[Waiting]) -> None:
        """Let the threads of calls that were taken go on with what came after them."""
        threads = dict.fromkeys(waiting.call.thread_id for waiting in taken)
        self._bytes -= sum(waiting.call.size for waiting in taken)
        for thread_id in threads:
            self._free(thread_id)
        self._let_in()

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        """Have a thread for oneself: what came before is settled, what comes later waits for the end of the block."""
        pause = _Pause()
        if thread_id in self._lines:
            self._lines[thread_id].append(pause)
        else:
            self._lines[thread_id] = deque()
            pause.reached.set_result(None)
        try:
            await pause.reached
            yield
        finally:
            # One that was given up while it waited is passed over by `take`.
            if not pause.reached.cancelled():
                self._free(thread_id)

    def _take_line(self, thread_id: str, taken: list[Waiting], room: int) -> int:
        """Take from the head of a line into `taken`; the line stays, perhaps empty, while the thread is busy."""
        line = self._lines[thread_id]
        size, count = 0, 0
        while line:
            head = line[0]
            if isinstance(head, _Pause):
                if count:
                    break
                line.popleft()
                if not head.reached.cancelled():
                    head.reached.set_result(None)
                    return 0
                continue
            if count and (size >= room or head.call.token != taken[-1].call.token):
                break
            line.popleft()
            taken.append(head)
            size, count = size + head.call.size, count + 1
        if not count:
            self._free(thread_id)
        return size

    def _free(self, thread_id: str) -> None:
        if self._lines[thread_id]:
            self._ready.append(thread_id)
        else:
            del self._lines[thread_id]

    def _let_in(self) -> None:
        if self._turns and self._bytes < self._limit and not self._turns[0].done():
            self._turns[0].set_result(None)
