"""Telling of what LangGraph streams, a moment later: while the database stores a step there is time to put it into words."""

from __future__ import annotations

import asyncio
import contextvars
import time
from typing import Final

from .internals import Part
from .translate import Translator
from .work import Emit

__all__ = ["Moment", "Teller"]

# A short node's begin and end come within this time, and are told of together.
_MOMENT_SECONDS: Final = 0.001


class Moment:
    """The moment after which tellers tell; one timer for all the drives of an engine. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Teller, contextvars.Context] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, teller: Teller) -> None:
        """Have a teller tell when the moment has passed that is under way, in the context of now."""
        self._waiting[teller] = contextvars.copy_context()
        if self._timer is None:
            # it serves all drives, so it must not keep the context of the first
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_MOMENT_SECONDS, self._pass, context=contextvars.Context())

    def forget(self, teller: Teller) -> None:
        """Leave out a teller that has told already."""
        self._waiting.pop(teller, None)

    def _pass(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for teller, context in waiting.items():
            context.run(teller.tell)


class Teller:
    """Turns what one drive streams into events, in order. Belongs to one event loop.

    Args:
        translator: Knows what the parts stand for.
        emit: Gets the events; it must not raise.
        moment: Says when.
    """

    def __init__(self, translator: Translator, emit: Emit, moment: Moment) -> None:
        self._translator = translator
        self._emit = emit
        self._moment = moment
        self._waiting: list[tuple[Part, float]] = []

    def take(self, part: Part) -> None:
        """Take a part, to be told of in a moment; at once if it carries what its sender may change."""
        if not self._waiting:
            self._moment.add(self)
        self._waiting.append((part, time.monotonic()))
        if part[1] == "custom":
            self.tell()

    def tell(self) -> None:
        """Tell of everything that was taken."""
        self._moment.forget(self)
        parts, self._waiting = self._waiting, []
        for part, at in parts:
            for event in self._translator.translate(part, at):
                self._emit(event)
