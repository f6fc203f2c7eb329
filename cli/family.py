"""What the command shows of child runs: the tree below a run, and how to go on where it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from .layout import Hanging, blank, command_line, status_text
from .text import clean, one_line

if TYPE_CHECKING:
    from ..engine import Child, Run
    from ..engine.plan_view import PlanView
    from .session import Session

__all__ = ["family", "family_plan", "waits"]

Command = Callable[..., str]


def family(children: Sequence[Child]) -> RenderableType:
    """Return the runs below a run, one a line, each under the one that started it."""
    return Group(*_lines(children, 1))


def family_plan(session: Session, run: Run) -> PlanView | None:
    """Return the plan of a run with the plans nested in it, where child runs carry those out; None for other runs.

    Their states are read from the database.
    """
    from ..engine.plan_view import plan_of_family, plan_of_run

    if not run.children or plan_of_run(run.state) is None:
        return None
    with session.engine() as engine:
        return plan_of_family(run, lambda thread_id: engine.get(thread_id).state)


def waits(children: Sequence[Child], command: Command) -> RenderableType:
    """Return the runs below one that waits for them, and the commands that look at what holds it up."""
    parts: list[RenderableType] = [family(children)]
    held_up = [child for child in _all(children) if child.questions or child.status in ("failed", "stalled")]
    if held_up:
        parts += [blank(), Text("Look at what it waits for with", style="bold")]
        parts += [command_line(command("show", child.thread_id)) for child in held_up]
    return Group(*parts)


def _lines(children: Sequence[Child], depth: int) -> Iterator[Hanging]:
    for child in children:
        line = Text.assemble(
            "  " * depth, (one_line(child.id), "bold"), " ", status_text(child.status), f" · {one_line(child.workflow)}",
            (f" · {_notes(child)}" if _notes(child) else ""), (f" · run {clean(child.thread_id)}", "dim"), overflow="fold",
        )  # fmt: skip
        yield Hanging(line, 2 * depth + 2)
        yield from _lines(child.children, depth + 1)


def _notes(child: Child) -> str:
    asks = {0: "", 1: "asks a person"}.get(child.questions, f"asks {child.questions} questions")
    return ", ".join(note for note in (asks, "waited for" if child.waited_for else "") if note)


def _all(children: Sequence[Child]) -> Iterator[Child]:
    for child in children:
        yield child
        yield from _all(child.children)
