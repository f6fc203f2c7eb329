"""What every test may ask for: a database of its own, on a real server.

One embedded PostgreSQL per test process, one migrated template, a copy per test.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from adjourn.settings import Settings, load_settings
from support.network import no_foreign_network
from support.postgres import (
    Copies,
    embedded_postgres,
    fresh_database,
    installed_postgres,
    make_template,
    other_servers,
)

__all__ = ["no_foreign_network"]  # a guard that every test runs under

# A shell's background job ignores Ctrl-C, and so would all its children; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OTHERS = other_servers()
# None is the embedded server; the others are what the machine happens to have
MAJORS = [None, *sorted(OTHERS)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "load":
        return None
    from support.spreading import Spreading

    return Spreading(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    # All modules are there for good, and to look through them for garbage again and again costs a fifth of the tests.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ADJOURN_{name.upper()}", raising=False)
    # neither keys nor tracing of the person who runs the tests
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[int | None], str]]:
    """Start the server of a major version when it is first asked for; returns the URL of its superuser."""
    with ExitStack() as stack:

        @cache
        def running(major: int | None) -> str | Exception:
            started = embedded_postgres() if major is None else installed_postgres(OTHERS[major])
            url = stack.enter_context(started)
            try:
                asyncio.run(make_template(url, load_settings()))
            except Exception as error:
                return error
            return url

        def url_of(major: int | None) -> str:
            url = running(major)
            if isinstance(url, Exception):
                raise url
            return url

        yield url_of


@pytest.fixture(scope="session")
def copies_of(server_of: Callable[[int | None], str]) -> Iterator[Callable[[str], Copies]]:
    """The copies of the migrated database of a server, by the server's URL."""
    known: dict[str, Copies] = {}

    def of(url: str) -> Copies:
        if url not in known:
            known[url] = Copies(url)
        return known[url]

    yield of
    for copies in known.values():
        copies.close()


@pytest.fixture
def server(server_of: Callable[[int | None], str]) -> str:
    """The URL of the embedded server, as its superuser; the tests of this process share it."""
    return server_of(None)


@pytest.fixture(params=MAJORS, ids=lambda major: f"postgres{major}" if major else "embedded")
def any_server(request: pytest.FixtureRequest, server_of: Callable[[int | None], str]) -> str:
    """The URL of each kind of server that this machine has."""
    return server_of(request.param)


@pytest.fixture
def database(server: str, copies_of: Callable[[str], Copies]) -> Iterator[str]:
    """The URL of a migrated database of the test's own."""
    with copies_of(server).copy() as url:
        yield url


@pytest.fixture
def any_database(any_server: str, copies_of: Callable[[str], Copies]) -> Iterator[str]:
    """The URL of a migrated database of the test's own, once on each kind of server."""
    with copies_of(any_server).copy() as url:
        yield url


@pytest.fixture
def any_empty_database(any_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own, once on each kind of server."""
    with fresh_database(any_server) as url:
        yield url
