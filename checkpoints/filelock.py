"""Locks on files, which the operating system drops when their holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StorageUnavailable

__all__ = ["FileLock"]

_POLL_SECONDS = 0.02


class FileLock:
    """One holder's handle on a lock file. Two handles exclude each other, in one process too.

    Args:
        path: The lock file; made (private to the user) when it is first locked, and never removed: removing it
            would let two holders lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextmanager
    def exclusive(self, seconds: float) -> Iterator[None]:
        """Hold the lock alone for the length of a block.

        Args:
            seconds: How long to wait for it.

        Raises:
            StorageUnavailable: It was not free in time.
            OSError: The file cannot be opened.
        """
        deadline = time.monotonic() + seconds
        while not self.try_exclusive():
            if time.monotonic() > deadline:
                self.close()
                raise StorageUnavailable(
                    f"Another process has held {self._path} for more than {seconds:.0f} s. "
                    f"Find it with `fuser {self._path}`; end it if it hangs, then try again."
                )
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self.close()

    def share(self) -> None:
        """Hold the lock beside any number of others. Waits for nobody but an exclusive holder.

        Raises:
            OSError: The file cannot be opened.
        """
        fcntl.flock(self._open(), fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Try to hold the lock alone (a share that is held is turned into it) and say whether that worked.

        Raises:
            OSError: The file cannot be opened.
        """
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor
