"""Verbs that make runs: start, submit and fork."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..checkpoints.copying import copy_until
from ..checkpoints.faults import mapped_faults
from ..checkpoints.fence import holding
from ..checkpoints.priming import UNREAD
from ..errors import AdjournError, InvalidInput, ThreadExists
from .base import EngineBase
from .binding import Compiled, serde_of
from .ids import check_thread_id, new_thread_id
from .inputs import Stored, check_input, serialised
from .model import Run, Step
from .policy_book import Policies, policies_json
from .reader import thread_config
from .reading import steps_of
from .registry import Graph
from .run_groups import NewRun
from .runs import Outcome, RunRow, to_run
from .settling import describe
from .work import Claimed, Emit

__all__ = ["Starting", "check_timing"]


class Starting(EngineBase):
    """Starts, submits and forks runs."""

    async def start(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002  (what LangGraph calls it, too)
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
        policies: Policies | None = None,
        on_event: Emit | None = None,
        tokens: bool = False,
    ) -> Run:
        """Start a run and drive it until it ends or needs people.

        Idempotent by thread id: the same id with the same input returns the existing run as it is and drives nothing.
        A run that was accepted is never forgotten: if this process dies, `recover` continues it in another. A failure
        of the workflow's own code is no exception here: the run's status is `failed` (`run.raise_for_failure()` raises
        it).

        Args:
            workflow: A registered name, or a graph that has a name of its own.
            input: What the graph starts with.
            thread_id: 1-200 printable characters; made by the engine (UUIDv7) when left out.
            by: Who asks for the run, where the principal is trusted to name somebody else.
            context: The graph's run-time context; stored, and given again to every later drive. Keep secrets out.
            policies: Who may answer this run's questions, instead of what the questions or the workflow say: one
                `ReviewPolicy` for all, or one for each action by name, with `"*"` for all others.
            on_event: Called with each event while the run is driven here; it must not block.
            tokens: Whether models stream their tokens into the events.

        Returns:
            The run, paused, completed or failed.

        Raises:
            UnknownWorkflow: No such workflow is registered.
            InvalidInput: The input, context or thread id does not fit; nothing was stored.
            ThreadExists: The thread id is taken by a run with another workflow or other input.
            NotAuthorized: The principal may not act for somebody else.
            ConfigurationError: The workflow, its model or a policy cannot be used as configured; nothing was stored.
            LeaseLost: Another process drives the run now.
        """
        async with (
            self._asked_for(workflow, input, thread_id, by, context, policies) as (graph, new),
            self._drives.upcoming(graph, fresh=input, on_event=on_event, tokens=tokens) as upcoming,
        ):
            upcoming.expect(new.row())
            row = await self._runs.accept(new)
            if row is None:
                return await self._existing(new)
            claimed = Claimed(row, saved=None if thread_id is None else UNREAD)
            return await self._carry_out(upcoming.ours(claimed), claimed) or await self._show(new.thread_id)

    async def submit(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002  (what LangGraph calls it, too)
        *,
        thread_id: str | None = None,
        by: str | None = None,
        context: Any = None,
        policies: Policies | None = None,
        priority: int = 0,
        start_at: datetime | None = None,
    ) -> Run:
        """Accept a run and leave it to the workers (`adjourn worker`); returns at once.

        Idempotent by thread id, as `start` is. When this returns, the run and its place in the queue are stored: it will be
        driven however many processes die meanwhile, as soon as there is a worker that has its workflow. `wait` waits for
        it, `follow` tells what happens in it. Where a limit covers the run (`set_limit`), it waits for a place first.

        The other parameters, and the errors, are those of `start`. A priority is a whole number from -32768 to 32767, and
        larger comes first; under limits it counts among the runs of one tenant. With `start_at`, a time with a zone, the run
        does not begin before that time.

        Returns:
            The run, queued.
        """
        check_timing(priority, start_at)
        async with self._asked_for(workflow, input, thread_id, by, context, policies) as (_, new):
            row = await self._queue.submit(replace(new, priority=priority, start_at=start_at))
            return await self._existing(new) if row is None else to_run(row)

    async def fork(
        self,
        thread_id: str,
        *,
        at: int | str,
        update: dict[str, Any] | None = None,
        by: str | None = None,
        on_event: Emit | None = None,
    ) -> Run:
        """Start a new thread from an old step of a run and drive it; the original is never touched.

        What ran after that step runs again in the fork, effects included.

        Args:
            thread_id: The run to fork.
            at: A step's number or its checkpoint id, from `history()`.
            update: State keys to change first.
            by: Who asks for the fork.
            on_event: Called with each event while the fork is driven here.

        Raises:
            UnknownThread: There is no such run.
            InvalidInput: There is no such step, or the update does not fit the state.
        """
        actor = self._actor(by)
        row = await self._row(thread_id)
        step = _find_step(list(steps_of(await self._reader.history(thread_id))), at, thread_id)
        fork_id = new_thread_id()
        async with self._graph_of(row, fork_id) as graph:
            if update:
                _check_keys(graph, update, thread_id)
            with mapped_faults("cannot fork the run", thread_id=thread_id):
                forked = await self._copy_run(row, fork_id, step.checkpoint_id, actor)
            if update:
                await self._update_fork(graph, forked, update)
            return await self._drive(forked, graph, on_event=on_event)

    @asynccontextmanager
    async def _asked_for(
        self,
        workflow: str | Graph,
        input: Any,  # noqa: A002
        thread_id: str | None,
        by: str | None,
        context: Any,
        policies: Policies | None,
    ) -> AsyncIterator[tuple[Compiled, NewRun]]:
        """Give the graph of a run that somebody asks for, and what is stored of it; see `start`."""
        actor = self._actor(by)
        chosen = self.registry.find(workflow)
        run_id = check_thread_id(thread_id) if thread_id is not None else new_thread_id()
        kept = policies_json(policies, self._workflow_policies.get(chosen.name), self._coping.kept())
        async with self._bound(chosen, run_id, context) as graph:
            check_input(graph, input, json_only=chosen.built_in)
            serde = serde_of(graph)
            yield (
                graph,
                NewRun(
                    thread_id=run_id,
                    tenant=self.principal.tenant,
                    workflow=chosen.name,
                    version=chosen.version,
                    source=chosen.source,
                    requested_by=actor,
                    given=serialised(serde, input, what="input", limit=self.settings.max_input_bytes),
                    context=None if context is None else serialised(serde, context, what="context"),
                    policies=None if kept is None else json.dumps(self._seal.close(kept)),
                ),
            )

    async def _existing(self, asked: NewRun) -> Run:
        thread_id = asked.thread_id
        row = await self._runs.get(thread_id, self.principal.tenant)
        if row is None or row["workflow"] != asked.workflow or row["input_digest"] != asked.given.digest:
            raise ThreadExists(
                f"The thread id {thread_id!r} is taken by a run with another workflow or other input; choose another.",
                thread_id=thread_id,
            )
        return await self._show(thread_id)

    async def _copy_run(self, row: RunRow, fork_id: str, checkpoint_id: str, actor: str) -> RunRow:
        async with self._storage.pool.connection() as connection, connection.transaction():
            await copy_until(connection, row["thread_id"], fork_id, checkpoint_id)
            new = NewRun(
                thread_id=fork_id,
                tenant=row["tenant"],
                workflow=row["workflow"],
                version=row["version"],
                source=row["source"],
                requested_by=actor,
                given=Stored(None, None, row["input_digest"]),
                context=Stored(row["context_type"], row["context"], ""),
                forked_from=row["thread_id"],
                policies=None if row["policies"] is None else json.dumps(row["policies"]),
            )
            forked = await self._runs.accept(new, connection)
        assert forked is not None, "a fresh UUID was taken"  # noqa: S101
        return forked

    async def _update_fork(self, graph: Compiled, row: RunRow, update: dict[str, Any]) -> None:
        thread_id, token = row["thread_id"], row["token"]
        try:
            with holding(thread_id, token):
                await graph.aupdate_state(thread_config(thread_id), update)
        except AdjournError:
            raise
        except Exception as error:
            await self._runs.settle(thread_id, token, Outcome("failed", describe(error, None)))
            raise InvalidInput(f"The update does not fit the state: {error}.", thread_id=thread_id) from error


def check_timing(priority: Any, start_at: Any = None) -> None:
    """Refuse what cannot be a priority or a time to begin.

    Raises:
        InvalidInput: It is not.
    """
    if not isinstance(priority, int) or isinstance(priority, bool) or not -32768 <= priority <= 32767:
        raise InvalidInput(f"priority={priority!r} is no whole number from -32768 to 32767.")
    if start_at is not None and (not isinstance(start_at, datetime) or start_at.utcoffset() is None):
        raise InvalidInput(
            f"start_at={start_at!r} is no time with a zone; give one such as datetime(2027, 1, 1, 9, tzinfo=UTC)."
        )


def _check_keys(graph: Compiled, update: dict[str, Any], thread_id: str) -> None:
    """Refuse keys that the state does not have; LangGraph would ignore them without a word."""
    known = getattr(getattr(graph, "builder", None), "channels", {})
    unknown = [key for key in update if key not in known]
    if unknown and known and "__root__" not in known:
        named = ", ".join(map(repr, unknown))
        raise InvalidInput(f"The state has no {named}. It has: {', '.join(known)}.", thread_id=thread_id)


def _find_step(steps: list[Step], at: int | str, thread_id: str) -> Step:
    for step in steps:
        if at in (step.number, step.checkpoint_id):
            return step
    numbers = f"{steps[0].number} to {steps[-1].number}" if steps else "none"
    raise InvalidInput(f"Run {thread_id} has no step {at!r}; it has {numbers} (see its history).", thread_id=thread_id)
