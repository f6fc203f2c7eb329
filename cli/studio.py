"""The command `studio`: LangGraph Studio on the threads that adjourn keeps."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import AdjournError
from .exits import Exit
from .session import Session

if TYPE_CHECKING:
    from ..engine.studio_server import Server, ServerOptions
    from ..engine.studio_sync import Shown

__all__ = ["studio"]

_EVERY: Final = 1.0  # seconds until Studio's list knows what changed elsewhere
_PAGE: Final = "https://smith.langchain.com/studio/?baseUrl="


def studio(
    session: Session,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Default: 2024, or a free one.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen. Whoever can reach it can read and answer everything.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no page in the browser.")] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The project's langgraph.json. Default: the one here.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code changes; runs under way are cut off.")
    ] = False,
) -> int:
    """Open your threads in LangGraph Studio.

    Starts LangGraph's development server on the project here, and keeps its list of threads in step with your runs
    until Ctrl-C. The server comes with adjourn's extra `studio`.
    """
    import asyncio

    from ..engine.studio_server import ServerOptions

    options = ServerOptions(config, host, port, browser=not no_browser, reload=reload, verbose=session.debug)
    asyncio.run(_until_stopped(session, options))
    return Exit.COMPLETED


async def _until_stopped(session: Session, options: ServerOptions) -> None:
    """Serve until a signal comes; further signals change nothing, the server is stopped once and in order."""
    import asyncio
    import signal

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving, stopped = asyncio.create_task(_serve(session, options)), asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(session: Session, options: ServerOptions) -> None:
    import asyncio

    from langgraph_sdk import get_client

    from ..engine import AsyncEngine
    from ..engine.studio_server import open_server
    from ..engine.studio_sync import keep_in_step, put_in_step
    from ..settings import load_settings

    settings = load_settings(log_level="debug" if session.debug else None)
    async with (
        AsyncEngine.open(session.database, settings=settings) as engine,
        open_server(options, session.database) as server,
        get_client(url=server.url) as client,
    ):
        _announce(session, server, await put_in_step(engine, client))
        keeping = asyncio.create_task(keep_in_step(engine, client, _EVERY))
        try:
            code = await server.process.wait()
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
    raise AdjournError(f"LangGraph's server ended by itself (exit code {code}); see what it wrote above.")


def _announce(session: Session, server: Server, shown: Shown) -> None:
    if session.as_json:
        session.result({"url": server.url, "threads": shown.threads, "hidden": shown.hidden})
        return
    session.out.print(f"Threads shown: {shown.threads}. Ctrl-C ends it.")
    if shown.hidden:
        session.out.print(
            f"Not shown: {shown.hidden} (their thread id is no UUID, or langgraph.json does not name their workflow).",
            soft_wrap=True,
        )
    session.out.print(f"API:    {server.url}", soft_wrap=True)
    session.out.print(f"Studio: {_PAGE}{server.url}", soft_wrap=True)
