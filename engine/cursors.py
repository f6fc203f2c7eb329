"""Where a page of reviews or of cases ended, as a text that goes into a URL: the keys that the next page begins behind."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from ..errors import InvalidInput
from ..state.cases import Case
from .model import Review

__all__ = ["case_cursor_of", "cursor_of", "read_case_cursor", "read_cursor"]


def cursor_of(review: Review) -> str:
    """Return where a page ended."""
    at = review.asked_at.isoformat() if review.asked_at else ""
    return _packed([review.policy.priority, at, review.thread_id, review.id])


def read_cursor(after: str | None) -> dict[str, Any]:
    """Return the keys of the review that ended the page before; all None for the first page.

    Raises:
        InvalidInput: It is not the `after` of a page.
    """
    names = ("after_priority", "after_time", "after_thread", "after_review")
    if after is None:
        return dict.fromkeys(names)
    try:
        priority, at, thread_id, review_id = _unpacked(after)
        keys = (int(priority), datetime.fromisoformat(at), str(thread_id), str(review_id))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidInput(f"after={after!r} is not the `after` of a page of reviews.") from None
    return dict(zip(names, keys, strict=True))


def case_cursor_of(case: Case) -> str:
    """Return where a page of cases ended."""
    return _packed([case.at.isoformat(), case.id])


def read_case_cursor(after: str | None) -> dict[str, Any]:
    """Return the keys of the case that ended the page before; all None for the first page.

    Raises:
        InvalidInput: It is not the `after` of a page.
    """
    if after is None:
        return {"after_time": None, "after_id": None}
    try:
        at, case_id = _unpacked(after)
        return {"after_time": datetime.fromisoformat(at), "after_id": str(case_id)}
    except (binascii.Error, ValueError, TypeError):
        raise InvalidInput(f"after={after!r} is not the `after` of a page of cases.") from None


def _packed(keys: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(keys, separators=(",", ":")).encode()).decode().rstrip("=")


def _unpacked(after: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
