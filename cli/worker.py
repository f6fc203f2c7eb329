"""`adjourn worker`: a process that drives queued runs until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from .exits import Exit
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    from ..engine import AsyncEngine
    from ..engine.worker import Worker

__all__ = ["worker"]

_AGAIN_SECONDS: Final = 0.5
# beyond the time to drain: connections are given back, events and notices written
_CLOSING_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def worker(
    session: Session,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="The most runs that are driven at once.")] = 8,
    queues: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Take only runs of these workflows; commas between. Default: of all that are known here.",
        ),
    ] = None,
) -> int:
    """Drive queued runs, of all tenants, until it is told to stop; start as many workers as you like, on any machine.

    It goes on with runs whose process died, lets deadlines act and sends notices. SIGTERM or Ctrl-C: runs stop before their
    next step and are handed to other workers. A second one, or the end of ADJOURN_DRAIN_SECONDS: it ends at once, and other
    workers go on when the leases run out.

    Examples: `adjourn worker`, `adjourn worker --concurrency 32 --queues review,contract`
    """
    names = [name for part in queues.split(",") if (name := part.strip())] if queues is not None else None
    with suppress(KeyboardInterrupt):  # told to stop while it waited for the database: it has taken nothing yet
        asyncio.run(_work(session, concurrency, names))
    return Exit.COMPLETED


async def _work(session: Session, concurrency: int, names: list[str] | None) -> None:
    from ..engine import AsyncEngine
    from ..engine.worker import Worker
    from ..errors import UnknownWorkflow

    settings = session.settings(least="warning")
    async with AsyncExitStack() as stack:

        async def open_engine() -> AsyncEngine:
            opened = AsyncEngine.open(session.database, settings=settings, channel="worker")
            return await stack.enter_async_context(opened)

        engine = await _patiently(session, open_engine, settings.storage_patience)
        known = engine.registry.names()
        if unknown := [name for name in names or () if name not in known]:
            raise UnknownWorkflow(f"There is no workflow {unknown[0]!r} here; known: {', '.join(known)}.")
        running = Worker(engine, concurrency=concurrency, workflows=names)
        _obey_signals(running, settings.drain_seconds + _CLOSING_SECONDS)
        session.err.print(
            f"Worker {os.getpid()} takes runs of {', '.join(names or known)}, {concurrency} at once. Ctrl-C stops it.",
            style="dim",
            soft_wrap=True,
        )
        if not await running.run():
            _end_at_once(Exit.FAILED)


async def _patiently(session: Session, attempt: Callable[[], Awaitable[AsyncEngine]], seconds: float) -> AsyncEngine:
    """Open the engine; a worker that starts while the database restarts, after a power cut say, waits for it."""
    from ..errors import StorageUnavailable

    deadline = time.monotonic() + seconds
    while True:
        try:
            return await attempt()
        except StorageUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            session.err.print(
                f"{error.message} Trying again for {seconds:.0f} seconds.", style="yellow", soft_wrap=True
            )
        await asyncio.sleep(_AGAIN_SECONDS)


def _obey_signals(running: Worker, seconds: float) -> None:
    """Drain at the first signal, and end at once at the second or after so many seconds.

    A node that blocks the event loop holds up the drain, but neither the second signal nor the end: signals are heard
    between any two steps of Python, and the time runs in a thread.
    """
    loop = asyncio.get_running_loop()
    told: list[int] = []

    def tell(number: int, _: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1:
            _end_at_once(128 + number)
        limit = threading.Timer(seconds, _end_at_once, (Exit.FAILED,))
        limit.daemon = True
        limit.start()
        with suppress(RuntimeError):  # the loop has ended, and the process is about to
            loop.call_soon_threadsafe(running.drain)

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asks for that
            signal.signal(number, tell)


def _end_at_once(code: int) -> None:
    """End as a kill would: leases run out, and other workers go on. Nothing is recorded that might not be so."""
    with suppress(Exception):  # whoever was writing at this moment may have been interrupted in it
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
