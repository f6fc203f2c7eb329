"""Procrastinate, at work in our schema and on our connections.

Its statements name its tables without a schema. They get one here, so that nothing depends on a session's search_path:
behind a transaction pooler each statement may run in another session. And jobs are fetched by a function of our own, which
looks at the worker's queues alone; Procrastinate's walks past all that lies in others.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import cache
from typing import Any, Final, LiteralString

import structlog
from procrastinate import App, JobContext, PsycopgConnector, sql, utils
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from pydantic import SecretStr

from ..checkpoints.saver import Saver
from ..settings import Settings
from .listener import notifications
from .taking import JobTaker

__all__ = ["DRIVE", "job_app", "job_pool"]

# the name of the only kind of job; the SQL function adjourn.enqueue knows it, too
DRIVE: Final = "adjourn:drive"
_LONGEST_PAUSE: Final = 60
_ONCE_MORE_SECONDS: Final = 0.05
_INSERTED: Final = json.dumps({"type": "job_inserted", "job_id": 0})
_log = structlog.get_logger("adjourn")


def job_app(
    drive: Callable[[str, str], Awaitable[None]], url: SecretStr, settings: Settings, taker: JobTaker | None = None
) -> App:
    """Return a Procrastinate application whose jobs drive runs; to be opened with `job_pool`.

    Args:
        drive: Gets the thread id of a job and the name of its queue. When it raises, the job is tried again later.
        url: A direct connection, for LISTEN.
        settings: How to connect.
        taker: Takes the runs of jobs together with these, where it can.
    """
    app = App(connector=_Connector(url, settings, taker))

    @app.task(name=DRIVE, retry=_Later(), pass_context=True)
    async def _drive(context: JobContext, thread_id: str) -> None:
        await drive(thread_id, context.job.queue)

    return app


def job_pool(saver: Saver) -> Any:
    """Return what Procrastinate takes for its pool: connections that were used a moment ago, and are not looked at again.

    A look costs a round trip each time. A dead connection is an error, after which Procrastinate is started again.
    """
    return _Lent(saver)


class _Lent:
    def __init__(self, saver: Saver) -> None:
        self.connection = saver.lend


class _Later(BaseRetryStrategy):
    """What fails here may succeed elsewhere, or later: a job is never given up. One that was stopped is there at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})
        return RetryDecision(retry_in={"seconds": min(2**job.attempts, _LONGEST_PAUSE)})


class _Connector(PsycopgConnector):
    """Procrastinate's own connector, with schema-qualified statements and a listener that lasts."""

    def __init__(self, url: SecretStr, settings: Settings, taker: JobTaker | None) -> None:
        super().__init__()
        self._taker = taker
        self._url = url
        self._settings = settings

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        # Statements without a result only keep the books: jobs that are over, heartbeats. What is left undone while the
        # database is away is found out later, and harmless; a worker must not end for it.
        if self._taker is not None and "job_id" in arguments and self._taker.is_over(arguments["job_id"]):
            return
        if "retry_at" in arguments:
            query, arguments = _by_the_clock_of_the_database(query, arguments)
        try:
            await super().execute_query_async(_qualified(query), **arguments)
        except ConnectorException as error:
            _log.warning("the queue's books could not be kept", error=str(error.__cause__ or error))

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        if self._taker is not None and query == sql.queries["fetch_job"]:
            return await self._taker.fetch(arguments["queues"], arguments["worker_id"])
        row: dict[str, Any] = await super().execute_query_one_async(_qualified(query), **arguments)
        return row

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await super().execute_query_all_async(_qualified(query), **arguments)
        return rows

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Tell the worker of new jobs, for ever; and that there may be some whenever the connection is new."""
        once_more: asyncio.Task[None] | None = None
        async with aclosing(notifications(self._url, self._settings, list(channels))) as heard:
            async for notification in heard:
                if self._taker is not None:
                    self._taker.heard()
                channel, payload = (notification.channel, notification.payload) if notification else ("", _INSERTED)
                await on_notification(channel=channel, payload=payload)
                # A worker that is looking for a job at this moment forgets that there is a new one.
                if once_more is None or once_more.done():
                    once_more = asyncio.create_task(_once_more(on_notification))


async def _once_more(on_notification: Notify) -> None:
    await asyncio.sleep(_ONCE_MORE_SECONDS)
    await on_notification(channel="", payload=_INSERTED)


def _by_the_clock_of_the_database(
    query: LiteralString, arguments: dict[str, Any]
) -> tuple[LiteralString, dict[str, Any]]:
    """Return a statement that retries a job: a worker whose clock is an hour ahead must not put it off for an hour."""
    seconds = (arguments.pop("retry_at") - utils.utcnow()).total_seconds()
    retry: LiteralString = query.replace("%(retry_at)s", "now() + make_interval(secs => %(retry_in)s::float8)")
    return retry, {**arguments, "retry_in": max(seconds, 0.0)}


@cache
def _qualified(query: LiteralString) -> LiteralString:
    # it is made of Procrastinate's own text: what psycopg means by a literal string
    fetching: LiteralString = re.sub(r"\bprocrastinate_fetch_job_v\d+(?=\()", "adjourn.fetch_job", query)
    qualified: LiteralString = re.sub(r"\b(?<!\.)(?=procrastinate_[a-z])", "adjourn.", fetching)
    return qualified
