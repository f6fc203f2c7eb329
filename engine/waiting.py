"""The verb that waits for a run that is driven anywhere."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final, get_args

from ..errors import InvalidInput, StorageUnavailable
from .base import EngineBase
from .follow import POLL_SECONDS, woken
from .model import Run, RunStatus
from .runs import to_run

__all__ = ["Waiting"]

_ENDED: Final[frozenset[RunStatus]] = frozenset({"completed", "failed", "cancelled"})
_KNOWN: Final = frozenset(get_args(RunStatus))
_AWAY_SECONDS: Final = 0.2


class Waiting(EngineBase):
    """Waits for runs."""

    async def wait(
        self,
        thread_id: str,
        *,
        until: RunStatus | Collection[RunStatus] = "paused",
        timeout: float | None = None,  # noqa: ASYNC109  (the name that callers know from elsewhere)
    ) -> Run:
        """Wait until a run stands as asked, or has ended.

        The database says when something happens in the run; besides, it is looked at every few seconds, so that nothing is
        missed however connections fare. A database that is away is waited for (`ADJOURN_STORAGE_PATIENCE`).

        Args:
            thread_id: The run.
            until: A status, or several. A run that has completed, failed or was cancelled is not waited for in any case.
            timeout: After this many seconds the run is returned as it stands then; None: never.

        Returns:
            The run with its state and open questions. Look at its status: it tells whether the time was over.

        Raises:
            UnknownThread: There is no such run.
            InvalidInput: There is no such status.
        """
        wanted = {until} if isinstance(until, str) else set(until)
        if unknown := wanted - _KNOWN:
            raise InvalidInput(f"A run is never {sorted(unknown)[0]!r}; it is one of: {', '.join(sorted(_KNOWN))}.")
        deadline = None if timeout is None else time.monotonic() + timeout
        lost_since: float | None = None
        async with self._listener.woken(thread_id) as waker:
            while True:
                waker.clear()
                left = None if deadline is None else deadline - time.monotonic()
                try:
                    run = await self._standing(thread_id, wanted | _ENDED, over=left is not None and left <= 0)
                except StorageUnavailable:
                    lost_since = lost_since or time.monotonic()
                    if time.monotonic() - lost_since > self.settings.storage_patience:
                        raise
                    await woken(waker, _AWAY_SECONDS)
                    continue
                if run is not None:
                    return run
                lost_since = None
                await woken(waker, POLL_SECONDS if left is None else min(left, POLL_SECONDS))

    async def _standing(self, thread_id: str, wanted: Collection[RunStatus], *, over: bool) -> Run | None:
        """Return the run whole if it stands as wanted or the time is over; only its row is read otherwise."""
        stored = {"running" if status == "stalled" else status for status in wanted}
        row, latest = await self._read(thread_id, only=None if over else stored)
        if not over and to_run(row).status not in wanted:
            return None
        run = await self._whole(row, latest)
        return run if over or run.status in wanted else None
