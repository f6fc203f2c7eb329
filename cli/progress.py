"""Progress while a run is driven: nodes that end, what they tell, a plan as a tree, a spinner for those at work."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from .layout import Hanging
from .plan_tree import PlanTree, subtask_line
from .text import clean, duration, one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.status import Status

    from ..engine import Event
    from ..engine.events import Custom, NodeFinished, NodeStarted
    from ..engine.plan_view import PlanView

__all__ = ["Progress", "finished_line"]

# Where the words begin of what nodes tell; before that stands who or what it is about.
_TOLD = 17
_STYLES = {"done": "green", "asked": "yellow", "waits": "yellow", "failed": "red"}


class Progress:
    """A listener for the engine's events that shows them; a context manager, which ends the spinner.

    It is called on the engine's thread. It never blocks for long, and a console that nobody reads any more silences it.

    Args:
        console: Where to show; None shows nothing.
        started: Called with the thread id when a run begins to be driven here.
    """

    def __init__(self, console: Console | None, started: Callable[[str], None]) -> None:
        self.drove = False
        self._console = console
        self._started = started
        self._running: list[str] = []
        self._spinner: Status | None = None
        self._plan: PlanView | None = None
        self._drawn: Live | None = None
        if console is not None and console.is_terminal:
            self._spinner = console.status("", spinner="line")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        self._draw_no_more()
        if self._console is not None and self._console.is_terminal and self.drove:
            self._console.print()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        from ..engine.events import Cancelled, Completed, Custom, Failed, NodeFinished, NodeStarted, Started

        try:
            if isinstance(event, Started):
                self.drove = True
                self._started(event.thread_id)
            elif isinstance(event, NodeStarted):
                self._running.append(_name(event))
                self._spin()
            elif isinstance(event, NodeFinished):
                self._finished(event)
            elif isinstance(event, Custom):
                self._told_of_plan(event)
                self._told(event)
            elif event.place and isinstance(event, Completed | Failed | Cancelled):
                self._child_ended(event)
        except OSError:  # whoever read our progress has gone; the run has not
            self._console = self._spinner = self._drawn = None

    def _told_of_plan(self, event: Custom) -> None:
        """Show what a node tells of a plan; other things are not for us, nor is a plan of a child's that is in no other."""
        from ..engine.plan_view import PlanView, is_nested

        if event.place and not is_nested(event.data):
            return
        view = self._plan or PlanView()
        row = view.take(event.data)
        if self._console is None or not view.rows:
            return
        self._plan = view
        if self._spinner is not None:
            self._draw(self._console)
        elif row is not None and (line := subtask_line(row)) is not None:
            self._console.print(line, soft_wrap=True)

    def _draw(self, console: Console) -> None:
        from rich.live import Live

        if self._drawn is None:
            if self._spinner is not None:
                self._spinner.stop()
            self._drawn = Live(
                console=console, get_renderable=self._tree, refresh_per_second=8, transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self._drawn.start()

    def _tree(self) -> RenderableType:
        if self._plan is None or self._console is None:
            return Text()
        return PlanTree(self._plan, max(self._console.height - 6, 5))

    def _draw_no_more(self) -> None:
        if self._drawn is not None:
            drawn, self._drawn = self._drawn, None
            drawn.stop()

    def _finished(self, event: NodeFinished) -> None:
        name = _name(event)
        if name in self._running:
            self._running.remove(name)
        self._print(finished_line(event))
        self._spin()

    def _child_ended(self, event: Event) -> None:
        before = f"{_place(event)}: "
        self._running = [name for name in self._running if not name.startswith(before)]
        style = {"completed": "green", "failed": "red"}.get(event.kind, "magenta")
        self._print(Text.assemble("  ", (f"{_place(event):<16}", "bold"), (f" {event.kind}", style)))
        self._spin()

    def _print(self, line: Text) -> None:
        self._draw_no_more()
        if self._console is not None:
            self._console.print(line, soft_wrap=True)

    def _told(self, event: Custom) -> None:
        from .adaptive_view import adaptive_line
        from .council_view import council_line

        line = council_line(event.data) or adaptive_line(event.data)
        if line is None or self._console is None:
            return
        if event.place:
            line = Text.assemble((f"    {_place(event)}:", "dim"), line)
        if self._console.is_terminal:
            self._console.print(Hanging(line, _TOLD))
        else:  # a log: one line each, however long
            self._console.print(line, soft_wrap=True)

    def _spin(self) -> None:
        if self._spinner is None or self._drawn is not None:
            return
        if self._running:
            self._spinner.update(Text(f"{', '.join(self._running)} …", style="dim"))
            self._spinner.start()
        else:
            self._spinner.stop()


def finished_line(event: NodeFinished) -> Text:
    """Return the line for a node that ended: its name, how long it took, how it ended if not well."""
    took = duration(event.seconds)
    known = {"done": took, "asked": "asks a person", "waits": "waits for child runs"}
    note = known.get(event.outcome, f"failed after {took}")
    return Text.assemble("  ", (f"{_name(event):<16}", "bold"), (f" {note}", _STYLES[event.outcome]))


def _name(event: NodeStarted | NodeFinished) -> str:
    """Return how a node is called: behind the child run that it is of, with the nodes around it."""
    name = clean(" / ".join((*event.path, event.node)))
    return f"{_place(event)}: {name}" if event.place else name


def _place(event: Event) -> str:
    """Return which child run an event is of: its ids from the run that is followed on down."""
    return one_line(" / ".join(event.place))
