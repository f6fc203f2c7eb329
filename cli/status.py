"""`adjourn status`: what waits for workers, who works, what is late; once or as it changes."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from .exits import Exit
from .session import Session
from .text import duration, one_line, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from ..engine import Status, WorkerStatus

__all__ = ["status"]

LOOK_SECONDS: Final = 2.0
_STYLE: Final = {"serving": "bold green", "draining": "bold yellow", "silent": "bold red"}
_NAMED: Final = 3


def status(
    session: Session,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> int:
    """Show what waits for workers and for how long, which workers there are and what they do, and what is late.

    With `--watch --json` there is one line for each look.
    """
    with session.engine() as engine:
        if watch:
            return _watch(session, engine.status)
        found = engine.status()
    if session.as_json:
        from .json_out import status_json

        session.result(status_json(found))
    else:
        session.show(_view(session, found))
    return Exit.COMPLETED


def _watch(session: Session, read: Callable[[], Status]) -> int:
    """Show it again and again until a signal says to stop, which is how this ends well."""
    try:
        if session.out.is_terminal and not session.as_json:
            _watch_live(session, read)
        _watch_lines(session, read)
    except KeyboardInterrupt as interrupt:
        code = interrupt.args[0] if interrupt.args else Exit.INTERRUPTED
        return Exit.COMPLETED if code == Exit.INTERRUPTED else code


def _watch_live(session: Session, read: Callable[[], Status]) -> NoReturn:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from .layout import blank

    def view() -> RenderableType:
        found = read()
        said = f"read at {found.at.astimezone():%H:%M:%S} · Ctrl-C ends"
        return Group(_view(session, found), blank(), Text(said, style="dim"))

    with Live(view(), console=session.out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            time.sleep(LOOK_SECONDS)
            live.update(view(), refresh=True)


def _watch_lines(session: Session, read: Callable[[], Status]) -> NoReturn:
    from .json_out import status_json

    while True:
        found = read()
        if session.as_json:
            session.result(status_json(found), one_line=True)
        else:
            session.show(_view(session, found))
        time.sleep(LOOK_SECONDS)


def _view(session: Session, found: Status) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from .layout import blank, command_line, dictionary, grid, paragraph

    about = {
        "waiting": f"{found.waiting}" + (f", the first for {duration(found.lag)}" if found.waiting else ""),
        "driven": f"{found.leases}",
        "stalled": f"{found.stalled}",
        "overdue reviews": f"{found.overdue}",
    }
    parts: list[RenderableType] = [dictionary(about, 0)]
    if found.queues:
        queues = grid("workflow", "waiting", "first waits", "workers")
        for queue in found.queues:
            workers = Text(str(queue.workers), style="" if queue.workers else "bold red")
            queues.add_row("", Text(one_line(queue.workflow)), str(queue.waiting), duration(queue.lag), workers)
        parts += [blank(), queues]
    if found.workers:
        workers_shown = grid("worker", "alive for", "busy", "with")
        for worker in found.workers:
            workers_shown.add_row("", *_worker(worker, found.at))
        parts += [blank(), workers_shown]
    else:
        parts += [blank(), paragraph("No worker is alive. Start one with")]
        parts.append(command_line(session.command("worker")))
    return Group(*parts)


def _worker(worker: WorkerStatus, at: datetime) -> tuple[RenderableType, ...]:
    from rich.text import Text

    alive = Text(span(at - worker.started_at))
    if worker.status != "serving":
        silent = f" for {span(at - worker.seen_at)}" if worker.status == "silent" else ""
        alive = Text(f"{worker.status}{silent}", style=_STYLE[worker.status])
    named = [f"{one_line(each.thread_id)} ({one_line(each.workflow)})" for each in worker.busy[:_NAMED]]
    more = len(worker.busy) - len(named) + worker.others
    busy = len(worker.busy) + worker.others
    shown = ", ".join([*named, *([f"{more} more"] if more else [])])
    return Text(f"{one_line(worker.host)} {worker.pid}"), alive, f"{busy} of {worker.concurrency}", Text(shown or "-")
