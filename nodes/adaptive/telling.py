"""What happens in an adaptive run, told while it happens: LangGraph's custom events, for whoever watches it.

Each is `{"type": "adaptive", "event": …, …}`; `adjourn run` and `adjourn show --follow` show them as lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.config import get_stream_writer

__all__ = ["Tell", "teller"]

Tell = Callable[..., None]


def teller() -> Tell:
    """Return what tells an event of the running node; where nobody listens it does nothing."""
    try:
        write: Callable[[Any], None] = get_stream_writer()
    except (RuntimeError, KeyError):  # outside of a graph, as in a test of a node
        return lambda event, **_: None

    def tell(event: str, **details: Any) -> None:
        write({"type": "adaptive", "event": event, **details})

    return tell
