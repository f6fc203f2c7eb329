"""LangGraph's development server, `langgraph dev`, as a child process with our saver in it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import httpx

from ..errors import ConfigurationError
from ..settings import child_environment
from .studio_config import FILE, installed_config, read_config, with_our_saver, without_set_variables

__all__ = ["Server", "ServerOptions", "open_server"]

_DEFAULT_PORT: Final = 2024  # langgraph dev's own
_START_SECONDS: Final = 120.0  # a project may import much
_STOP_SECONDS: Final = 15.0  # the server gives its runs 5 s


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server is started.

    Args:
        config: The project's `langgraph.json`. Default: that of the working folder; without one, the workflows that
            are installed are served.
        host: Where it listens. Whoever can reach it can read and answer every thread.
        port: Default: 2024, or a free one if that is taken.
        browser: Whether Studio is opened in a browser.
        reload: Whether the server starts again when the project's code changes; runs under way are cut off.
        verbose: Whether it logs everything it does.
    """

    config: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    browser: bool = False
    reload: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Args:
        url: Where it answers.
        process: Its process.
    """

    url: str
    process: Process


@asynccontextmanager
async def open_server(options: ServerOptions, database_url: str | None) -> AsyncIterator[Server]:
    """Start the server, wait until it answers, and stop it at the end of the block.

    The project's own files stay as they are: the server gets a copy of the configuration with our saver in it.

    Args:
        options: How it is started.
        database_url: The database that its saver uses. Default: as the settings say.

    Raises:
        ConfigurationError: The server is not installed, the configuration cannot be used, the port is taken, or the
            server ended while it started.
    """
    if find_spec("langgraph_cli") is None or find_spec("langgraph_api") is None:
        raise ConfigurationError("LangGraph's server is not installed. Install it: pip install 'adjourn[studio]'.")
    environment = _environment(options, database_url)
    folder, config = _project(options.config, environment)
    port = _port(options)
    with tempfile.TemporaryDirectory(prefix="adjourn-studio-") as place:
        copy = Path(place) / FILE
        await asyncio.to_thread(copy.write_text, json.dumps(config), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *_command(options, copy, port),
            cwd=folder,
            env=environment,
            stdout=sys.stderr,
            # A group of its own: Ctrl-C reaches us alone, and we stop it once (a second signal would cut its runs off).
            start_new_session=True,
        )
        try:
            url = f"http://{_named(options.host)}:{port}"
            await _answering(url, process)
            yield Server(url, process)
        finally:
            await _stopped(process)


def _project(file: Path | None, environment: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    found = file if file is not None else Path(FILE)
    if file is None and not found.exists():
        return Path.cwd(), with_our_saver(installed_config(), "adjourn")
    found = found.absolute()
    config = with_our_saver(read_config(found), str(found))
    return found.parent, without_set_variables(config, found.parent, environment)


def _environment(options: ServerOptions, database_url: str | None) -> dict[str, str]:
    forced = {"ADJOURN_DATABASE_URL": database_url} if database_url else {}
    # Nobody who starts adjourn has agreed that another program tells of it.
    defaults = {
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "1",
        "LOG_LEVEL": "INFO" if options.verbose else "WARNING",
    }
    return child_environment(forced, defaults)


def _command(options: ServerOptions, config: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--config", str(config)]
    command += ["--host", options.host, "--port", str(port)]
    command += [] if options.browser else ["--no-browser"]
    return command + ([] if options.reload else ["--no-reload"])


def _port(options: ServerOptions) -> int:
    """Return the port to use; the server would take another one without telling us."""
    wanted = _DEFAULT_PORT if options.port is None else options.port
    try:
        return _bound(options.host, wanted)
    except OSError as error:
        if options.port is None:
            return _bound(options.host, 0)
        raise ConfigurationError(
            f"Port {wanted} on {options.host} cannot be used: {error.strerror}. Name another with --port, or none."
        ) from None


def _bound(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((host, port))
        return int(trial.getsockname()[1])


def _named(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (where we call it, not where it listens)
    return f"[{host}]" if ":" in host else host


async def _answering(url: str, process: Process) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    async with httpx.AsyncClient(base_url=url, timeout=5.0, trust_env=False) as client:
        while process.returncode is None:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/ok")).status_code == httpx.codes.OK:
                    return
            if asyncio.get_running_loop().time() > deadline:
                raise ConfigurationError(
                    f"LangGraph's server did not answer within {_START_SECONDS:.0f} s; see what it wrote above."
                )
            await asyncio.sleep(0.1)
    raise ConfigurationError(
        f"LangGraph's server ended while it started (exit code {process.returncode}); see what it wrote above."
    )


async def _stopped(process: Process) -> None:
    """Stop the server as Ctrl-C would, so that runs under way are recorded; kill it if it does not listen."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
