"""What a node finds where it runs: who watches, the store, its thread; nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.store.base import BaseStore

__all__ = ["Tell", "store_here", "teller", "thread_here"]

Tell = Callable[..., None]


def teller(workflow: str) -> Tell:
    """Return what tells an event of the running node to whoever watches; where nobody listens it does nothing.

    Each is a custom event of LangGraph's, `{"type": workflow, "event": …, …}`; `adjourn run` and `adjourn show --follow`
    show those they know as lines.

    Args:
        workflow: Whose event it is, such as `council`.
    """
    try:
        write: Callable[[Any], None] = get_stream_writer()
    except (RuntimeError, KeyError):  # outside of a graph, as in a test of a node
        return lambda event, **_: None

    def tell(event: str, **details: Any) -> None:
        write({"type": workflow, "event": event, **details})

    return tell


def store_here() -> BaseStore | None:
    """Return the store of the graph that the node runs in; None where there is none."""
    try:
        return get_store()
    except (RuntimeError, KeyError):  # outside of a graph
        return None


def thread_here() -> str | None:
    """Return the id of the thread that the node runs in; None where there is none."""
    try:
        thread = get_config().get("configurable", {}).get("thread_id")
    except RuntimeError:  # outside of a graph
        return None
    return None if thread is None else str(thread)
