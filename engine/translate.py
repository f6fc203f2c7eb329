"""LangGraph's stream, translated to the engine's events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from .child_waits import is_wait_id
from .events import Custom, Event, ModelToken, NodeFinished, NodeStarted
from .internals import Part

__all__ = ["Translator"]


class Translator:
    """Turns the parts of one drive's stream into events.

    Args:
        thread_id: The run.

    Attributes:
        failed_node: The innermost node that failed first, if one did.
    """

    def __init__(self, thread_id: str) -> None:
        self.failed_node: str | None = None
        self._thread_id = thread_id
        self._started: dict[str, float] = {}
        # bound once: a logger from `get_logger` is made anew for each line, even for one that is not written
        self._log = structlog.get_logger("adjourn").bind()

    def translate(self, part: Part, at: float) -> Iterator[Event]:
        """Yield the events that one part of the stream stands for.

        Args:
            part: The part.
            at: When it came, in seconds that only grow.
        """
        namespace, mode, data = part
        if mode == "messages":
            yield from self._token(*data)
            return
        path = tuple(piece.partition(":")[0] for piece in namespace)
        if mode == "custom":
            yield Custom(self._thread_id, path, data)
        elif mode == "tasks":
            yield self._finished(data, path, at) if "result" in data else self._begun(data, path, at)

    def _begun(self, task: dict[str, Any], path: tuple[str, ...], at: float) -> Event:
        self._started[task["id"]] = at
        self._log.debug("node started", node=task["name"])
        return NodeStarted(self._thread_id, task["name"], path)

    def _finished(self, task: dict[str, Any], path: tuple[str, ...], at: float) -> Event:
        name, error = task["name"], task["error"]
        seconds = at - self._started.pop(task["id"], at)
        outcome = "failed" if error is not None else _pause(task["interrupts"]) if task["interrupts"] else "done"
        if outcome == "failed" and self.failed_node is None:
            self.failed_node = name
        self._log.debug("node finished", node=name, outcome=outcome, seconds=round(seconds, 4))
        return NodeFinished(
            self._thread_id,
            name,
            path,
            seconds,
            changed=tuple(task["result"]) if isinstance(task["result"], dict) else (),
            outcome=outcome,
            error=None
            if error is None
            else f"{type(error).__name__}: {error}"
            if isinstance(error, BaseException)
            else str(error),
        )

    def _token(self, message: Any, metadata: dict[str, Any]) -> Iterator[Event]:
        # Whole messages that nodes return come through here as well; only pieces of a stream are tokens.
        if type(message).__name__.endswith("Chunk") and message.text:
            yield ModelToken(self._thread_id, str(metadata.get("langgraph_node", "")), message.text)


def _pause(interrupts: list[dict[str, Any]]) -> str:
    return "waits" if all(is_wait_id(each["id"]) for each in interrupts) else "asked"
