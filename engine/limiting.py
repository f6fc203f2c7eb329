"""Verbs for limits: how many runs may be under way at once, and how many may begin in a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ConfigurationError, NotAuthorized
from .admission import AdmissionStore, Passed, Taken
from .admission_books import MINUTE, Limit, Pair, limits_of
from .base import EngineBase

__all__ = ["LimitStatus", "Limiting"]

_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit, and what is taken up of it.

    Args:
        limit: The limit as it was set.
        workflow: The workflow that is counted here; None where the limit counts all together.
        tenant: The tenant that is counted here; None where the limit counts all together.
        under_way: Runs that are driven, or admitted and about to be.
        began: Runs that began within the last minute.
        waiting: Runs that wait for a place; one that comes under several limits is counted with each.
    """

    limit: Limit
    workflow: str | None
    tenant: str | None
    under_way: int = 0
    began: int = 0
    waiting: int = 0


class Limiting(EngineBase):
    """Sets limits and lets runs begin under them."""

    async def set_limit(
        self,
        workflow: str | None = None,
        tenant: str | None = None,
        *,
        at_once: int | None = None,
        per_minute: int | None = None,
    ) -> Limit:
        """Limit the runs of a workflow, of a tenant, of a workflow of a tenant, or (with neither) all runs.

        Limits are stored in the database, so they are the same for every worker, and hold from the moment this returns:
        what waits for a worker then waits for a place as well; what is under way goes on. A run comes under at most one
        limit of each of these four kinds; a name takes the place of `*`. Calling this again for the same runs changes the
        limit.

        Limits hold back what workers drive. What `start`, `resume` and the like drive in the calling process is counted, but
        somebody waits for it there, so it is never held back. A paused run takes no place; when it goes on through a worker,
        after an answer or the end of its children, it waits for one again, before runs of its priority that never began, and
        is no new start. A child of what a worker drives waits for a place of its own, and its parent pauses for that long.

        Args:
            workflow: A name, or `*` for each workflow by itself.
            tenant: A name, or `*` for each tenant by itself.
            at_once: The most runs under way at any time; 0 for none.
            per_minute: The most runs that begin in any 60 seconds; 0 for none.

        Raises:
            ConfigurationError: A value does not fit; nothing was changed.
            NotAuthorized: The principal is authenticated; limits are for those who run the workers.
        """
        self._demand_trust("set limits")
        _check_scope(workflow, tenant)
        if at_once is None and per_minute is None:
            raise ConfigurationError("A limit needs at_once, per_minute or both; remove_limit takes one away.")
        limit = Limit(workflow, tenant, _checked("at_once", at_once), _checked("per_minute", per_minute))
        await self._admission.set_limit(limit, self.principal.id)
        return limit

    async def remove_limit(self, workflow: str | None = None, tenant: str | None = None) -> bool:
        """Take a limit away; workers let go what it held back. Removing one that is not there changes nothing.

        Args:
            workflow: As it was set.
            tenant: As it was set.

        Returns:
            Whether there was one.

        Raises:
            NotAuthorized: The principal is authenticated.
        """
        self._demand_trust("remove limits")
        _check_scope(workflow, tenant)
        return await self._admission.remove_limit(workflow, tenant)

    async def limits(self) -> list[LimitStatus]:
        """Return all limits, with what is taken up of each; one with `*` is there once for each that it counts.

        Raises:
            NotAuthorized: The principal is authenticated; the figures are of all tenants.
        """
        self._demand_trust("see the limits")
        return _statuses(await self._admission.taken())

    async def _admit(self) -> Passed:
        """Let runs begin until there is no more place; workers do this whenever something changed."""
        passed = await self._admission.admit()
        while passed.admitted:
            passed = await self._admission.admit()
        return passed

    @property
    def _admission(self) -> AdmissionStore:
        return AdmissionStore(self._storage.pool)

    def _demand_trust(self, what: str) -> None:
        if self.principal.source != "trusted":
            raise NotAuthorized(
                f"{self.principal.id} is authenticated and may not {what}: they concern all tenants. Do it from a shell or "
                "program of those who run the workers, such as with `adjourn limit`."
            )


def _check_scope(workflow: Any, tenant: Any) -> None:
    for name, value in (("workflow", workflow), ("tenant", tenant)):
        if value is None:
            continue
        if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= 200:
            raise ConfigurationError(f"{name}={value!r} is no name; give 1 to 200 printable characters, or * for each.")


def _checked(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ConfigurationError(f"{name}={value!r} is no limit; a whole number from 0 to {_MOST} would be right.")
    return value


def _statuses(taken: Taken) -> list[LimitStatus]:
    figures: defaultdict[tuple[Limit, str | None, str | None], list[int]] = defaultdict(lambda: [0, 0, 0])
    for pair in {*taken.counts.use, *taken.waiting}:
        use = taken.counts.use.get(pair)
        under_way = use.under_way if use else 0
        began = sum(start > taken.now - MINUTE for start in use.starts) if use else 0
        for place in _places(taken.counts.limits, pair):
            here = figures[place]
            for kind, more in enumerate((under_way, began, taken.waiting.get(pair, 0))):
                here[kind] += more
    for limit in taken.counts.limits:
        if not any(place[0] == limit for place in figures):
            _ = figures[limit, _named(limit.workflow), _named(limit.tenant)]
    found = [LimitStatus(*place, *numbers) for place, numbers in figures.items()]
    return sorted(
        found,
        key=lambda each: (each.limit.workflow or "", each.limit.tenant or "", each.workflow or "", each.tenant or ""),
    )


def _places(limits: Iterable[Limit], pair: Pair) -> list[tuple[Limit, str | None, str | None]]:
    return [
        (limit, limit.workflow and pair.workflow, limit.tenant and pair.tenant) for limit in limits_of(limits, pair)
    ]


def _named(name: str | None) -> str | None:
    return None if name == "*" else name
