"""Telling of what LangGraph streams, a moment later: while the database stores a step there is time to put it into words."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from .internals import Part
from .translate import Translator
from .work import Emit

__all__ = ["Teller"]

# A short node's begin and end come within this time, and are told of together.
_MOMENT_SECONDS: Final = 0.001


class Teller:
    """Turns what one drive streams into events, in order. Belongs to one event loop.

    Args:
        translator: Knows what the parts stand for.
        emit: Gets the events.
    """

    def __init__(self, translator: Translator, emit: Emit) -> None:
        self._translator = translator
        self._emit = emit
        self._waiting: list[tuple[Part, float]] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self, part: Part) -> None:
        """Take a part, to be told of in a moment; at once if it carries what its sender may change."""
        self._waiting.append((part, time.monotonic()))
        if part[1] == "custom":
            self.tell()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_MOMENT_SECONDS, self.tell)

    def tell(self) -> None:
        """Tell of everything that was taken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts, self._waiting = self._waiting, []
        for part, at in parts:
            for event in self._translator.translate(part, at):
                self._emit(event)
