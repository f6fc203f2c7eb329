"""The rows of `adjourn.children`: which run started which, and which of them a paused run waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import together
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from ..errors import DepthExceeded, LeaseLost, ThreadExists
from .model import Child, RunStatus
from .queue import WORKER, RunQueue, is_limited
from .run_groups import NewRun
from .runs import RunRow, RunStore

__all__ = ["ChildStore", "Link", "ParentGone"]

_SQL: Final = load_queries(__package__, "children.sql")
_MOST_SHOWN: Final = 10_000
Connection = AsyncConnection[DictRow]


class ParentGone(Exception):
    """The parent is not running any more: it was cancelled, or deleted."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a child hangs.

    Args:
        parent_id: The run that starts it.
        token: The lease of its drive.
        namespace: The task that starts it.
        child_id: Its own id there.
        on_failure: What its failure means there.
        held: Whether limits hold it back, because a worker drives its parent.
    """

    parent_id: str
    token: int
    namespace: str
    child_id: str
    on_failure: str
    held: bool = False

    def values(self) -> dict[str, Any]:
        """Return it as the parameters of a query."""
        return {
            "parent_id": self.parent_id,
            "token": self.token,
            "checkpoint_ns": self.namespace,
            "child_id": self.child_id,
            "on_failure": self.on_failure,
        }


class ChildStore:
    """Reads and changes them. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections.
        runs: The run rows.
        queue: Takes children that are left to the workers.
        seal: Reads errors.
        deepest: How many runs may stand one below the other under the first.
    """

    def __init__(
        self, pool: AsyncConnectionPool[Connection], runs: RunStore, queue: RunQueue, seal: Seal, deepest: int
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._runs = runs
        self._seal = seal
        self._deepest = deepest

    async def find(self, link: Link) -> RunRow | None:
        """Return the child that a task has under an id; from now on its parent does not wait for it.

        Returns:
            Its run's row with `child`, its thread id, and `again`; of a deleted run nothing else. None when there is none,
            or the parent's lease was lost.
        """
        with mapped_faults("cannot look for a child run", thread_id=link.parent_id):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_SQL["find_child"], link.values())).fetchone()
        if row is None or row["error"] is None:
            return row
        return {**row, "error": self._seal.open(row["error"])}

    async def accept(self, link: Link, run: NewRun, *, submit: bool = False) -> RunRow:
        """Accept a run as a child and take its lease, or leave it to the workers; in one transaction.

        Args:
            link: Where it hangs.
            run: The run.
            submit: Whether it is left to the workers; so is one that a limit holds back.

        Returns:
            Its row, with the lease's `token` where it was taken.

        Raises:
            ParentGone: The parent does not run any more; nothing was stored.
            LeaseLost: Another process drives the parent; nothing was stored.
            DepthExceeded: It would stand too deep; nothing was stored.
            ThreadExists: Its thread id is taken; nothing was stored.
        """
        with mapped_faults("cannot start a child run", thread_id=link.parent_id):
            async with self._pool.connection() as connection, together(connection), connection.transaction():
                asked = {**link.values(), "held": link.held, "workflow": run.workflow}
                parent = await connection.execute(_SQL["lock_parent"], asked)
                lease = await connection.execute(_SQL["lock_parents_lease"], link.values())
                found, held = await parent.fetchone(), await lease.fetchone()
                if found is None:
                    raise ParentGone
                if held is None:
                    raise LeaseLost(
                        f"Run {link.parent_id} is driven by another process now; the child {link.child_id!r} was not "
                        "started here.",
                        thread_id=link.parent_id,
                    )
                depth = found["depth"] + 1
                if depth > self._deepest:
                    raise DepthExceeded(
                        f"The child {link.child_id!r} would stand {depth} runs below the first, and ADJOURN_MAX_CHILD_DEPTH "
                        f"allows {self._deepest}. Does a workflow start itself without an end?",
                        thread_id=link.parent_id,
                    )
                if submit or found["limited"]:
                    row = (await self._queue.submit_on(connection, [run])).get(run.thread_id)
                else:
                    row = await self._runs.accept(run, connection)
                if row is None:
                    raise ThreadExists(f"There is a run {run.thread_id} already.", thread_id=run.thread_id)
                place = {"thread_id": run.thread_id, "root_id": found["root_id"], "depth": depth}
                await connection.execute(_SQL["link_child"], {**link.values(), **place})
        return {**row, "parent_id": link.parent_id}

    async def take_up(self, found: RunRow, expected: RunStatus, *, held: bool = False) -> RunRow | None:
        """Take the lease of a child that is to go on; see `RunStore.claim`.

        Args:
            found: Its row.
            expected: How it stands.
            held: Whether limits hold it back. One that comes under a limit and has no place is queued, and None returned.
        """
        thread_id, tenant = found["thread_id"], found["tenant"]
        with mapped_faults("cannot go on with a child run", thread_id=thread_id):
            async with self._pool.connection() as connection, connection.transaction():
                claimed = await self._runs.claim(thread_id, tenant, (expected,), connection)
                if claimed is None:
                    return None
                await connection.execute(_SQL["taken_up"], {"thread_id": thread_id})
                await self._again_below(found, connection)
                # what was running when its driver died has its place still
                if held and expected != "running" and await is_limited(connection, thread_id):
                    await self._queue.hand_back_on(connection, thread_id, claimed["token"])
                    return None
                return claimed

    async def wake(self, parent_id: str, tenant: str, *, held: bool = False) -> RunRow | None:
        """Take the lease of a paused run if what it waits for has ended; of several callers one succeeds.

        Args:
            parent_id: The run.
            tenant: Whose it is.
            held: Whether limits hold it back. One that comes under a limit is queued, and None returned.
        """
        values = {"parent_id": parent_id}
        with mapped_faults("cannot go on with a parent run", thread_id=parent_id):
            async with self._pool.connection() as connection, connection.transaction():
                await self._runs.lock(connection, parent_id)
                found = await (await connection.execute(_SQL["may_go_on"], values)).fetchone()
                if found is None or not found["goes_on"]:
                    return None
                if held and await is_limited(connection, parent_id):
                    await self._queue.put(connection, parent_id, WORKER)
                    return None
                claimed = await self._runs.claim(parent_id, tenant, ("paused",), connection)
                if claimed is not None:
                    await connection.execute(_SQL["wait_no_more"], values)
                return claimed

    async def woken(self, tenant: str, limit: int) -> list[str]:
        """Return paused runs that may go on since their children have ended, the longest waiting first."""
        with mapped_faults("cannot look for runs whose children have ended"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["list_woken"], {"tenant": tenant, "limit": limit})
                return [row["thread_id"] for row in await cursor.fetchall()]

    async def again_below(self, failed: RunRow) -> None:
        """Let the child that failed a run go on when its node, which is tried again, comes to it.

        Args:
            failed: The run's row as it was when it had failed.
        """
        if (failed["error"] or {}).get("child") is not None:
            with mapped_faults("cannot go on with a child run", thread_id=failed["thread_id"]):
                async with self._pool.connection() as connection:
                    await self._again_below(failed, connection)

    async def _again_below(self, failed: RunRow, connection: Connection) -> None:
        child = (failed["error"] or {}).get("child")
        if child is not None:
            await connection.execute(_SQL["go_on_again"], {"parent_id": failed["thread_id"], "thread_id": child})

    async def at(self, parent_id: str, tenant: str, namespace: str) -> list[DictRow]:
        """Return `child_id`, `thread_id` and `ended_as` of the children that a run has at a place, in their order."""
        values = {"parent_id": parent_id, "tenant": tenant, "checkpoint_ns": namespace}
        with mapped_faults("cannot read the child runs", thread_id=parent_id):
            async with self._pool.connection() as connection:
                return await (await connection.execute(_SQL["children_at"], values)).fetchall()

    async def check_lease(self, parent_id: str, token: int) -> None:
        """Raise LeaseLost when another process drives a run now."""
        with mapped_faults("cannot look at a lease", thread_id=parent_id):
            async with self._pool.connection() as connection:
                values = {"parent_id": parent_id, "token": token}
                if await (await connection.execute(_SQL["holds_lease"], values)).fetchone() is None:
                    raise LeaseLost(f"Run {parent_id} is driven by another process now.", thread_id=parent_id)

    async def below(self, thread_id: str) -> tuple[Child, ...]:
        """Return the children of a run, and theirs."""
        with mapped_faults("cannot read the child runs", thread_id=thread_id):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL["tree"], {"thread_id": thread_id, "limit": _MOST_SHOWN})
                rows = await cursor.fetchall()
        return _tree(thread_id, rows, self._seal.open)


def _tree(parent_id: str, rows: list[DictRow], opened: Callable[[Any], Any]) -> tuple[Child, ...]:
    by_parent: dict[str, list[DictRow]] = {}
    for row in rows:
        by_parent.setdefault(row["parent_id"], []).append(row)

    def of(thread_id: str) -> tuple[Child, ...]:
        return tuple(
            Child(
                id=row["child_id"],
                thread_id=row["thread_id"],
                workflow=row["workflow"],
                status=row["status"],
                waited_for=row["waited_for"],
                questions=row["questions"],
                error=opened(row["error"]),
                children=of(row["thread_id"]),
            )
            for row in by_parent.get(thread_id, [])
        )

    return of(parent_id)
