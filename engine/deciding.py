"""Taking decisions: which question gets which answer, and what the rules make of it, in the transaction that locks them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ..errors import InvalidDecision, NotPaused, UnknownReview, UnknownThread
from .child_waits import waited_for
from .model import Principal
from .questions import BREAKPOINT
from .review_case import Case, Closed, Command
from .review_rows import Asked, ballot_for
from .review_rules import closed_error, decide, repeats
from .reviews import Judged, Locked, ReviewStore

__all__ = ["Sent", "asks_nothing", "closes", "judge", "take_decisions"]

_REVIEW_ID: Final = re.compile(rf"[0-9a-f]{{32}}|{BREAKPOINT}.+")


@dataclass(frozen=True, slots=True)
class Sent:
    """What somebody sends as an answer.

    Args:
        decision: A decision in any accepted shape, a plain value, or `{review id: decision, …}`.
        who: Who.
        channel: Through which door.
        review_id: Which question, if they say.
        shown: The digest of what they say they saw.
    """

    decision: Any
    who: Principal
    channel: str
    review_id: str | None = None
    shown: str | None = None


async def take_decisions(store: ReviewStore, connection: AsyncConnection[DictRow], thread_id: str, sent: Sent) -> bool:
    """Lock a run with its questions, and record what the rules make of an answer, or of several: all or nothing.

    Args:
        store: Questions and answers.
        connection: In a transaction of the caller's, and in a pipeline where there is one: it is rolled back when this
            raises.
        thread_id: The run.
        sent: The answer.

    Returns:
        Whether a review was closed and nobody drives the run, so that the caller is to. Nothing changed when the same was
        recorded before.

    Raises:
        UnknownThread, NotPaused, UnknownReview, ReviewClosed, InvalidDecision, NotAuthorized, DigestMismatch: See
            `AsyncEngine.resume`.
    """
    locked = await store.lock(connection, thread_id)
    if locked is None:
        raise UnknownThread(f"Run {thread_id} was deleted at this moment.", thread_id=thread_id)
    chosen = _choose(locked, thread_id, sent)
    missing = chosen.keys() - locked.asked.keys()
    past = await store.some(connection, thread_id, list(missing)) if missing else {}
    if not chosen:
        await _repeated_or_raise(store, connection, thread_id, sent, locked)
        return False
    done: list[Judged] = []
    for review_id, given in chosen.items():
        asked = locked.asked.get(review_id) or past.get(review_id)
        if asked is None:
            raise UnknownReview(f"Run {thread_id} has no review {review_id}. {_open(locked)}", thread_id=thread_id)
        done.append((asked, *_decided(asked, given, sent, locked)))
    for each in done:
        await store.record(connection, *each)
    return closes(done) and not locked.is_driven


def judge(looked: Locked, thread_id: str, sent: Sent) -> list[Judged] | None:
    """Say what the rules make of an answer to questions that are open, from what was read without a lock.

    Args:
        looked: What was read.
        thread_id: The run.
        sent: The answer.

    Returns:
        What is to be recorded if nothing has changed since; None when that takes more than the open questions, so that
        `take_decisions` is to find out.

    Raises:
        UnknownReview, InvalidDecision, NotAuthorized, DigestMismatch: See `AsyncEngine.resume`.
    """
    chosen = _choose(looked, thread_id, sent)
    if not chosen or chosen.keys() - looked.asked.keys():
        return None
    each = ((looked.asked[review_id], given) for review_id, given in chosen.items())
    return [(asked, *_decided(asked, given, sent, looked)) for asked, given in each]


def closes(judged: Sequence[Judged]) -> bool:
    """Whether a review is closed."""
    return any(isinstance(command, Closed) for _, _, commands in judged for command in commands)


def asks_nothing(thread_id: str, status: str, waits_for: Sequence[str] = ()) -> NotPaused:
    """Return the error for an answer to a run that asks nothing.

    Args:
        thread_id: The run.
        status: Where it stands.
        waits_for: The child runs that it waits for.
    """
    if waits_for:
        named = ", ".join(waits_for)
        return NotPaused(
            f"Run {thread_id} asks nothing itself; it goes on when its child runs have ended: {named}. Answer those.",
            thread_id=thread_id,
        )
    advice = {
        "running": "it is being driven; wait until it asks",
        "queued": "it waits for a worker; wait until it asks",
        "failed": "it failed; continue it with retry",
        "completed": "it has completed",
        "cancelled": "it was cancelled",
        "paused": "its questions were answered at this moment",
    }[status]
    return NotPaused(f"Run {thread_id} waits for no answer: {advice}.", thread_id=thread_id)


def _decided(asked: Asked, given: Any, sent: Sent, locked: Locked) -> tuple[Case, tuple[Command, ...]]:
    if asked.case.status != "pending" and not _is_repeated(asked, given, sent):
        raise closed_error(asked.case)
    ballot = ballot_for(asked, given, sent.who, channel=sent.channel, shown=sent.shown)
    return decide(asked.case, ballot, locked.now)


def _is_repeated(asked: Asked, given: Any, sent: Sent) -> bool:
    try:
        return repeats(asked.case, ballot_for(asked, given, sent.who, channel=sent.channel))
    except InvalidDecision:
        return False


def _choose(locked: Locked, thread_id: str, sent: Sent) -> dict[str, Any]:
    """Say which question gets which answer; nothing when none is open and none is named."""
    if sent.review_id is not None:
        return {sent.review_id: sent.decision}
    if _is_map(sent.decision, locked.asked):
        return dict(sent.decision)
    if len(locked.asked) > 1:
        raise UnknownReview(
            f"Run {thread_id} asks {len(locked.asked)} questions; name one with review_id, "
            f"or answer several with {{review_id: decision, …}}. {_open(locked)}",
            thread_id=thread_id,
        )
    return dict.fromkeys(locked.asked, sent.decision)


def _is_map(decision: Any, open_ids: Iterable[str]) -> bool:
    if not isinstance(decision, Mapping) or not decision:
        return False
    known = set(open_ids)
    return all(isinstance(key, str) and (key in known or _REVIEW_ID.fullmatch(key)) for key in decision)


async def _repeated_or_raise(
    store: ReviewStore, connection: AsyncConnection[DictRow], thread_id: str, sent: Sent, locked: Locked
) -> None:
    """Nothing is open: take the answer for a repetition of the last one, or say why it is none."""
    last = await store.last_decided(connection, thread_id)
    if last is not None and _is_repeated(last, sent.decision, sent):
        return
    waits_for = await waited_for(connection, thread_id)
    if last is not None and not waits_for and locked.status in ("queued", "running", "paused"):
        raise closed_error(last.case)
    raise asks_nothing(thread_id, locked.status, waits_for)


def _open(locked: Locked) -> str:
    return f"Open: {', '.join(locked.asked)}." if locked.asked else "None is open."
