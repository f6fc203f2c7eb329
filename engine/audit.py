"""The audit as it is stored: reading it, checking it, signing its heads, and recording what was refused.

Entries are written by the database itself (checkpoints/migrations, "audit"); nothing here adds any, refusals excepted.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection, Pool
from ..checkpoints.queries import load_queries
from ..errors import (
    ConfigurationError,
    DigestMismatch,
    InvalidDecision,
    NotAuthorized,
    ReviewClosed,
    StorageUnavailable,
)
from ..state.values import digest
from .audit_chain import START, AuditEntry, Finding, Head, Link, check_chain, read_entry
from .audit_files import ANCHOR, EXPORT, Anchored, Seal, entry_line, head_line
from .model import Principal

__all__ = ["AuditReport", "AuditStore", "actor_of", "signing_key"]

_SQL: Final = load_queries(__package__, "audit.sql")
_ROWS: Final = 2_000
_MOST_FINDINGS: Final = 1_000
_SHORTEST_KEY: Final = 16
_REFUSALS: Final = (NotAuthorized, ReviewClosed, InvalidDecision, DigestMismatch)
_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a check of the audit found.

    Args:
        threads: How many chains were checked.
        entries: How many entries they have.
        waiting: Entries that had no place in a chain yet; nothing is said about them.
        findings: What is wrong, in the order of the threads; the first thousand.
        wrong: How much is wrong in all.
        anchored: How many chains the anchor holds; None when none was given.
        anchored_at: When the anchor was made.
    """

    threads: int
    entries: int
    waiting: int
    findings: tuple[Finding, ...]
    wrong: int
    anchored: int | None = None
    anchored_at: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0


class AuditStore:
    """Reads the audit. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def entries(self, thread_id: str) -> tuple[AuditEntry, ...]:
        """Return the entries of a thread in their order; those that wait for their place are the last."""
        with mapped_faults("cannot read the audit", thread_id=thread_id):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["entries"], {"thread_id": thread_id})
                rows = await cursor.fetchall()
        return tuple(read_entry(thread_id, row["entry"], number=row["seq"], hash=row["hash"]) for row in rows)

    @contextlib.asynccontextmanager
    async def recording(self, thread_id: str, who: Mapping[str, str | None], given: Any) -> AsyncIterator[None]:
        """Record it when the block refuses what somebody wants: who, why, and the digest of what it was.

        The error goes on as it is, also when nothing can be recorded: nothing has happened to the run.

        Args:
            thread_id: The run.
            who: by, source and channel; and as whom, where they had no right to that.
            given: What they want; nothing but its digest is kept.
        """
        try:
            yield
        except _REFUSALS as error:
            try:
                await self._refused(thread_id, who, type(error).__name__, _digest(given))
            except StorageUnavailable as unavailable:
                _log.warning("a refusal could not be recorded", thread=thread_id, error=unavailable.message)
            raise

    async def _refused(self, thread_id: str, who: Mapping[str, str | None], why: str, digest: str | None) -> None:
        values = {"thread_id": thread_id, "who": Jsonb(dict(who)), "why": why, "digest": digest}
        with mapped_faults("cannot record a refusal", thread_id=thread_id):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["refused"], values)

    async def anchor(self, key: bytes) -> AsyncIterator[str]:
        """Yield the text of an anchor of all chains as they are at one moment, piece by piece.

        Args:
            key: Signs it.
        """
        await self._seal_all()
        async with self._at_one_moment() as (connection, moment):
            seal = Seal(key)
            yield seal.head(ANCHOR, moment["at"].isoformat())
            async for rows in _batches(connection, "heads"):
                yield "".join(
                    seal.line({"count": row["count"], "hash": row["hash"], "thread": row["thread_id"]}) for row in rows
                )
            yield seal.end()

    async def export(self, key: bytes | None, thread_id: str | None = None) -> AsyncIterator[str]:
        """Yield the text of an export, piece by piece: of one chain or of all, as they are at one moment.

        Args:
            key: Signs it, if there is one.
            thread_id: The thread; None for all.
        """
        await self._seal_all()
        async with self._at_one_moment() as (connection, moment):
            seal = Seal(key)
            yield seal.head(EXPORT, moment["at"].isoformat())
            async for thread, head, links in _chains(connection, thread_id):
                lines = [entry_line(thread, link) for link in links]
                yield "".join(map(seal.line, [*lines, head_line(thread, head)]))
            yield seal.end()

    async def verify(self, anchored: Anchored | None = None) -> AuditReport:
        """Check all chains as they are at one moment, against an anchor if one is given.

        Args:
            anchored: The heads of the anchor.

        Raises:
            InvalidInput: The anchor is not whole, was changed, or was signed with another key.
        """
        found = _Found()
        async with self._at_one_moment() as (connection, moment):
            async for thread, head, links in _chains(connection):
                then = None
                for name, anchored_head in anchored.until(thread) if anchored else ():
                    if name == thread:
                        then = anchored_head
                    else:
                        found.add(check_chain(name, (), Head(0, START), anchored_head))
                found.threads += 1
                found.entries += len(links)
                found.add(check_chain(thread, links, head, then))
        for name, anchored_head in anchored.rest() if anchored else ():
            found.add(check_chain(name, (), Head(0, START), anchored_head))
        return AuditReport(
            found.threads,
            found.entries,
            moment["waiting"],
            tuple(found.findings),
            found.wrong,
            anchored.count if anchored else None,
            datetime.fromisoformat(anchored.at) if anchored else None,
        )

    async def _seal_all(self) -> None:
        with mapped_faults("cannot complete the audit"):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL["seal_all"])

    @contextlib.asynccontextmanager
    async def _at_one_moment(self) -> AsyncIterator[tuple[Connection, DictRow]]:
        """Give a connection that sees the database as it is at one moment, and what the database says of that."""
        with mapped_faults("cannot read the audit"):
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute("set transaction isolation level repeatable read, read only")
                moment = await (await connection.execute(_SQL["moment"])).fetchone()
                assert moment is not None, "a select without a table has a row"  # noqa: S101
                yield connection, moment


class _Found:
    """What a check has found so far."""

    def __init__(self) -> None:
        self.threads = self.entries = self.wrong = 0
        self.findings: list[Finding] = []

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.wrong += 1
            if len(self.findings) < _MOST_FINDINGS:
                self.findings.append(finding)


def actor_of(principal: Principal, channel: str) -> dict[str, str]:
    """Return what the audit says of who acts: `by`, `source` and `channel`."""
    return {"by": principal.id, "source": principal.source, "channel": channel}


def _digest(given: Any) -> str | None:
    """Return the digest of anything that somebody sent; None of nothing."""
    if given is None:
        return None
    try:
        return digest(to_jsonable_python(given, fallback=repr, inf_nan_mode="strings"))
    except UnicodeEncodeError:  # halves of characters in it, which is why it was refused
        return digest(repr(given))


def signing_key(setting: SecretStr | None) -> bytes | None:
    """Return the key that signs anchors and exports, if there is one.

    Raises:
        ConfigurationError: It is too short.
    """
    if setting is None:
        return None
    key = setting.get_secret_value().encode()
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(
            f"ADJOURN_AUDIT_KEY is too short to sign anything: {_SHORTEST_KEY} characters are the least. "
            "Make one with: openssl rand -hex 32"
        )
    return key


async def _batches(connection: Connection, query: str, **values: Any) -> AsyncIterator[list[DictRow]]:
    """Read a query in batches, so that its length does not matter."""
    async with connection.cursor(name="audit") as cursor:
        await cursor.execute(_SQL[query], values)
        while rows := await cursor.fetchmany(_ROWS):
            yield rows


async def _chains(
    connection: Connection, thread_id: str | None = None
) -> AsyncIterator[tuple[str, Head | None, list[Link]]]:
    """Yield chain after chain: the thread, the head as its run has it (None when it was deleted), the entries."""
    thread: str | None = None
    head: Head | None = None
    links: list[Link] = []
    async for rows in _batches(connection, "chains", thread_id=thread_id):
        for row in rows:
            if row["thread_id"] != thread:
                if thread is not None:
                    yield thread, head, links
                thread, links = row["thread_id"], []
                head = None if row["count"] is None else Head(row["count"], row["head_hash"])
            if row["seq"] is not None:
                links.append(Link(row["seq"], row["entry"], row["hash"]))
    if thread is not None:
        yield thread, head, links
