"""The verb that makes the table of reviews anew: open questions from the checkpoints, everything else from decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Interrupt

from ..checkpoints.faults import mapped_faults
from ..checkpoints.pool import Connection
from ..checkpoints.queries import load_queries
from .base import EngineBase
from .child_waits import is_wait
from .internals import open_interrupts
from .opening import Opening, opening
from .outcome import has_tasks
from .questions import BREAKPOINT
from .reading import next_nodes
from .retelling import retold
from .review_case import Case
from .runs import RunRow

__all__ = ["Rebuilding"]

_SQL: Final = load_queries(__package__, "rebuild.sql")
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class _Found:
    """A question in the checkpoints: what was asked, and where."""

    value: Any
    response_schema: Any
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    is_open: bool


class Rebuilding(EngineBase):
    """Makes reviews anew."""

    async def rebuild(self, thread_id: str | None = None) -> int:
        """Make the table of reviews anew, after somebody changed it or lost rows of it.

        Which questions are open comes from the checkpoints, everything else from the recorded decisions. The one thing
        that is taken from the table is when a question was asked; for a lost row its time begins now. A question that
        pruning dropped from the checkpoints stays as it stands. A run that is being driven is left out.

        Args:
            thread_id: One run; by default all of the tenant's.

        Returns:
            How many runs were done.

        Raises:
            UnknownThread: There is no such run.
        """
        if thread_id is not None:
            return int(await self._rebuild_run(await self._row(thread_id)))
        done, after = 0, None
        while True:
            rows = await self._runs.page(self.principal.tenant, status=None, workflow=None, limit=_PAGE, after=after)
            for row in rows:
                done += await self._rebuild_run(row)
            if len(rows) < _PAGE:
                return done
            after = rows[-1]["thread_id"]

    async def _rebuild_run(self, row: RunRow) -> bool:
        thread_id = row["thread_id"]
        self._policies.learn(thread_id, row["policies"])
        with mapped_faults("cannot rebuild the reviews", thread_id=thread_id):
            async with self._storage.pool.connection() as connection, connection.transaction():
                now = await self._reviews.lock_idle(connection, thread_id)
                if now is None:
                    return False
                # nobody can store anything while the lease's row is locked
                saved = await self._reader.everything(thread_id)
                found = _questions(saved, row["status"])
                await self._put_all(connection, row, now, found)
        return True

    async def _put_all(self, connection: Connection, row: RunRow, now: datetime, found: Mapping[str, _Found]) -> None:
        thread_id = row["thread_id"]
        known = {
            each["review_id"]: each
            for each in await (await connection.execute(_SQL["known_reviews"], {"thread_id": thread_id})).fetchall()
        }
        votes = await (await connection.execute(_SQL["all_votes"], {"thread_id": thread_id})).fetchall()
        for review_id, question in found.items():
            mine = [vote for vote in votes if vote["review_id"] == review_id]
            before: Mapping[str, Any] = known.get(review_id, {})
            values = self._columns(row, review_id, question, mine, before, now)
            await connection.execute(_SQL["put_review"], values)
        await connection.execute(_SQL["withdraw_unasked"], {"thread_id": thread_id, "asked": list(found)})

    def _columns(
        self,
        row: RunRow,
        review_id: str,
        found: _Found,
        rows: list[Any],
        before: Mapping[str, Any],
        now: datetime,
    ) -> dict[str, Any]:
        thread_id, asked_at = row["thread_id"], before.get("created_at") or now
        named = None if review_id.startswith(BREAKPOINT) else found.value
        policy = self._policies.policy(thread_id, named)
        columns = opening(self._storage.saver.serde, found.value, found.response_schema, policy)
        case = Case(thread_id, review_id, policy, row["requested_by"], columns.digest, columns.digest)
        votes = self._reviews.votes(rows, columns.digest)
        final = next((vote for vote, each in zip(votes, rows, strict=True) if each["final"]), None)
        told = retold(case, votes, final=final, is_open=found.is_open, asked_at=asked_at)
        closed_at = told.closed_at
        if told.status == "withdrawn":
            known = before.get("closed_at") if before.get("status") == "withdrawn" else None
            closed_at = known or row["ended_at"] or now
        return {
            **_plain(columns),
            "thread_id": thread_id,
            "review_id": review_id,
            "checkpoint_ns": found.checkpoint_ns,
            "checkpoint_id": found.checkpoint_id,
            "task_id": found.task_id,
            "tenant": row["tenant"],
            "workflow": row["workflow"],
            "asked_at": asked_at,
            "status": told.status,
            "closed_at": closed_at,
            "roles": list(told.roles),
            "stage": told.stage,
            "due_at": told.due_at,
            "remind_at": told.remind_at,
            "fails_closed": told.due_at is not None and told.fails_closed,
            "version": told.version,
            "digest": told.digest,
        }


def _plain(columns: Opening) -> dict[str, Any]:
    return {"question_type": columns.question_type, "question": columns.question, "priority": columns.priority}


def _questions(saved: Iterable[CheckpointTuple], status: str) -> dict[str, _Found]:
    """Return the questions of a thread's checkpoints by id, in the order in which they were asked."""
    oldest_first = sorted(saved, key=lambda each: each.checkpoint["id"])
    roots = [each for each in oldest_first if not each.config["configurable"].get("checkpoint_ns")]
    latest = roots[-1] if roots else None
    ended = status in ("completed", "cancelled")
    asks = {} if latest is None or ended else {each.id for each in open_interrupts(latest.pending_writes or [])}
    found: dict[str, _Found] = {}
    for each in oldest_first:
        place = each.config["configurable"]
        for task_id, channel, value in each.pending_writes or []:
            if channel != "__interrupt__":
                continue
            for interrupt in value if isinstance(value, list | tuple) else [value]:
                if is_wait(interrupt):
                    continue
                _add(found, interrupt, place, task_id, interrupt.id in asks)
    if latest is not None and status == "paused" and not asks and has_tasks(latest):
        newest = oldest_first[-1]
        checkpoint_id = newest.checkpoint["id"]
        nodes = list(next_nodes(newest.checkpoint))
        found[f"{BREAKPOINT}{checkpoint_id}"] = _Found(nodes, None, "", checkpoint_id, "", True)
    return found


def _add(found: dict[str, _Found], interrupt: Interrupt, place: Mapping[str, Any], task_id: str, is_open: bool) -> None:
    """Keep where the innermost task asked: the tasks above a subgraph repeat its questions."""
    namespace = place.get("checkpoint_ns") or ""
    known = found.get(interrupt.id)
    if known is None or len(namespace) > len(known.checkpoint_ns):
        found[interrupt.id] = _Found(
            interrupt.value, interrupt.response_schema, namespace, place["checkpoint_id"], task_id, is_open
        )
