"""Verbs of the audit: read it, check it, sign its heads, export it; and erase what a run was about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from ..checkpoints.retention import erase
from ..errors import ConfigurationError, ThreadBusy
from .audit import AuditReport, actor_of, signing_key
from .audit_chain import AuditEntry
from .audit_files import Anchored
from .base import EngineBase
from .model import Run

__all__ = ["Auditing"]


class Auditing(EngineBase):
    """Shows and checks the audit."""

    async def audit(self, thread_id: str) -> tuple[AuditEntry, ...]:
        """Return what happened to a run and who did it, in order.

        Entries are written in the transaction of what they record, by the database itself. They hold ids and digests and no
        content.

        Raises:
            UnknownThread: There is no such run.
        """
        await self._row(thread_id)
        return await self._audit.entries(thread_id)

    async def verify_audit(self, anchor: Iterable[str] | None = None) -> AuditReport:
        """Check the audit of all runs, of all tenants: that no entry was changed, left out, added or moved.

        Without an anchor, whoever can write to the database and computes all later hashes anew is not found. With one, any
        change to what was there when it was made is.

        Args:
            anchor: The lines of an anchor, such as an open file.

        Raises:
            InvalidInput: The anchor is not whole, was changed, or was signed with another key.
            ConfigurationError: There is an anchor, but no key (`ADJOURN_AUDIT_KEY`).
        """
        return await self._audit.verify(None if anchor is None else Anchored(anchor, self._key()))

    async def anchor_audit(self) -> AsyncGenerator[str, None]:
        """Yield the text of an anchor, piece by piece: the heads of all chains, of all tenants, signed.

        Write it to a place that whoever administers the database cannot change, and keep all of them.

        Raises:
            ConfigurationError: There is no key to sign with (`ADJOURN_AUDIT_KEY`).
        """
        async for piece in self._audit.anchor(self._key()):
            yield piece

    async def export_audit(self, thread_id: str | None = None) -> AsyncGenerator[str, None]:
        """Yield the text of an export, piece by piece: JSON Lines that can be checked without the database.

        With a key (`ADJOURN_AUDIT_KEY`) it is signed.

        Args:
            thread_id: The run; without it, all runs of all tenants.

        Raises:
            UnknownThread: There is no such run.
            ConfigurationError: The key is too short.
        """
        if thread_id is not None:
            await self._row(thread_id)
        async for piece in self._audit.export(signing_key(self.settings.audit_key), thread_id):
            yield piece

    async def erase(self, thread_id: str, *, by: str | None = None) -> Run:
        """Remove what a run was about, for good: all of it or, when this is killed, nothing.

        That is its input and context, its state and history, policies, questions and answers, what effects returned, events,
        the cases that it has left to later runs, and the text of its error. What stays: that there was a run, its status
        and times, and its audit, which holds ids and digests only and gets an entry about this. Forks of the run are runs
        of their own, and so are runs that recalled a case of it. Erasing twice changes nothing more.

        Args:
            thread_id: A run that has ended.
            by: Who wants it.

        Raises:
            UnknownThread: There is no such run.
            ThreadBusy: It has not ended, or somebody is at work on it.
        """
        row = await self._row(thread_id)
        async with self._audited(thread_id, by):
            who = actor_of(self._acting(by), self.channel)
        if not await erase(self._storage.pool, thread_id, who):
            raise ThreadBusy(
                f"Run {thread_id} is {row['status']} and needs its content; cancel it first, or wait for its end.",
                thread_id=thread_id,
            )
        return await self._show(thread_id)

    def _key(self) -> bytes:
        key = signing_key(self.settings.audit_key)
        if key is None:
            raise ConfigurationError(
                "There is no key that signs anchors: set ADJOURN_AUDIT_KEY (make one with: openssl rand -hex 32), "
                "and keep it where whoever administers the database cannot read it."
            )
        return key
