"""Servers of the standard library in a thread of their own."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["served"]


Server = TypeVar("Server", bound=socketserver.BaseServer)


@contextlib.contextmanager
def served(server: Server) -> Iterator[Server]:
    """Serve for the length of a block; handlers that wait for `server.closing` are let go at its end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()
