"""The threads that Studio shows, kept in step with the runs.

LangGraph's development server keeps its list of threads for itself; a thread that was made outside is unknown there,
and its status there may not be set. So each run is registered there, with its graph, and where it stands is written
into the metadata of the thread: `adjourn_status` and `adjourn_workflow`, which can be searched.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx
import structlog
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIError

from ..errors import AdjournError, UnknownThread
from .async_engine import AsyncEngine
from .model import Run

__all__ = ["Shown", "keep_in_step", "put_in_step"]

STATUS: Final = "adjourn_status"
WORKFLOW: Final = "adjourn_workflow"
# How far back the list goes. Beyond it a thread is still there by its id once it was shown.
MOST_PAUSED: Final = 1000
MOST_RECENT: Final = 200
_PAGE: Final = 200

_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Shown:
    """What one turn found.

    Args:
        threads: How many runs are shown.
        hidden: How many are not: their id is no UUID, or the server does not serve their workflow.
    """

    threads: int
    hidden: int


async def keep_in_step(engine: AsyncEngine, client: LangGraphClient, every: float) -> None:
    """Put the server's threads in step with the runs, again and again, until cancelled.

    What goes wrong in one turn is logged and done in the next: every turn compares everything.

    Args:
        engine: Whose runs.
        client: The server.
        every: Seconds between two turns.
    """
    while True:
        try:
            await put_in_step(engine, client)
        except AdjournError as error:
            _log.warning("the threads in Studio are not up to date", error=str(error))
        await asyncio.sleep(every)


async def put_in_step(engine: AsyncEngine, client: LangGraphClient) -> Shown:
    """Register the runs that the server does not know, and bring what it says of the others up to date.

    Doing it again changes nothing.

    Raises:
        AdjournError: The server cannot be reached, or refuses.
        StorageUnavailable: The database cannot be reached.
    """
    try:
        return await _put_in_step(engine, client)
    except (httpx.HTTPError, APIError) as error:
        raise AdjournError(f"LangGraph's server does not answer: {type(error).__name__}: {error}.") from error


async def _put_in_step(engine: AsyncEngine, client: LangGraphClient) -> Shown:
    served = await _served(client)
    shown = await _shown(client)
    runs = await _recent(engine)
    visible = [run for run in runs.values() if run.workflow in served and _is_uuid(run.thread_id)]
    for run in visible:
        await _show(client, run, shown.get(run.thread_id))
    for thread_id, metadata in shown.items():
        if STATUS in metadata and thread_id not in runs:
            await _mark(client, thread_id, metadata, {STATUS: await _status(engine, thread_id)})
    return Shown(len(visible), len(runs) - len(visible))


async def _show(client: LangGraphClient, run: Run, metadata: Mapping[str, Any] | None) -> None:
    wanted = {STATUS: run.status, WORKFLOW: run.workflow}
    if metadata is None:
        await client.threads.create(
            thread_id=run.thread_id, graph_id=run.workflow, metadata=wanted, if_exists="do_nothing"
        )
    else:
        await _mark(client, run.thread_id, metadata, wanted)


async def _mark(
    client: LangGraphClient, thread_id: str, metadata: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    if any(metadata.get(name) != value for name, value in wanted.items()):
        await client.threads.update(thread_id, metadata=wanted)


async def _status(engine: AsyncEngine, thread_id: str) -> str:
    """Return where an older run stands; `unknown` for a thread of another database, which the server has kept."""
    try:
        return (await engine.get(thread_id)).status
    except UnknownThread:
        return "unknown"


async def _recent(engine: AsyncEngine) -> dict[str, Run]:
    paused = [run async for run in _pages(engine, MOST_PAUSED, status="paused")]
    recent = [run async for run in _pages(engine, MOST_RECENT)]
    return {run.thread_id: run for run in (*paused, *recent)}


async def _pages(engine: AsyncEngine, most: int, **which: Any) -> Any:
    after = None
    while most > 0:
        page = await engine.runs(limit=min(most, _PAGE), after=after, **which)
        for run in page:
            yield run
        most, after = most - len(page), page.after
        if after is None:
            return


async def _served(client: LangGraphClient) -> set[str]:
    assistants = await client.assistants.search(metadata={"created_by": "system"}, limit=1000)
    return {assistant["graph_id"] for assistant in assistants}


async def _shown(client: LangGraphClient) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for offset in count(0, _PAGE):
        page = await client.threads.search(limit=_PAGE, offset=offset, select=["thread_id", "metadata"])
        found |= {thread["thread_id"]: thread["metadata"] or {} for thread in page}
        if len(page) < _PAGE:
            break
    return found


def _is_uuid(thread_id: str) -> bool:
    try:
        return str(uuid.UUID(thread_id)) == thread_id
    except ValueError:
        return False
