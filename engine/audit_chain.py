"""The rules of an audit chain, without any database: how entries are linked, and what is wrong with a chain.

    hash of an entry = sha256(hash of the entry before + text of the entry), both as UTF-8 text
    before the first entry stand 64 zeros

The text of an entry is canonical JSON and holds its place: `n` (1, 2, 3, …) and `thread`. So a row that was changed,
left out, added or moved shows, unless whoever did it computed every later hash and the head anew. An anchor, a copy of the
heads that is signed and kept elsewhere, shows that as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

__all__ = ["START", "AuditEntry", "Finding", "Head", "Link", "check_chain", "next_hash", "read_entry"]

START: Final = "0" * 64
_NAMED: Final = ("at", "by", "channel", "kind", "n", "source", "thread")


@dataclass(frozen=True, slots=True)
class Link:
    """A row of the audit.

    Args:
        seq: Its place in the chain, from 1 on.
        entry: Its text, exactly as it was hashed.
        hash: The hash of the chain up to here.
    """

    seq: int
    entry: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """How long a chain is, and the hash of its last entry; of an empty chain 0 and 64 zeros."""

    count: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened to a run.

    Args:
        thread_id: The run.
        number: Its place in the run's chain, from 1 on; None while it waits for its place (it gets it with the next change
            of the run).
        at: When it was recorded (database time).
        kind: started, paused, asked, reminded, escalated, decided, refused, queued, resumed, effect, completed, failed,
            cancelled, forgotten, pruned or erased.
        by: Who did it, or on whose behalf the process worked; None where nobody did.
        source: How that is known: `trusted` or `authenticated`.
        channel: Through which door: python, cli, http, page, studio; deadline or retention for what time did; worker.
        details: Ids and digests: which review, the digest of the answer, which effect, …
        text: The entry exactly as it was hashed.
        hash: The hash of the chain up to here; None while it waits.
    """

    thread_id: str
    number: int | None
    at: datetime
    kind: str
    by: str | None
    source: str | None
    channel: str | None
    details: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a chain.

    Args:
        thread_id: The run.
        number: The entry, where one can be named.
        problem: changed, missing, added, moved, head or anchor.
        text: What was found, in words.
    """

    thread_id: str
    number: int | None
    problem: Literal["changed", "missing", "added", "moved", "head", "anchor"]
    text: str


def next_hash(before: str, entry: str) -> str:
    """Return the hash of an entry.

    Args:
        before: The hash of the entry before it, or `START`.
        entry: The text of the entry.
    """
    return hashlib.sha256((before + entry).encode()).hexdigest()


def read_entry(thread_id: str, text: str, *, number: int | None = None, hash: str | None = None) -> AuditEntry:  # noqa: A002
    """Read the text of an entry.

    Args:
        thread_id: The run whose entry it is.
        text: Canonical JSON.
        number: Its place in the chain.
        hash: The hash that is stored with it.

    Raises:
        ValueError: It is no entry.
    """
    said = json.loads(text)
    details = {name: value for name, value in said.items() if name not in _NAMED}
    who = {name: said.get(name) for name in ("by", "source", "channel")}
    return AuditEntry(
        thread_id,
        number,
        datetime.fromisoformat(said["at"]),
        said["kind"],
        **who,
        details=details,
        text=text,
        hash=hash,
    )


def check_chain(
    thread_id: str, links: Iterable[Link], head: Head | None, anchored: Head | None = None
) -> Iterator[Finding]:
    """Say what is wrong with a chain; nothing when all is well.

    Args:
        thread_id: The run.
        links: Its entries in the order of their places.
        head: The head as the run has it; None when the run was deleted.
        anchored: The head as an anchor has it, if one does.
    """
    found, last = Head(0, START), None
    for link in links:
        yield from _check_link(thread_id, found, link)
        found, last = Head(link.seq, link.hash), link
        if anchored is not None and link.seq == anchored.count and link.hash != anchored.hash:
            yield _finding(
                thread_id, None, "anchor", f"entries 1 to {link.seq} are not those that were anchored: one of them was "
                "changed, added or left out, and the hashes behind it were computed anew",
            )  # fmt: skip
    if anchored is not None and found.count < anchored.count:
        left = f"only {found.count} of them are left" if found.count else "none of them is left"
        yield _finding(thread_id, found.count + 1, "missing", f"{anchored.count} entries were anchored, {left}")
    yield from _check_end(thread_id, found, last, head)


def _check_link(thread_id: str, before: Head, link: Link) -> Iterator[Finding]:
    place = before.count + 1
    if link.seq > place:
        many = f"entry {place} is" if link.seq == place + 1 else f"entries {place} to {link.seq - 1} are"
        yield _finding(thread_id, place, "missing", f"{many} missing")
    elif link.seq < place:
        yield _finding(thread_id, link.seq, "added", f"a second entry {link.seq} was added")
    elif next_hash(before.hash, link.entry) != link.hash:
        yield _finding(
            thread_id, link.seq, "changed", f"entry {link.seq} was changed: its hash is not that of its text and of "
            "the entry before it",
        )  # fmt: skip
    said = _said(link)
    claimed, owner = said.get("n"), said.get("thread")
    if (claimed, owner) != (link.seq, thread_id):
        yield _finding(
            thread_id, link.seq, "moved", f"entry {link.seq} was moved: it says that it is entry {claimed} of {owner}"
        )


def _check_end(thread_id: str, found: Head, last: Link | None, head: Head | None) -> Iterator[Finding]:
    if head is None:
        if last is not None and not _said(last).get("deleted"):
            yield _finding(
                thread_id, None, "head", "its run is gone, and the last entry does not say that it was deleted"
            )
    elif found.count < head.count:
        yield _finding(
            thread_id, found.count + 1, "missing", f"the last entries are missing: the run counts {head.count}, "
            f"{found.count} are there",
        )  # fmt: skip
    elif found.count > head.count:
        yield _finding(
            thread_id, head.count + 1, "added", f"entries were added: the run counts {head.count}, "
            f"{found.count} are there",
        )  # fmt: skip
    elif found.hash != head.hash:
        yield _finding(thread_id, None, "head", "the head in the run is not the hash of the last entry")


def _said(link: Link) -> dict[str, Any]:
    try:
        said = json.loads(link.entry)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _finding(
    thread_id: str,
    number: int | None,
    problem: Literal["changed", "missing", "added", "moved", "head", "anchor"],
    text: str,
) -> Finding:
    return Finding(thread_id, number, problem, f"{thread_id}: {text}.")
