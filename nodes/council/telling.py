"""What happens in a council, told while it happens: LangGraph's custom events, for whoever watches the run.

Each is `{"type": "council", "event": …, …}`; `adjourn run` and `adjourn show --follow` show them as lines.
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
        write({"type": "council", "event": event, **details})

    return tell
