"""How long to wait before something is tried again, as a pure function."""

from __future__ import annotations

from datetime import datetime

from ...state.coping import Retry
from .faults import exhausted, kind_of, retry_after

__all__ = ["full_jitter", "next_wait"]


def full_jitter(retry: Retry, attempt: int, draw: float) -> float:
    """Return the wait after a failed try: evenly drawn between nothing and what exponential back-off says.

    Source: Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (its "full jitter").

    Args:
        retry: The rules.
        attempt: Which try failed, from 1.
        draw: A random number, 0 ≤ draw ≤ 1.
    """
    try:
        grown = retry.wait * retry.factor ** (attempt - 1)
    except OverflowError:
        grown = retry.longest
    return draw * min(retry.longest, grown)


def next_wait(retry: Retry | None, attempt: int, error: BaseException, *, draw: float, now: datetime) -> float | None:
    """Return the seconds to wait before the next try; None when there is to be none.

    Args:
        retry: The rules; None for a single try.
        attempt: Which try failed, from 1.
        error: How.
        draw: A random number, 0 ≤ draw ≤ 1.
        now: The time (UTC), for servers that say when to come again.
    """
    if retry is None or attempt >= retry.attempts or exhausted(error) or kind_of(error, retry.also) == "final":
        return None
    asked = retry_after(error, now) or 0.0
    return None if asked > retry.longest else max(asked, full_jitter(retry, attempt, draw))
