"""Verbs about past cases: list them, search them, forget one. What writes them is the node `remember`."""

from __future__ import annotations

import structlog

from ..errors import InvalidInput, UnknownCase
from ..state.cases import MOST_CASES, Case, check_kind
from .audit import actor_of
from .base import EngineBase
from .cursors import case_cursor_of
from .model import Page

__all__ = ["Remembering"]

_log = structlog.get_logger("adjourn")


class Remembering(EngineBase):
    """Shows and forgets past cases."""

    async def cases(
        self, *, kind: str | None = None, about: str | None = None, limit: int = 20, after: str | None = None
    ) -> Page[Case]:
        """Return a page of past cases, newest first; or those that are most like a text, best first.

        Args:
            kind: Only those of this kind.
            about: The text to compare with, as the node `recall` does. What is found is one page.
            limit: The most cases on the page (1-1000; with `about` 1-50).
            after: The `after` of the page before; not with `about`.

        Raises:
            InvalidInput: The limit is out of range, the text is empty or too long, or `after` is of no page.
            ConfigurationError: An embedding model is set and cannot be used, or pgvector is missing.
            Exception: Whatever the provider of the embedding model raises.
        """
        tenant = self.principal.tenant
        if kind is not None:
            check_kind(kind)
        if about is not None:
            if after is not None:
                raise InvalidInput(f"A search returns one page of at most {MOST_CASES} cases; leave `after` out.")
            return Page(tuple(await self._cases.find(tenant, kind, about, limit=limit)), after=None)
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit must be between 1 and 1000, not {limit}.")
        found = await self._cases.store.newest(tenant, kind, limit=limit + 1, after=after)
        shown = tuple(found[:limit])
        return Page(shown, after=case_cursor_of(shown[-1]) if len(found) > limit else None)

    async def forget(self, case_id: str, *, by: str | None = None) -> None:
        """Remove a past case for good.

        The run that has left it stays, and its audit gets an entry; a node of it that is finished does not leave it again.

        Args:
            case_id: The case's id.
            by: Who wants it.

        Raises:
            UnknownCase: There is none with that id.
            NotAuthorized: The principal may not act as somebody else.
        """
        who = actor_of(self._acting(by), self.channel)
        if not await self._cases.store.forget(self.principal.tenant, case_id, who):
            raise UnknownCase(f"There is no past case {case_id!r} here; `adjourn cases` shows those there are.")
        _log.info("case forgotten", case=case_id)
