"""Where a page of reviews ended, as a text that goes into a URL: the keys that the next page begins behind."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from ..errors import InvalidInput
from .model import Review

__all__ = ["cursor_of", "read_cursor"]


def cursor_of(review: Review) -> str:
    """Return where a page ended."""
    at = review.asked_at.isoformat() if review.asked_at else ""
    keys = [review.policy.priority, at, review.thread_id, review.id]
    return base64.urlsafe_b64encode(json.dumps(keys, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(after: str | None) -> dict[str, Any]:
    """Return the keys of the review that ended the page before; all None for the first page.

    Raises:
        InvalidInput: It is not the `after` of a page.
    """
    names = ("after_priority", "after_time", "after_thread", "after_review")
    if after is None:
        return dict.fromkeys(names)
    try:
        priority, at, thread_id, review_id = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        keys = (int(priority), datetime.fromisoformat(at), str(thread_id), str(review_id))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidInput(f"after={after!r} is not the `after` of a page of reviews.") from None
    return dict(zip(names, keys, strict=True))
