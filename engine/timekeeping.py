"""What a worker does at a time of its own: it admits runs, and starts what schedules want.

It looks whenever a run begins to wait or gives up its place, which the database tells; when a time comes that it knows
of; and every second, in case nobody told it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import structlog

from ..errors import AdjournError
from .admission import ADMISSION_CHANNEL
from .async_engine import AsyncEngine
from .listener import notifications
from .stopping import stopped

__all__ = ["Timekeeper"]

_LONGEST_PAUSE: Final = 1.0
_log = structlog.get_logger("adjourn")


class Timekeeper:
    """The times of one worker. Any number of workers may do this at once.

    Args:
        engine: Its engine.
        workflows: The workflows whose runs it takes; only their schedules are its business.
    """

    def __init__(self, engine: AsyncEngine, workflows: Sequence[str]) -> None:
        self._engine = engine
        self._workflows = list(workflows)
        self._told = asyncio.Event()
        self._put_off: dict[str, float] = {}

    async def keep(self) -> None:
        """Do it for ever; what fails is tried again."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                self._told.clear()
                pauses = [
                    await self._trying("start what schedules want", self._start()),
                    await self._trying("admit runs", self._admit()),
                ]
                with suppress(TimeoutError):
                    async with asyncio.timeout(min([_LONGEST_PAUSE, *(each for each in pauses if each is not None)])):
                        await self._told.wait()
        finally:
            await stopped(listening)

    async def _start(self) -> float | None:
        return await self._engine._start_scheduled(self._workflows, self._put_off)

    async def _admit(self) -> float | None:
        return (await self._engine._admit()).seconds

    async def _listen(self) -> None:
        url, settings = self._engine._listen_url, self._engine.settings
        async with aclosing(notifications(url, settings, [ADMISSION_CHANNEL])) as heard:
            async for _ in heard:
                self._told.set()

    async def _trying(self, doing: str, attempt: Awaitable[float | None]) -> float | None:
        try:
            return await attempt
        except AdjournError as error:
            _log.warning(f"a worker could not {doing}; it will try again", error=error.message)
        except Exception:  # noqa: BLE001  (a worker goes on driving whatever is wrong here)
            _log.exception(f"a worker could not {doing}; it will try again")
        return None
