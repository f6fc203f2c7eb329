"""Storage, opened: from settings to a migrated database with a pool and a saver on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from ..settings import Settings, load_settings
from .embedded import EmbeddedServer, acquire
from .encryption import cipher
from .migrate import migrate
from .pool import Pool, open_pool
from .saver import Saver
from .serde import Allowed, serializer

__all__ = ["Storage", "open_saver", "open_storage"]


# Connections that the saver may keep between two calls; as many are always left to others.
_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class Storage:
    """An open, migrated database.

    Args:
        pool: The connections of this process (autocommit, rows as dictionaries).
        saver: LangGraph's door to it.
        url: Where it is; masked when shown.
    """

    pool: Pool
    saver: Saver
    url: SecretStr


@asynccontextmanager
async def open_storage(settings: Settings, url: str | None = None) -> AsyncIterator[Storage]:
    """Open the storage, bring its tables up to date, and close it at the end of the block.

    Any number of processes may do this at once; each finds the tables whole.

    Args:
        settings: Where the data are and how the pool behaves.
        url: A PostgreSQL to use; it wins over `settings.database_url`. With neither, the embedded PostgreSQL of
            `settings.home` is used, and started if need be.

    Yields:
        The open storage.

    Raises:
        StorageUnavailable: PostgreSQL cannot be started or reached, or refuses us.
        ConfigurationError: The URL is malformed, the server too old, the home unusable, or the database was made by
            a newer adjourn.
    """
    given = SecretStr(url) if url else settings.database_url
    if given is not None:
        async with _opened(given, settings) as storage:
            yield storage
        return
    server = await _acquired(settings.home)
    try:
        async with _opened(server.url, settings) as storage:
            yield storage
    finally:
        await asyncio.to_thread(server.release)


@asynccontextmanager
async def open_saver(
    url: str | None = None, *, allow: Iterable[Allowed] = (), strict: bool = True
) -> AsyncIterator[Saver]:
    """Open the storage and give LangGraph's door to it, for graphs that are run without the engine.

        async with open_saver() as saver:
            graph = builder.compile(checkpointer=saver)

    Types of your own in the state are refused unless the saver is told of them: with `allow`, or with
    `saver.with_allowlist(graph_types(builder))`.

    Args:
        url: A PostgreSQL to use; without it, what the settings say.
        allow: Types that may be stored and read beside the harmless ones: classes, or pairs of module and name.
        strict: Without it any type is stored, and any importable one is built when it is read, as LangGraph does by
            default; only for databases that nobody else can write to.

    Yields:
        The saver.

    Raises:
        StorageUnavailable: As `open_storage`.
        ConfigurationError: As `open_storage`, or a setting does not fit.
    """
    settings = load_settings()
    async with open_storage(settings, url) as storage:
        storage.saver.serde = serializer(allow, strict=strict, cipher=cipher(settings.encryption_key))
        yield storage.saver


@asynccontextmanager
async def _opened(url: SecretStr, settings: Settings) -> AsyncIterator[Storage]:
    await migrate(url, settings)
    async with open_pool(url, settings) as pool:
        serde = serializer(cipher=cipher(settings.encryption_key))
        keep = max(0, min(_KEPT, settings.pool_size - _KEPT))
        saver = Saver(pool, serde=serde, patience=settings.storage_patience, keep=keep)
        try:
            yield Storage(pool, saver, url)
        finally:
            await saver.aclose()


async def _acquired(home: Path) -> EmbeddedServer:
    given_up = threading.Event()

    def work() -> EmbeddedServer:
        server = acquire(home)
        if given_up.is_set():
            server.release()
        return server

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        # The thread goes on; the server it brings is released there, or at exit if it was just done.
        given_up.set()
        raise
