"""Driving a thread: the one function that runs LangGraph, wherever a run is started, resumed, retried or recovered.

under the lease:  what is to be given to LangGraph?  the input, answers by question id, or nothing  (feeding.py)
→ run with `durability="sync"`
→ record how it ended and give the lease back, unless an answer came meanwhile: then once more
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.errors import GraphDrained, is_invalid_resume
from langgraph.types import StreamMode
from structlog.contextvars import bound_contextvars

from ..checkpoints.fence import holding
from ..checkpoints.priming import AtHand, Coming, primed
from ..errors import BudgetExceeded, LeaseLost, StorageUnavailable
from .coping.budgets import asks_for_more
from .events import Started
from .factories import runnable_config
from .feeding import EarlyCall, Feed, Feeder, Feeding, Otherwise, is_observed
from .internals import Part, heard_by
from .leases import Drive
from .model import Run
from .reader import thread_config
from .settling import End, Settling
from .telling import Moment, Teller
from .translate import Translator
from .witness import Witness
from .work import Work

__all__ = ["Driver"]

_WITH_TOKENS: Final[list[StreamMode]] = ["tasks", "custom", "messages"]
_log = structlog.get_logger("adjourn")


class Driver:
    """Drives runs whose lease this process holds, and records how it went.

    Args:
        feeder: Says what LangGraph must be given.
        witness: Sees what is stored.
        settling: Records how drives ended.
    """

    def __init__(self, feeder: Feeder, witness: Witness, settling: Settling) -> None:
        self._feeder = feeder
        self._witness = witness
        self._settling = settling
        self._moment = Moment()

    async def drive(self, work: Work, drive: Drive) -> Run | None:
        """Drive a run until it ends or needs people.

        Whatever happens, the outcome is recorded while the database can be reached; a failure of the workflow's own
        code is an outcome, not an exception. After a crash at any moment another process may call this again:
        nodes whose writes are committed do not run again, answers that were recorded are not asked for again.

        Returns:
            The run as it was recorded, or None where that must be read again.

        Raises:
            LeaseLost: Somebody else drives the thread now; nothing was recorded.
            StorageUnavailable: The database went away; recovery continues the run.
            InvalidDecision: The workflow's own schema refused the answer; the question is open again.
            asyncio.CancelledError: The drive was stopped; unless its run was cancelled or its lease lost, it is
                recorded as failed and can be retried.
        """
        with bound_contextvars(thread=work.thread_id, workflow=work.row["workflow"]), ExitStack() as held:
            end = await self._once(work, drive, partial(self._begin, work, drive, held))
            while end == "go on":
                end = await self._once(work, drive, partial(self._feeder.feed, work, drive, None))
            return end if isinstance(end, Run) else None

    async def _begin(self, work: Work, drive: Drive, held: ExitStack) -> Feed:
        """Wait until the run is ours, and begin to drive it."""
        claimed = await work.claim
        held.enter_context(holding(work.thread_id, drive.token))
        held.enter_context(self._witness.watching(work.thread_id))
        work.emit(Started(work.thread_id, work.row["workflow"]))
        _log.info("run driven")
        return await self._feeder.feed(work, drive, claimed)

    async def _once(self, work: Work, drive: Drive, feeding: Feeding) -> End:
        """Run LangGraph once; return how that ended."""
        translator = Translator(work.thread_id)
        fed: list[str] = []

        async def feed() -> Feed:
            found = await feeding()
            fed.extend(found.fed)
            return found

        try:
            try:
                await self._run_fed(work, drive, feed, translator)
            finally:
                await work.children.begun()
            return await self._settling.record_end(work, drive, fed)
        except asyncio.CancelledError as error:
            if drive.token and not drive.lost:
                drive.ending = True
                await asyncio.shield(self._settling.record_stop(work, drive, error, translator.failed_node))
            raise
        except (LeaseLost, StorageUnavailable):
            raise
        except GraphDrained:
            await self._settling.give_back(work, drive)
            return "over"
        except Exception as error:  # noqa: BLE001  (whatever a node raises is an outcome of its run)
            if await self._settling.has_ended(work):
                # what failed is only somebody who was told so
                _log.exception("failed behind the end of the run")
                return await self._settling.record_end(work, drive, fed)
            if isinstance(error, BudgetExceeded) and work.coping is not None and asks_for_more(work.coping):
                return await self._settling.ask_for_more(work, drive, fed, work.coping)
            if is_invalid_resume(error):
                await self._settling.reopen(work, drive, fed, error)
            await self._settling.record_failure(work, drive, error, translator.failed_node)
            return "over"

    async def _run_fed(self, work: Work, drive: Drive, feeding: Feeding, translator: Translator) -> None:
        """Run LangGraph with what it must be given; it may be called already while that is still being recorded."""
        if work.claim.done() or is_observed(work.graph):
            feed = await feeding()
            await self._run(work, drive, feed.value, feed.saved, translator)
            return
        early = EarlyCall(work, feeding)
        try:
            await self._run(work, drive, early.value, early.read, translator)
            return
        except Otherwise as otherwise:
            feed = otherwise.feed
        except Exception:
            if not early.was_read:
                await feeding()  # whatever it is, it is an outcome of the run once that is ours
            raise
        await self._run(work, drive, feed.value, feed.saved, translator)

    async def _run(self, work: Work, drive: Drive, value: Any, saved: AtHand | Coming, translator: Translator) -> None:
        teller = Teller(translator, work.emit, self._moment)
        config = _run_config(work)
        parts = work.graph.astream(
            value,
            config if work.tokens else heard_by(teller.take, config, work.graph),
            context=work.context,
            # tokens are streamed only, and whatever else there is must not overtake them
            stream_mode=_WITH_TOKENS if work.tokens else [],
            subgraphs=work.tokens,
            durability="sync",
            control=drive.control,
        )
        with primed(work.thread_id, saved):
            try:
                async for part in parts:
                    teller.take(cast("Part", part))
            finally:
                teller.tell()


def _run_config(work: Work) -> RunnableConfig:
    """Return the configuration of a drive; graphs without a `context_schema` find their context in it."""
    config = thread_config(work.thread_id)
    if work.graph.context_schema is not None or work.context is None:
        return config
    return merge_configs(runnable_config(None, work.context), config)
