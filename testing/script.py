"""The script of a scripted model: who gets which line, whatever the number of threads that ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from ..errors import AdjournError

__all__ = ["Script", "ScriptExhausted"]

Asked = TypeVar("Asked")
Line = TypeVar("Line")


class ScriptExhausted(AdjournError, AssertionError):
    """More was asked than the script holds (or less, where a test wants all of it to be used).

    It is an assertion as well, so that a test runner shows it as a failed expectation.
    """


class Script(Generic[Asked, Line]):
    """A list of lines that are given out once each, in order, or a function that answers by content.

    Threads may ask at the same time: each line of a list goes to exactly one of them. A function may be called by
    several threads at once and must be fit for that.

    Args:
        lines: The lines, or `(what was asked) -> line`.
        owner: Who plays the script, for messages, such as `ModelServer`.
    """

    def __init__(self, lines: Iterable[Line] | Callable[[Asked], Line], *, owner: str) -> None:
        self._answer = lines if callable(lines) else None
        self._lines = () if callable(lines) else tuple(lines)
        self._owner = owner
        self._asked = 0
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        """How many lines were asked for, those beyond the end included."""
        return self._asked

    def next(self, asked: Asked) -> Line:
        """Return the line for what is asked.

        Args:
            asked: What a function of the script gets to see; a list ignores it.

        Raises:
            ScriptExhausted: A list has no line left. Whatever a function raises passes through.
        """
        with self._lock:
            position = self._asked
            self._asked += 1
        if self._answer is not None:
            return self._answer(asked)
        if position >= len(self._lines):
            raise ScriptExhausted(
                f"The script of this {self._owner} holds {_lines(len(self._lines))} and was asked for line "
                f"{position + 1}. Add a line, or give a function that answers by content."
            )
        return self._lines[position]

    def problem(self) -> str | None:
        """Say in one line how the calls differed from the list; None when each line was used exactly once.

        The script of a function has no problem: it holds no fixed number of lines.
        """
        if self._answer is not None or self._asked == len(self._lines):
            return None
        return f"The script of this {self._owner} holds {_lines(len(self._lines))} and was asked for {self._asked}."


def _lines(count: int) -> str:
    return f"{count} line" if count == 1 else f"{count} lines"
