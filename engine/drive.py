"""Driving a thread: the one function that runs LangGraph, wherever a run is started, resumed or retried.

claim the run  (here by its status; a lease later)
→ give LangGraph what it needs: the input, an answer by question id, or nothing
→ run with `durability="sync"`
→ read what the checkpoints say, and record the outcome
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.errors import is_invalid_resume
from langgraph.types import Command, StreamMode
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from ..errors import InvalidDecision, StorageUnavailable
from .binding import Compiled
from .events import Completed, Event, Failed, Paused, Started
from .factories import runnable_config
from .model import RunStatus
from .reader import Reader, thread_config
from .reading import open_reviews
from .runs import RunRow, RunStore
from .translate import Translator

__all__ = ["Driver", "Emit", "Feed", "describe"]

Emit = Callable[[Event], None]

_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Feed:
    """What LangGraph is given: a value to start with, a map of answers by interrupt id, or nothing to go on."""

    value: Any = None
    answers: dict[str, Any] | None = None

    def as_input(self) -> Any:
        """Return what the graph is called with. Answers always go by id, never by position."""
        return Command(resume=self.answers) if self.answers else self.value


class Driver:
    """Drives claimed runs and records how it went.

    Args:
        store: The run rows.
        reader: The checkpoints.
    """

    def __init__(self, store: RunStore, reader: Reader) -> None:
        self._store = store
        self._reader = reader

    async def drive(
        self, row: RunRow, graph: Compiled, feed: Feed, context: Any, emit: Emit, *, tokens: bool = False
    ) -> None:
        """Drive a run that this process has claimed until it ends or needs people.

        Whatever happens, the outcome is recorded while the database can be reached; a failure of the workflow's own
        code is an outcome, not an exception.

        Args:
            row: The run's row, status running.
            graph: Its graph on our saver.
            feed: What LangGraph is given.
            context: The run's context, the same in every drive.
            emit: Gets the events.
            tokens: Whether models should stream their tokens into the events.

        Raises:
            InvalidDecision: The workflow's own schema refused the answer; the run is paused as before.
            StorageUnavailable: The database went away.
            asyncio.CancelledError: The drive was cancelled; the run is recorded as failed and can be retried.
        """
        thread_id = row["thread_id"]
        translator = Translator(thread_id)
        with bound_contextvars(thread=thread_id, workflow=row["workflow"]):
            emit(Started(thread_id, row["workflow"]))
            _log.info("run driven")
            try:
                await self._run(graph, thread_id, feed, context, emit, translator, tokens)
                await self._record_end(row, graph, emit)
            except asyncio.CancelledError as error:
                await self._record_failure(row, error, translator.failed_node, emit)
                raise
            except StorageUnavailable as error:
                with contextlib.suppress(StorageUnavailable):  # it is the reason why we are here
                    await self._record_failure(row, error, translator.failed_node, emit)
                raise
            except Exception as error:  # noqa: BLE001  (whatever a node raises is an outcome of its run)
                if is_invalid_resume(error):
                    await self._reopen(row, error)
                await self._record_failure(row, error, translator.failed_node, emit)

    async def _run(
        self,
        graph: Compiled,
        thread_id: str,
        feed: Feed,
        context: Any,
        emit: Emit,
        translator: Translator,
        tokens: bool,
    ) -> None:
        modes: list[StreamMode] = ["tasks", "custom", "messages"] if tokens else ["tasks", "custom"]
        parts = graph.astream(
            feed.as_input(),
            _run_config(thread_id, graph, context),
            context=context,
            stream_mode=modes,
            subgraphs=True,
            durability="sync",
            version="v2",
        )
        async for part in parts:
            for event in translator.translate(part):
                emit(event)

    async def _record_end(self, row: RunRow, graph: Compiled, emit: Emit) -> None:
        """Record a drive that LangGraph ended: the end is a checkpoint without tasks, never an empty `next`."""
        thread_id = row["thread_id"]
        snapshot = await graph.aget_state(thread_config(thread_id))
        status: RunStatus = "paused" if snapshot.tasks else "completed"
        if await self._store.settle(thread_id, status, error=None, checkpointed=True) is None:
            return  # it was cancelled meanwhile
        if status == "completed":
            _log.info("run completed")
            emit(Completed(thread_id))
            return
        reviews = await open_reviews(self._reader, await self._reader.latest(thread_id), row["workflow"])
        _log.info("run paused", questions=len(reviews))
        emit(Paused(thread_id, reviews))

    async def _record_failure(self, row: RunRow, error: BaseException, node: str | None, emit: Emit) -> None:
        thread_id = row["thread_id"]
        described = describe(error, node)
        _log.warning("run failed", error=described["message"], error_type=described["type"], failed_node=node)
        # A cancelled task must still write down what became of its run.
        if await asyncio.shield(self._settle_failed(thread_id, described)):
            emit(Failed(thread_id, described))

    async def _settle_failed(self, thread_id: str, described: dict[str, Any]) -> bool:
        """Record a failure; False when the run was cancelled meanwhile."""
        saved = await self._reader.latest(thread_id)
        row = await self._store.settle(thread_id, "failed", error=described, checkpointed=saved is not None)
        return row is not None

    async def _reopen(self, row: RunRow, error: Exception) -> NoReturn:
        thread_id = row["thread_id"]
        await self._store.settle(thread_id, "paused", error=None, checkpointed=True)
        raise InvalidDecision(
            f"The workflow refused this answer: {_first_line(error)}. The question stays open.", thread_id=thread_id
        ) from error


def _run_config(thread_id: str, graph: Compiled, context: Any) -> RunnableConfig:
    """Return the configuration of a drive; graphs without a `context_schema` find their context in it."""
    mirrored = runnable_config(None, context) if graph.context_schema is None else {}
    return merge_configs(mirrored, thread_config(thread_id))


def describe(error: BaseException, node: str | None) -> dict[str, Any]:
    """Return an error as a run row keeps it: type, message (its first 2,000 characters) and node."""
    if isinstance(error, asyncio.CancelledError):
        return {"type": "Interrupted", "message": "the process that drove the run was interrupted", "node": node}
    return {"type": type(error).__name__, "message": str(error)[:2000], "node": node}


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the answer'}: {first['msg']}"
    return str(error).partition("\n")[0]
