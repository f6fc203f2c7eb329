"""A checkpoint that was read already, for the next read of it: who drives a thread looks before LangGraph does.

Under a lease nobody else stores anything, so what the driver has just read is what LangGraph would read a moment later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

__all__ = ["UNREAD", "Unread", "primed", "take_primed"]


class Unread:
    """That nothing was read."""


UNREAD: Final = Unread()
# What is at hand: a checkpoint, None for a thread without any, UNREAD for nothing; or what waits for that.
AtHand: TypeAlias = "CheckpointTuple | Unread | None"
Coming: TypeAlias = Callable[[], Awaitable[AtHand]]
_read: ContextVar[dict[str, AtHand | Coming] | None] = ContextVar("adjourn_read", default=None)


@contextmanager
def primed(thread_id: str, saved: AtHand | Coming) -> Iterator[None]:
    """Give the first read of a thread's latest root checkpoint, in this context, what was read already.

    Args:
        thread_id: The thread. The caller holds its lease, and did when it read.
        saved: What it read: None for a thread without checkpoints, UNREAD for nothing, so that it is read.
    """
    before = _read.set(None if isinstance(saved, Unread) else {thread_id: saved})
    try:
        yield
    finally:
        _read.reset(before)


async def take_primed(config: RunnableConfig) -> AtHand:
    """Return what is at hand for a read, once; UNREAD where it must be read."""
    read, names = _read.get(), config["configurable"]
    if not read or names.get("checkpoint_id") or names.get("checkpoint_ns"):
        return UNREAD
    found = read.pop(str(names["thread_id"]), UNREAD)
    return await found() if callable(found) else found
