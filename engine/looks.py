"""What this process has read of open questions, so that an answer that comes here needs no look at them first.

Whoever answers has seen the question, and often through this very process: it asked, or showed the run. Nothing that is kept
here is trusted: an answer that was judged by it is recorded only if nothing has changed since, which PostgreSQL finds out
under the lock of the run. The checkpoint that was read with the question is what the run goes on with, if the thread still
stands where it stood then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from psycopg.rows import DictRow

from ..checkpoints.parts import Parts
from .review_rows import Asked

__all__ = ["Look", "Looks"]

_MOST: Final = 512
_LARGEST_BYTES: Final = 65_536  # of questions; and of a checkpoint
# The database's time is carried on by this machine's clock; in an hour two clocks differ by little.
_OLDEST_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """A run and its open questions, as they were read.

    Args:
        run: The run's row, with `now`, `driven`, `seen` and `position`.
        parts: Rows of an open question and of a decision on it each.
        latest: The row of the run's latest checkpoint, where that is known.
        asked: The questions by id, understood; of one that is kept nobody else has these objects, who could change them.
        seconds: How long ago, where this was kept; None where it was read just now.
    """

    run: DictRow
    parts: list[Parts]
    latest: DictRow | None = None
    asked: dict[str, Asked] | None = None
    seconds: float | None = None

    @property
    def is_small(self) -> bool:
        """Whether it asks something, and not too much to be kept."""
        questions = [question["question"] for question, _ in self.parts if question["review_id"] is not None]
        return bool(questions) and sum(map(len, questions)) <= _LARGEST_BYTES


class Looks:
    """Keeps the newest looks at runs that ask something; belongs to one event loop.

    At most 512 are kept, none with questions of more than 64 KiB, and none for more than an hour; checkpoints of more than
    64 KiB are left out.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Look, float]] = OrderedDict()

    def keep(self, look: Look, latest: DictRow | None = None) -> None:
        """Keep what was read just now, in place of what was read of the run before.

        Args:
            look: The look.
            latest: The row of the run's latest checkpoint and its `position`, read a little earlier; counts only if the
                thread stood there when the look was taken.
        """
        thread_id = look.run["thread_id"]
        stands = look.run["position"]
        if latest is not None and stands is not None and latest["position"] == stands:
            look = replace(look, latest=latest) if _bytes_of(latest) <= _LARGEST_BYTES else look
        self._kept.pop(thread_id, None)
        if look.is_small:
            self._kept[thread_id] = (look, self._clock())
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def take(self, thread_id: str, tenant: str) -> Look | None:
        """Return what was read of a tenant's run, once: what is done with it changes the run."""
        look, at = self._kept.get(thread_id, (None, 0.0))
        if look is None or look.run["tenant"] != tenant:
            return None
        del self._kept[thread_id]
        seconds = self._clock() - at
        return replace(look, seconds=seconds) if seconds <= _OLDEST_SECONDS else None

    def forget(self, thread_id: str) -> None:
        """Keep nothing of a run."""
        self._kept.pop(thread_id, None)


def _bytes_of(latest: DictRow) -> int:
    """Return about how large a checkpoint is: its values and its writes."""
    in_row = latest["checkpoint"]["channel_values"].values()
    apart = ((latest["channel_values"] or []), (latest["pending_writes"] or []))
    texts = sum(len(value) for value in in_row if isinstance(value, str))
    return texts + sum(len(cell or b"") for rows in apart for row in rows for cell in row)
