"""The rows of `adjourn.runs`, and the lease that comes with the right to drive one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.latest import with_latest
from ..checkpoints.parts import in_parts
from ..checkpoints.pool import together
from ..checkpoints.queries import load_queries
from ..checkpoints.saver import Saver
from ..checkpoints.sealing import Seal
from .child_waits import write_down_waits
from .model import Held, Run, RunStatus
from .opening import Opening
from .run_groups import End, NewRun, RunGroups, accept_on

__all__ = ["Outcome", "RunRow", "RunStore", "Settled", "to_run"]

RunRow = DictRow
Settled = Literal["recorded", "go on", "gone"]
Connection = AsyncConnection[DictRow]

_SQL: Final = load_queries(__package__, "runs.sql")
_SHOWN: Final = with_latest(_SQL["show_run"], "runs.thread_id")
# what a queued run waits for before a worker may take it
_HELD: Final[dict[str | None, Held]] = {"later": "start_at", "waiting": "limits"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a drive ended.

    Args:
        status: Where the run stands now: paused, completed or failed.
        error: For a failed run `type`, `message` and `node`.
        checkpointed: Whether a checkpoint holds the input, so that the run row need not.
        breakpoint: The review of a static breakpoint: id, checkpoint id, and the columns of its question.
        fed: The reviews whose answers this drive was given.
        waits: The child runs that a pause waits for, each with `all` or `one`.
    """

    status: RunStatus
    error: dict[str, Any] | None = None
    checkpointed: bool = True
    breakpoint: tuple[str, str, Opening] | None = None
    fed: list[str] = field(default_factory=list)
    waits: Mapping[str, str] = field(default_factory=dict)


class RunStore:
    """Reads and changes run rows. Every method raises StorageUnavailable when PostgreSQL cannot be reached.

    Args:
        pool: Connections in autocommit mode that return rows as dictionaries.
        saver: Stores the checkpoints; encrypts errors where there is a key.
        owner: Who takes leases: this engine.
        seconds: How long a lease lasts.
        actor: Who acts, for the audit: `by`, `source` and `channel`.
        on_pause: What else the transaction that records a pause writes down, for a thread; None for nothing.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        saver: Saver,
        *,
        owner: str,
        seconds: float,
        actor: Mapping[str, str],
        on_pause: Callable[[Connection, str], Awaitable[None]] | None = None,
    ) -> None:
        self._pool = pool
        self._on_pause = on_pause
        self._saver = saver
        self._seal = Seal(saver.serde)
        self._actor = actor
        self._lessee: dict[str, Any] = {"owner": owner, "seconds": seconds}
        self._groups = RunGroups(saver, owner, seconds, actor)

    async def accept(self, run: NewRun, connection: Connection | None = None) -> RunRow | None:
        """Accept a run and take its lease, on a connection of the caller's if its transaction is to hold both.

        Returns:
            Its row with the lease's `token`, or None when the thread id is taken.
        """
        with mapped_faults("cannot accept the run", thread_id=run.thread_id):
            if connection is None:
                return await self._groups.accept(run)
            return (await accept_on(connection, [run], **self._lessee, actor=self._actor)).get(run.thread_id)

    async def get(self, thread_id: str, tenant: str) -> RunRow | None:
        """Return one run of a tenant, or None."""
        return await self._one("get_run", thread_id=thread_id, tenant=tenant)

    async def shown(
        self, thread_id: str, tenant: str, only: Collection[str] | None = None
    ) -> tuple[RunRow, DictRow] | None:
        """Return one run of a tenant, and the row of its latest checkpoint, in one exchange; None when there is none.

        Args:
            thread_id: The run.
            tenant: Whose it must be.
            only: The checkpoint is read only if the run's row stands so; None: in any case.
        """
        values = {"thread_id": thread_id, "tenant": tenant, "only": None if only is None else list(only)}
        with mapped_faults("show_run failed", thread_id=thread_id):
            async with self._saver.lend() as connection:
                cursor = connection.cursor(row_factory=in_parts)
                found = await (await cursor.execute(_SHOWN, values, binary=True)).fetchone()
        return None if found is None else (self.opened(found[0]), found[1])

    async def page(
        self,
        tenant: str,
        *,
        status: RunStatus | None,
        workflow: str | None,
        limit: int,
        after: str | None,
        parent: str | None = None,
    ) -> list[RunRow]:
        """Return a page of a tenant's runs, newest first."""
        stalled = status == "stalled"
        values = {
            "status": "running" if stalled else status,
            "stalled": stalled,
            "workflow": workflow,
            "parent": parent,
        }
        with mapped_faults("cannot list the runs"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    _SQL["list_runs"], {"tenant": tenant, "limit": limit, "after": after, **values}
                )
                return [self.opened(row) for row in await cursor.fetchall()]

    async def lock(self, connection: Connection, thread_id: str) -> None:
        """Lock a run for the rest of a transaction that changes its questions or its lease as well."""
        await connection.execute(_SQL["lock_run"], {"thread_id": thread_id})

    async def claim(
        self,
        thread_id: str,
        tenant: str | None,
        expected: Sequence[RunStatus],
        connection: Connection | None = None,
        *,
        actor: Mapping[str, str] | None = None,
    ) -> RunRow | None:
        """Take the lease of a run that stands in one of the expected statuses.

        Args:
            thread_id: The run.
            tenant: Whose it must be; None: of any tenant.
            expected: The statuses.
            connection: A connection in a transaction that is to hold it.
            actor: Who acts, for the audit, where that is not the store's own.

        Returns:
            Its row, running now, with the lease's `token`; None when it stands elsewhere or somebody has the lease.
        """
        if connection is not None:
            return await self.claimed(await self.ask_claim(thread_id, tenant, expected, connection, actor=actor))
        with mapped_faults("claim_run failed", thread_id=thread_id):
            async with self._pool.connection() as own:
                return await self.claim(thread_id, tenant, expected, own, actor=actor)

    async def ask_claim(
        self,
        thread_id: str,
        tenant: str | None,
        expected: Sequence[RunStatus],
        connection: Connection,
        *,
        actor: Mapping[str, str] | None = None,
    ) -> AsyncCursor[RunRow]:
        """Send what `claim` does, for `claimed` to read later."""
        values = {"thread_id": thread_id, **self.claim_of(tenant, expected, actor)}
        return await connection.execute(_SQL["claim_run"], values)

    async def claimed(self, cursor: AsyncCursor[RunRow]) -> RunRow | None:
        """Return the run that `ask_claim` has claimed, if it has."""
        row = await cursor.fetchone()
        return None if row is None else self.opened(row)

    def claim_of(self, tenant: str | None, expected: Sequence[RunStatus], actor: Mapping[str, str] | None) -> RunRow:
        """Return what a statement that takes a lease is told: for whom, and of which runs; see `claim`."""
        # statuses are plain words, and for psycopg a list takes longer than all the rest
        among = "{" + ",".join(expected) + "}"
        return {**self._lessee, "tenant": tenant, "expected": among, "actor": Jsonb(actor or self._actor)}

    def opened(self, row: RunRow) -> RunRow:
        """Return a run's row as it was before it was encrypted."""
        return {**row, "error": self._seal.open(row["error"])} if row.get("error") else row

    async def settle(self, thread_id: str, token: int, outcome: Outcome) -> Settled:
        """Do what `settle_run` does; return only what became of the outcome."""
        return (await self.settle_run(thread_id, token, outcome))[0]

    async def settle_run(self, thread_id: str, token: int, outcome: Outcome) -> tuple[Settled, RunRow | None]:
        """Record how a drive ended and give the lease back, in one transaction.

        Returns:
            What became of the outcome: `recorded`, with the run's row, or what has changed there where the drive is over;
            `go on` when an answer came to a paused run that the drive was not given, and nothing was changed; or `gone` when
            the lease had been lost or the run cancelled meanwhile.
        """
        with mapped_faults("cannot record how a drive ended", thread_id=thread_id):
            if outcome.status != "paused":
                return self.ended(await self._groups.end(self._end(thread_id, token, outcome)))
            async with self._pool.connection() as connection:
                row = await self._pause_on(connection, thread_id, token, outcome)
        if row is not None and not row["ends"]:
            return "go on", None
        return self.ended(row)

    def ended(self, row: RunRow | None) -> tuple[Settled, RunRow | None]:
        """Say what became of an outcome, from the row of the run that the statement returned which recorded it."""
        return ("gone", None) if row is None or row["thread_id"] is None else ("recorded", self.opened(row))

    async def _pause_on(self, connection: Connection, thread_id: str, token: int, outcome: Outcome) -> RunRow | None:
        """Pause; what else is written down stands between the locks and that, all of them sent together."""
        values = {
            "thread_id": thread_id,
            "token": token,
            "checkpointed": outcome.checkpointed,
            "fed": outcome.fed,
        }
        if not outcome.waits and outcome.breakpoint is None and self._on_pause is None:
            return await (await connection.execute(_SQL["pause_run"], values)).fetchone()
        async with together(connection), connection.transaction():
            await self.lock(connection, thread_id)
            await connection.execute(_SQL["lock_lease"], values)
            if outcome.waits and await write_down_waits(connection, thread_id, outcome.waits):
                return {"ends": False}
            if outcome.breakpoint is not None:
                await connection.execute(_SQL["open_breakpoint"], _breakpoint(thread_id, token, outcome.breakpoint))
            cursor = await connection.execute(_SQL["pause_run"], values)
            if self._on_pause is not None:
                await self._on_pause(connection, thread_id)
            return await cursor.fetchone()

    def _end(self, thread_id: str, token: int, outcome: Outcome) -> End:
        error = json.dumps(self._seal.close(outcome.error)) if outcome.error else None
        return End(thread_id, token, outcome.status, error, outcome.checkpointed)

    async def cancel(self, thread_id: str, tenant: str, error: dict[str, Any]) -> list[str]:
        """End a run for good with all below it, and withdraw their open questions; return those that had not ended."""
        kept, actor = Jsonb(self._seal.close(error)), Jsonb({**self._actor, "by": error["by"]})
        values = {"thread_id": thread_id, "tenant": tenant, "error": kept, "actor": actor}
        with mapped_faults("cannot cancel the run", thread_id=thread_id):
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(_SQL["cancel_runs"], values)).fetchall()
        return [row["thread_id"] for row in rows]

    async def delete(self, thread_id: str, tenant: str) -> None:
        """Forget a run whose thread was deleted; its child runs that have not ended are cancelled."""
        values = {"thread_id": thread_id, "tenant": tenant}
        with mapped_faults("cannot delete the run", thread_id=thread_id):
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(_SQL["lock_to_delete"], values)
                await connection.execute(_SQL["delete_run"], values)

    async def forget_failed_writes(self, thread_id: str, token: int) -> None:
        """Let the failed tasks of a thread run again as a whole; answers that they were given are kept."""
        await self._do("forget_failed_writes", thread_id=thread_id, token=token)

    async def release(self, thread_id: str, token: int) -> None:
        """Give a lease back and change nothing else: a run that is still running is found by recovery at once."""
        await self._do("release_lease", thread_id=thread_id, token=token)

    async def _one(self, query: str, **values: Any) -> RunRow | None:
        with mapped_faults(f"{query} failed", thread_id=values["thread_id"]):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_SQL[query], values)).fetchone()
        return None if row is None else self.opened(row)

    async def _do(self, query: str, **values: Any) -> None:
        with mapped_faults(f"{query} failed", thread_id=values["thread_id"]):
            async with self._pool.connection() as connection:
                await connection.execute(_SQL[query], values)


def to_run(row: RunRow, **extra: Any) -> Run:
    """Return the public view of a row.

    Args:
        row: The row; a running run whose lease has run out is shown as stalled.
        **extra: `state`, `reviews` and `children`, where they were read.
    """
    names = (
        "thread_id", "workflow", "version", "source", "requested_by", "tenant",
        "created_at", "updated_at", "ended_at", "error", "forked_from", "priority", "start_at",
    )  # fmt: skip
    status: RunStatus = "stalled" if row["status"] == "running" and row["expired"] else row["status"]
    held = _HELD.get(row["admission"]) if status == "queued" else None
    return Run(status=status, held=held, parent=row["parent_id"], **{name: row[name] for name in names}, **extra)


def _breakpoint(thread_id: str, token: int, opened: tuple[str, str, Opening]) -> dict[str, Any]:
    review_id, checkpoint_id, columns = opened
    return {
        "thread_id": thread_id,
        "token": token,
        "review_id": review_id,
        "checkpoint_id": checkpoint_id,
        **dataclasses.asdict(columns),
    }
