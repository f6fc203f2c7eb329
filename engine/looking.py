"""Verbs that only look: get, runs, reviews, history, timeline. None of them imports a workflow's code."""

from __future__ import annotations

from datetime import datetime

from ..errors import InvalidInput
from .base import EngineBase
from .cursors import cursor_of, read_cursor
from .model import Page, Review, ReviewStatus, Run, RunStatus, Step, Timeline
from .reading import steps_of, timeline_of
from .runs import to_run

__all__ = ["Looking"]


class Looking(EngineBase):
    """Shows runs."""

    async def get(self, thread_id: str) -> Run:
        """Return a run with its state and open questions.

        Raises:
            UnknownThread: There is no such run.
        """
        return await self._show(thread_id)

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Run]:
        """Return a page of runs, newest first, without their states.

        Args:
            status: Only runs that stand so; `stalled` are those whose driver is gone.
            workflow: Only runs of this workflow.
            limit: The most runs on a page (1-1000).
            after: The `after` of the page before.

        Raises:
            InvalidInput: The limit is out of range.
        """
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit must be between 1 and 1000, not {limit}.")
        rows = await self._runs.page(
            self.principal.tenant, status=status, workflow=workflow, limit=limit + 1, after=after
        )
        shown = tuple(to_run(row) for row in rows[:limit])
        return Page(shown, after=shown[-1].thread_id if len(rows) > limit else None)

    async def reviews(
        self,
        status: ReviewStatus = "pending",
        *,
        workflow: str | None = None,
        role: str | None = None,
        thread_id: str | None = None,
        asked_before: datetime | None = None,
        due_before: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Review]:
        """Return a page of questions to people: the inbox.

        Open ones come by priority, and then those first that wait longest; closed ones newest first. Each shows who has
        decided so far, what is missing, and whether it is overdue.

        Args:
            status: pending, decided, expired or withdrawn.
            workflow: Only those of this workflow.
            role: Only those that ask people of this role now.
            thread_id: Only those of this run.
            asked_before: Only those that were asked before (aware).
            due_before: Only those whose deadline is before.
            limit: The most reviews on a page (1-1000).
            after: The `after` of the page before.

        Raises:
            InvalidInput: The limit is out of range, or `after` is of no page.
        """
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit must be between 1 and 1000, not {limit}.")
        filters = {
            "workflow": workflow,
            "role": role,
            "thread_id": thread_id,
            "asked_before": asked_before,
            "due_before": due_before,
        }
        cursor = read_cursor(after)
        found = await self._reviews.page(
            self.principal.tenant, status=status, limit=limit + 1, filters=filters, after=cursor
        )
        shown = tuple(found[:limit])
        return Page(shown, after=cursor_of(shown[-1]) if len(found) > limit else None)

    async def history(self, thread_id: str) -> list[Step]:
        """Return the steps of a run, oldest first; a step's number or checkpoint id is what `fork` takes.

        Raises:
            UnknownThread: There is no such run.
        """
        await self._row(thread_id)
        return list(steps_of(await self._reader.history(thread_id)))

    async def timeline(self, thread_id: str) -> Timeline:
        """Return how the time of a run was spent, step by step.

        Raises:
            UnknownThread: There is no such run.
        """
        return timeline_of(await self.get(thread_id), tuple(await self.history(thread_id)))
