"""Verbs that only look: get, runs, reviews, review, history, timeline. None of them imports a workflow's code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ..errors import InvalidInput, UnknownReview
from .base import EngineBase
from .cursors import cursor_of, read_cursor
from .model import Page, Principal, Review, ReviewStatus, Run, RunStatus, Step, Timeline
from .reading import steps_of, timeline_of
from .review_rules import why_not
from .runs import to_run

__all__ = ["Looking"]

_SHORTEST: Final = 4
_NAMED: Final = 6


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
        parent: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Run]:
        """Return a page of runs, newest first, without their states.

        Args:
            status: Only runs that stand so; `stalled` are those whose driver is gone.
            workflow: Only runs of this workflow.
            parent: Only the child runs of this run.
            limit: The most runs on a page (1-1000).
            after: The `after` of the page before.

        Raises:
            InvalidInput: The limit is out of range.
        """
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit must be between 1 and 1000, not {limit}.")
        rows = await self._runs.page(
            self.principal.tenant, status=status, workflow=workflow, parent=parent, limit=limit + 1, after=after
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
        waiting_for: Principal | None = None,
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
            waiting_for: Only open ones that this person may answer, with the roles that they hold, and has not.
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
            "held": None if waiting_for is None else list(waiting_for.roles),
            "thread_id": thread_id,
            "asked_before": asked_before,
            "due_before": due_before,
        }
        shown: list[Review] = []
        while True:
            found = await self._pages.page(
                self.principal.tenant, status=status, limit=limit + 1, filters=filters, after=read_cursor(after)
            )
            for place, review in enumerate(found[:limit]):
                if waiting_for is None or _waits_for(review, waiting_for):
                    shown.append(review)
                    if len(shown) == limit:
                        more = place + 1 < len(found)
                        return Page(tuple(shown), after=cursor_of(review) if more else None)
            if len(found) <= limit:
                return Page(tuple(shown), after=None)
            after = cursor_of(found[limit - 1])

    async def review(self, which: str) -> Review:
        """Return one review, open or closed.

        Args:
            which: Its id, the beginning of its id (4 characters or more), or the id of a run: then its one open review
                or, when none is open, the one that was asked last.

        Raises:
            UnknownReview: There is none; or several fit, and the message names them.
        """
        found = await self._pages.of_thread(self.principal.tenant, which, _NAMED)
        if found and (len(found) == 1 or found[1].status != "pending"):
            return found[0]
        if found:
            asking = [review for review in found if review.status == "pending"]
            raise UnknownReview(
                f"Run {which} asks several questions; name one review: {_names(asking)}.", thread_id=which
            )
        if len(which) >= _SHORTEST:
            found = await self._pages.beginning_with(self.principal.tenant, which, _NAMED)
        found = [review for review in found if review.id == which] or found
        if len(found) == 1:
            return found[0]
        if len({review.id for review in found}) == 1:
            # A fork asks under the id of the original. Which one is meant is never guessed, not even where only one of them
            # is open: an answer that was sent twice would meet the other run.
            runs = ", ".join(review.thread_id for review in found)
            raise UnknownReview(f"Several runs ask review {found[0].id}; name the run instead: {runs}.")
        if found:
            raise UnknownReview(f"Several reviews begin with {which!r}; give more of the id: {_names(found)}.")
        raise UnknownReview(
            f"There is no review {which!r} here, and no run of that id that was ever asked; `adjourn inbox` shows the "
            "open ones."
        )

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


def _waits_for(review: Review, who: Principal) -> bool:
    answered = any(vote.by == who.id and vote.counts for vote in review.votes)
    return not answered and why_not(review, who) is None


def _names(reviews: Iterable[Review]) -> str:
    return ", ".join(review.id for review in reviews)
