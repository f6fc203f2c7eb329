"""Errors of psycopg and its pool, turned into ours before they leave us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import psycopg_pool
from psycopg import errors

from ..errors import AdjournError, InvalidInput, StorageUnavailable

__all__ = ["connection_lost", "first_line", "mapped_faults", "to_adjourn", "worth_repeating"]

_AGAIN: Final = "Try again; what had been acknowledged is stored."
# Read from top to bottom: the first class that fits an error says what its reader can do.
_ADVICE: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (psycopg_pool.PoolClosed, "The storage was closed while it was still in use; open it again."),
    (psycopg_pool.PoolTimeout, "Check that the server answers; if it does, raise ADJOURN_POOL_SIZE."),
    (psycopg_pool.TooManyRequests, "Raise ADJOURN_POOL_SIZE."),
    (errors.InsufficientPrivilege, "Grant the role that right, or connect as the owner of adjourn's tables."),
    (errors.InvalidPassword, "Check the user and the password in ADJOURN_DATABASE_URL."),
    (errors.InvalidAuthorizationSpecification, "Check the user in ADJOURN_DATABASE_URL and the server's pg_hba.conf."),
    (errors.InvalidCatalogName, "Create the database, or correct its name in ADJOURN_DATABASE_URL."),
    (errors.UndefinedTable, "Tables are gone or not on the search_path; open the storage again to make them."),
    (errors.InvalidSchemaName, "adjourn's schema is gone; open the storage again to make it."),
    (errors.ReadOnlySqlTransaction, "The server only reads (a standby?); connect to the primary."),
    (errors.TooManyConnections, "Raise the server's max_connections, or lower ADJOURN_POOL_SIZE."),
    (errors.DiskFull, "Make room on the server's disk."),
    (errors.QueryCanceled, "The statement was cancelled (statement_timeout?). " + _AGAIN),
    (errors.SerializationFailure, _AGAIN),
    (errors.DeadlockDetected, _AGAIN),
    (errors.LockNotAvailable, _AGAIN),
    (psycopg.OperationalError, "Check that the server runs and can be reached. " + _AGAIN),
    (psycopg.InterfaceError, "The connection was lost. " + _AGAIN),
    (psycopg.Error, "This should not happen with tables that nobody else changed; report it with the message."),
)  # fmt: skip

_NOT_LOST: Final = (
    psycopg_pool.PoolTimeout,
    psycopg_pool.PoolClosed,
    psycopg_pool.TooManyRequests,
    errors.PipelineAborted,
)
# admin_shutdown, crash_shutdown, idle_session_timeout, idle_in_transaction_session_timeout
_LOST_STATES: Final = frozenset({"57P01", "57P02", "57P05", "25P03"})


@contextmanager
def mapped_faults(doing: str, *, thread_id: str | None = None) -> Iterator[None]:
    """Turn psycopg's errors inside a block, with or without `await`, into ours; and Python's about text that is none.

    Args:
        doing: What is being done, to begin the message with, such as `"cannot list the runs"`.
        thread_id: The run it is done for, if it is done for one.

    Raises:
        StorageUnavailable: PostgreSQL or the pool failed; the message says what to do.
        InvalidInput: PostgreSQL cannot hold a value, such as text with a zero byte or with half a character.
    """
    try:
        yield
    except psycopg.Error as error:
        raise to_adjourn(error, doing, thread_id=thread_id) from error
    except UnicodeEncodeError as error:  # psycopg leaves it as it is
        raise _not_storable(error, doing, thread_id) from error


def to_adjourn(error: psycopg.Error, doing: str, *, thread_id: str | None = None) -> AdjournError:
    """Return the error of ours that stands for one of psycopg's.

    Args:
        error: What psycopg raised. Its first line goes into the message; details, which may quote rows, do not.
        doing: What was being done.
        thread_id: The run it was done for.
    """
    if isinstance(error, psycopg.DataError):
        return _not_storable(error, doing, thread_id)
    advice = next(text for kind, text in _ADVICE if isinstance(error, kind))
    return StorageUnavailable(f"PostgreSQL: {doing}: {first_line(error)}. {advice}", thread_id=thread_id)


def _not_storable(error: Exception, doing: str, thread_id: str | None) -> InvalidInput:
    return InvalidInput(
        f"PostgreSQL: {doing}: {first_line(error)}. Remove what it cannot hold (zero bytes in text, for example).",
        thread_id=thread_id,
    )


def connection_lost(error: psycopg.Error) -> bool:
    """Say whether an error means that the connection is dead, so that a repeatable statement may be repeated.

    Args:
        error: What psycopg raised. The pool's own errors do not count: the pool has waited already.
    """
    if isinstance(error, _NOT_LOST):
        return False
    if error.sqlstate is None:
        # Errors that the server sent carry a code; without one the connection broke on the way.
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate in _LOST_STATES or error.sqlstate.startswith("08")


def worth_repeating(error: psycopg.Error) -> bool:
    """Say whether the same statement, if it may be done twice, has a chance a moment later on a fresh connection.

    So it is with a lost connection, a server that starts, stops, or is no longer the primary, a pool whose connections
    are all dead, and transactions that got into each other's way.

    Args:
        error: What psycopg raised.
    """
    passing = (
        psycopg_pool.PoolTimeout,
        errors.CannotConnectNow,
        errors.ReadOnlySqlTransaction,
        errors.DeadlockDetected,
        errors.SerializationFailure,
    )
    return isinstance(error, passing) or connection_lost(error)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without its full stop; its class when it has no message.

    Args:
        error: Any error.
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .") if lines else type(error).__name__
