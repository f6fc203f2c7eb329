"""The engine for programs without an event loop: the same verbs, made from AsyncEngine's."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..settings import Settings
from ..state.coping import Coping
from .async_engine import AsyncEngine
from .model import Principal
from .notifiers import Notifier
from .policy_book import Policies
from .registry import Registry, Target

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["Engine"]

P = ParamSpec("P")
T = TypeVar("T")

_SETTLE_SECONDS = 10.0


def _verb(verb: Callable[Concatenate[AsyncEngine, P], Awaitable[T]]) -> Callable[Concatenate[Engine, P], T]:
    """Make a blocking verb of a coroutine verb: same parameters, same result, same errors."""

    @wraps(verb)
    def blocking(self: Engine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._call(lambda: verb(self._engine, *args, **kwargs))

    return blocking


def _iterator(
    verb: Callable[Concatenate[AsyncEngine, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Engine, P], Iterator[T]]:
    """Make a blocking iterator of an asynchronous one."""

    @wraps(verb)
    def blocking(self: Engine, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        items = verb(self._engine, *args, **kwargs)
        try:
            while True:
                try:
                    yield self._call(items.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._call(items.aclose)

    return blocking


class Engine:
    """Drives workflows that stop for people and go on later; made by `Engine.open()`.

    Its verbs are those of `AsyncEngine`, which run on an event loop in a thread of the engine's own; they may be called
    from any thread. An interrupt from the keyboard stops the run that is being driven: it is recorded as failed
    and can be retried.
    """

    def __init__(self, engine: AsyncEngine, portal: BlockingPortal) -> None:
        self._engine = engine
        self._portal = portal
        self._under_way: set[Future[Any]] = set()

    @classmethod
    @contextmanager
    def open(
        cls,
        url: str | None = None,
        *,
        workflows: Mapping[str, Target | str] | None = None,
        principal: Principal | None = None,
        settings: Settings | None = None,
        channel: str = "python",
        policies: Mapping[str, Policies] | None = None,
        coping: Mapping[str, Coping] | None = None,
        notifiers: Mapping[str, Notifier] | None = None,
        embeddings: Embeddings | None = None,
    ) -> Iterator[Engine]:
        """Open an engine on a database; a context manager. Parameters and errors are those of `AsyncEngine.open`."""
        opened = AsyncEngine.open(
            url,
            workflows=workflows,
            principal=principal,
            settings=settings,
            channel=channel,
            policies=policies,
            coping=coping,
            notifiers=notifiers,
            embeddings=embeddings,
        )
        with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(opened) as engine:
            yield cls(engine, portal)

    start = _verb(AsyncEngine.start)
    submit = _verb(AsyncEngine.submit)
    resume = _verb(AsyncEngine.resume)
    retry = _verb(AsyncEngine.retry)
    recover = _verb(AsyncEngine.recover)
    fork = _verb(AsyncEngine.fork)
    cancel = _verb(AsyncEngine.cancel)
    wait = _verb(AsyncEngine.wait)
    get = _verb(AsyncEngine.get)
    runs = _verb(AsyncEngine.runs)
    reviews = _verb(AsyncEngine.reviews)
    review = _verb(AsyncEngine.review)
    sweep = _verb(AsyncEngine.sweep)
    rebuild = _verb(AsyncEngine.rebuild)
    status = _verb(AsyncEngine.status)
    set_limit = _verb(AsyncEngine.set_limit)
    remove_limit = _verb(AsyncEngine.remove_limit)
    limits = _verb(AsyncEngine.limits)
    schedule = _verb(AsyncEngine.schedule)
    unschedule = _verb(AsyncEngine.unschedule)
    schedules = _verb(AsyncEngine.schedules)
    history = _verb(AsyncEngine.history)
    timeline = _verb(AsyncEngine.timeline)
    audit = _verb(AsyncEngine.audit)
    verify_audit = _verb(AsyncEngine.verify_audit)
    anchor_audit = _iterator(AsyncEngine.anchor_audit)
    export_audit = _iterator(AsyncEngine.export_audit)
    erase = _verb(AsyncEngine.erase)
    cases = _verb(AsyncEngine.cases)
    forget = _verb(AsyncEngine.forget)
    stream = _iterator(AsyncEngine.stream)
    follow = _iterator(AsyncEngine.follow)

    @property
    def principal(self) -> Principal:
        """Who acts."""
        return self._engine.principal

    @property
    def settings(self) -> Settings:
        """The settings that the engine was opened with."""
        return self._engine.settings

    @property
    def registry(self) -> Registry:
        """The workflows that the engine knows."""
        return self._engine.registry

    def interrupt(self) -> None:
        """Stop what other threads are doing here, as an interrupt from the keyboard stops the thread that it reaches.

        Their calls raise `concurrent.futures.CancelledError` when what became of their runs is written down.
        """
        for future in tuple(self._under_way):
            future.cancel()

    def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        ended = threading.Event()

        async def tracked() -> T:
            try:
                return await call()
            finally:
                ended.set()

        future = self._portal.start_task_soon(tracked)
        self._under_way.add(future)
        try:
            return future.result()
        except BaseException:
            # An interrupt reaches this waiting thread, not the loop: stop the work there, and wait until it has
            # written down how it ended.
            if not ended.is_set():
                future.cancel()
                ended.wait(_SETTLE_SECONDS)
            raise
        finally:
            self._under_way.discard(future)
