"""PostgreSQL arrays in binary, packed by hand.

psycopg derives the type of a list from its elements, so that an empty list, one of nulls, or one with a large number
makes another statement, to be prepared and planned again. These have the type that they are called by.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from psycopg import AsyncConnection, pq
from psycopg.adapt import Dumper

__all__ = ["Packed", "PackedDumper", "bigints", "booleans", "byteas", "register_arrays", "texts", "utf8s"]

_HEAD: Final = struct.Struct("!iiIii").pack  # dimensions, has nulls, type of elements, length, lower bound
_LENGTH: Final = struct.Struct("!i").pack
_EIGHT: Final = struct.Struct("!iq").pack
_NULL: Final = b"\xff\xff\xff\xff"
_BOOL, _BYTEA, _INT8, _TEXT = 16, 17, 20, 25


class Packed(bytes):
    """A value that is in PostgreSQL's binary form already."""


class PackedDumper(Dumper):
    """Hands a `Packed` to PostgreSQL as it is; the cast in the statement says what it is."""

    format = pq.Format.BINARY

    def dump(self, obj: Any) -> bytes:
        """Return the bytes."""
        return bytes(obj)


def register_arrays(connection: AsyncConnection[Any]) -> None:
    """Make a connection understand packed parameters; costs nothing when it does."""
    connection.adapters.register_dumper(Packed, PackedDumper)


def texts(items: Iterable[str | None]) -> Packed:
    """Pack a `text[]`; None becomes null."""
    return _packed(_TEXT, [_NULL if item is None else _sized(item.encode()) for item in items])


def byteas(items: Iterable[bytes | None]) -> Packed:
    """Pack a `bytea[]`; None becomes null."""
    return _packed(_BYTEA, [_NULL if item is None else _sized(item) for item in items])


def utf8s(items: Iterable[bytes]) -> Packed:
    """Pack a `text[]` of texts that are encoded already."""
    return _packed(_TEXT, [_sized(item) for item in items])


def bigints(items: Iterable[int | None]) -> Packed:
    """Pack a `bigint[]`; None becomes null."""
    return _packed(_INT8, [_NULL if item is None else _EIGHT(8, item) for item in items])


def booleans(items: Iterable[bool]) -> Packed:
    """Pack a `boolean[]`."""
    return _packed(_BOOL, [_sized(b"\1" if item else b"\0") for item in items])


def _sized(data: bytes) -> bytes:
    return _LENGTH(len(data)) + data


def _packed(element: int, items: list[bytes]) -> Packed:
    return Packed(_HEAD(1, 1, element, len(items), 1) + b"".join(items))
