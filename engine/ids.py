"""Thread ids: made by the engine, or given by the caller."""

from __future__ import annotations

import secrets
import time
import uuid

from ..errors import InvalidInput

__all__ = ["check_thread_id", "new_thread_id"]


def new_thread_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562, section 5.7): unguessable, and in the order of creation."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def check_thread_id(thread_id: str) -> str:
    """Return the id that a caller gave, if it is one.

    Raises:
        InvalidInput: It is not 1-200 printable characters.
    """
    if not 1 <= len(thread_id) <= 200 or not thread_id.isprintable():
        raise InvalidInput("A thread id is 1 to 200 printable characters; leave it out to have one made.")
    return thread_id
