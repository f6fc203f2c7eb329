"""Anchors and exports of the audit: JSON Lines that carry their own proof. Nothing here needs a database.

    {"adjourn": "audit anchor" or "audit export", "at": …, "version": 1}
    …
    {"hmac_sha256": …}     over every byte above, line ends included; without a key {"sha256": …}

An anchor has a line for each chain: {"count": …, "hash": …, "thread": …}, in the order of the thread ids' UTF-8 bytes.
An export has for each chain a line for each entry, {"entry": …, "hash": …, "n": …, "thread": …}, and then one for the
head as the run has it, {"head": {"count": …, "hash": …}, "thread": …}, or null for a run that was deleted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from ..errors import InvalidInput
from ..state.values import canonical_json
from .audit_chain import Finding, Head, Link, check_chain

__all__ = ["ANCHOR", "EXPORT", "Anchored", "Seal", "check_export", "entry_line", "head_line"]

ANCHOR: Final = "audit anchor"
EXPORT: Final = "audit export"
_VERSION: Final = 1
_SIGNED, _SUMMED = "hmac_sha256", "sha256"


class Seal:
    """Makes the lines of a file and, at its end, their proof.

    Args:
        key: Signs them; without it the last line is a mere sum, which anybody can compute.
    """

    def __init__(self, key: bytes | None) -> None:
        self._sum: Any = hmac.new(key, digestmod=hashlib.sha256) if key else hashlib.sha256()
        self._name = _SIGNED if key else _SUMMED

    def head(self, kind: str, at: str) -> str:
        """Return the first line.

        Args:
            kind: `ANCHOR` or `EXPORT`.
            at: When it was made, in ISO 8601.
        """
        return self.line({"adjourn": kind, "at": at, "version": _VERSION})

    def line(self, value: dict[str, Any]) -> str:
        """Return a line, with its end."""
        text = canonical_json(value) + "\n"
        self._sum.update(text.encode())
        return text

    def end(self) -> str:
        """Return the last line."""
        return canonical_json({self._name: self._sum.hexdigest()}) + "\n"


def entry_line(thread_id: str, link: Link) -> dict[str, Any]:
    """Return what an export says of an entry."""
    return {"entry": link.entry, "hash": link.hash, "n": link.seq, "thread": thread_id}


def head_line(thread_id: str, head: Head | None) -> dict[str, Any]:
    """Return what an export says of the head of a chain."""
    return {"head": None if head is None else {"count": head.count, "hash": head.hash}, "thread": thread_id}


class Anchored:
    """The heads of an anchor, one after the other; a million of them are never held at once.

    Args:
        lines: The file. It is read once, as far as it is asked for.
        key: The key that signed it.

    Raises:
        InvalidInput: By any method: the file is no anchor, was changed, is not whole, or was signed with another key. The
            signature is known at the end only, so nothing that was said before counts then.

    Attributes:
        at: When it was made; known from the start.
        count: How many heads were read.
    """

    def __init__(self, lines: Iterable[str], key: bytes) -> None:
        self._values = _unsealed(lines, key, ANCHOR)
        self.at = str(next(self._values)["at"])
        self.count = 0
        self._next: dict[str, Any] | None = None
        self._advance()

    def until(self, thread_id: str) -> Iterator[tuple[str, Head]]:
        """Yield the heads of the threads up to one, that included, in their order."""
        while self._next is not None and self._next["thread"] <= thread_id:
            yield self._head(self._next)
            self._advance()

    def rest(self) -> Iterator[tuple[str, Head]]:
        """Yield all heads that are left; the signature has been checked when this ends."""
        while self._next is not None:
            yield self._head(self._next)
            self._advance()

    def _advance(self) -> None:
        self._next = next(self._values, None)
        self.count += self._next is not None

    def _head(self, value: dict[str, Any]) -> tuple[str, Head]:
        return value["thread"], Head(value["count"], value["hash"])


def check_export(lines: Iterable[str], key: bytes | None = None) -> Iterator[Finding]:
    """Say what is wrong with an export; nothing when all is well. Needs no database.

    Args:
        lines: The file.
        key: The key that signed it. Without it the chains are checked, but not that the file is as it was made.

    Raises:
        InvalidInput: The file is no export, was changed, is not whole, or was signed with another key.
    """
    values = _unsealed(lines, key, EXPORT)
    next(values)
    for thread_id, group in groupby(values, key=lambda value: value["thread"]):
        *entries, last = group
        if "head" not in last or any("entry" not in value for value in entries):
            raise InvalidInput(f"The export is not whole: the chain of {thread_id} has no head. Export it again.")
        head = Head(**last["head"]) if last["head"] else None
        yield from check_chain(thread_id, [Link(each["n"], each["entry"], each["hash"]) for each in entries], head)


def _unsealed(lines: Iterable[str], key: bytes | None, kind: str) -> Iterator[dict[str, Any]]:
    """Yield what the lines say, the first included, and check their proof at the end."""
    made, proof = Seal(key), None
    for number, text in enumerate(lines, start=1):
        value = _read(text, number, kind)
        if proof is not None or (number == 1) != (value.get("adjourn") == kind):
            raise InvalidInput(f"Line {number} does not belong into an {kind}; use the file as it was made.")
        if _SIGNED in value or _SUMMED in value:
            proof = value
            continue
        if made.line(value) != text.rstrip("\r\n") + "\n":
            raise InvalidInput(f"Line {number} of the {kind} was changed; use the file as it was made.")
        yield value
    _check_proof(proof, made, key, kind)


def _read(text: str, number: int, kind: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(f"Line {number} is no JSON object, so this is no {kind}; use the file as it was made.")
    return value


def _check_proof(proof: dict[str, Any] | None, made: Seal, key: bytes | None, kind: str) -> None:
    if proof is None:
        raise InvalidInput(f"The {kind} is not whole: its last line, the proof, is missing. Use another one.")
    if key is None and _SIGNED in proof:  # nobody without the key can say more
        return
    if not hmac.compare_digest(canonical_json(proof) + "\n", made.end()):
        signed = "was changed, or was signed with another key (ADJOURN_AUDIT_KEY)" if key else "was changed"
        raise InvalidInput(f"The {kind} {signed}; what it says proves nothing. Use another one.")
