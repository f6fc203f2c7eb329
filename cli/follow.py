"""`adjourn show --follow`: what happens in a run that another process drives, as it happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from .exits import Exit, Interrupted, exit_of_status
from .progress import Progress
from .session import Session

if TYPE_CHECKING:
    from ..engine import Engine, Event, Run

__all__ = ["follow"]

_LOOK_SECONDS: Final = 5.0


def follow(session: Session, thread: str, *, full: bool) -> int:
    """Show the events of a run and its child runs until it ends or asks a person; return the exit code of where it stands.

    Args:
        session: How the command was called.
        thread: The run.
        full: Whether long values are shown whole at the end.

    Raises:
        UnknownThread: There is no such run.
        Interrupted: A signal stopped the watching; the run goes on.
    """
    with session.engine() as engine:
        try:
            run = engine.get(thread)
            # nobody drives a stalled run, so there is nothing to wait for
            if run.status != "stalled":
                with _stall_told(session, engine, thread):
                    _show_events(session, engine, thread)
                run = engine.get(thread)
        except KeyboardInterrupt as interrupt:
            code = interrupt.args[0] if interrupt.args else Exit.INTERRUPTED
            raise Interrupted("Stopped watching; the run itself goes on.", code, thread) from None
    if not session.as_json:
        _show_outcome(session, run, full=full)
    return exit_of_status(run.status)


def _show_events(session: Session, engine: Engine, thread: str) -> None:
    progress = Progress(None if session.as_json else session.err, lambda _: None)
    # closed at once, not when it is collected: the engine would be gone by then
    with progress, closing(engine.follow(thread, children=True)) as events:  # type: ignore[type-var]
        for event in events:
            if session.as_json:
                from .json_out import event_json

                session.result(event_json(event), one_line=True)
            else:
                progress(event)
            if _asks(event):
                return


def _asks(event: Event) -> bool:
    """Whether the run itself asks a person now. A pause that was answered since has no questions any more."""
    from ..engine.events import Paused

    return isinstance(event, Paused) and bool(event.reviews) and not event.place


def _show_outcome(session: Session, run: Run, *, full: bool) -> None:
    from .family import family_plan
    from .render import outcome

    session.show(outcome(run, session.command, full=full, plan=family_plan(session, run)))


@contextmanager
def _stall_told(session: Session, engine: Engine, thread: str) -> Iterator[None]:
    """Say once on standard error, inside the block, when the process that drives the run is gone."""
    ended = threading.Event()

    def look() -> None:
        from ..errors import AdjournError

        while not ended.wait(_LOOK_SECONDS):
            try:
                stalled = engine.get(thread).status == "stalled"
            except AdjournError:  # the one who follows meets it as well, and says so
                return
            if stalled:
                again = session.command("retry", thread)
                session.err.print(f"The process that drove it is gone. Continue it with: {again}", soft_wrap=True)
                return

    watcher = threading.Thread(target=look, name="adjourn-stall", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
