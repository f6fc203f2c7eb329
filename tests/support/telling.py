"""Open questions, and what is told about them: for tests and for their child processes."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg

from adjourn import AsyncEngine
from adjourn.checkpoints.storage import Storage, open_storage
from adjourn.engine.notices import Notice
from adjourn.engine.notifications import Notifications
from adjourn.engine.notifiers import Receiver
from adjourn.engine.reviews import ReviewStore
from adjourn.settings import load_settings
from support import workflows

AT_ONCE = (timedelta(),) * 5


class Box:
    """A notifier that keeps what it is given; before that it raises the errors that it was told to raise."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.notices: list[Notice] = []

    async def notify(self, notice: Notice) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.notices.append(notice)


async def ask(database: str, *threads: str) -> None:
    """Start runs that pause with one question each."""
    async with AsyncEngine.open(database, workflows={"asking": workflows.asking}) as engine:
        for thread in threads:
            assert (await engine.start("asking", {"name": "x"}, thread_id=thread)).status == "paused"


def on_storage(storage: Storage, receivers: Sequence[Receiver], **more: Any) -> Notifications:
    store = ReviewStore(storage.pool, storage.saver.serde)
    return Notifications(storage.pool, storage.saver.serde, receivers, store, **more)


@contextlib.asynccontextmanager
async def notifications(database: str, *receivers: Receiver, **more: Any) -> AsyncIterator[Notifications]:
    """What one process has: its own pool, its own notifications."""
    async with open_storage(load_settings(), database) as storage:
        yield on_storage(storage, receivers, **more)


async def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        return await (await connection.execute(query)).fetchall()  # type: ignore[arg-type]


async def execute(database: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(statement)  # type: ignore[arg-type]


async def posted(database: str, telling: Notifications, *threads: str) -> None:
    """Post that people are asked, in a transaction as the engine does."""
    async with telling._pool.connection() as connection, connection.transaction():
        for thread in threads:
            await telling.post_asked(connection, thread)
