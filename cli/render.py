"""What the command shows of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from ..engine.plan_view import plan_of_run
from ..state.adaptive import has_attempts
from ..state.minutes import has_minutes
from .adaptive_view import ADAPTIVE_KEYS, Attempts
from .family import family, waits
from .layout import blank, command_line, dictionary, grid, status_text, title
from .plan_tree import PlanTree
from .question import question
from .text import age, clean, duration, one_line, timestamp

if TYPE_CHECKING:
    from ..engine import Page, Run
    from ..engine.plan_view import PlanView

__all__ = ["outcome", "run_page", "state", "whole_run"]

VALUE: Final = 160
# Below this many columns a listing shows each run on two lines: a thread id alone takes 36.
TABLE_WIDTH: Final = 84

_ERASED: Final = "(erased)"
# Of a plan only so many subtasks are shown where nobody asked for all.
_SUBTASKS: Final = 100
_PLAN_KEYS: Final = ("subtasks", "dependencies", "compensations", "plan", "family", "outer", "undoing_stopped")

Command = Callable[..., str]


def outcome(run: Run, command: Command, *, full: bool = False, plan: PlanView | None = None) -> RenderableType:
    """Return where a run stands, and how to go on from there.

    Args:
        run: The run.
        command: Makes a command line of words.
        full: Whether long values are shown whole.
        plan: Its plan, where the run's own state does not hold all of it.
    """
    plan = plan or plan_of_run(run.state)
    if plan is not None and run.status == "completed":
        return _delegated(run, plan, command, full)
    parts = {
        "paused": _paused,
        "failed": _failed,
        "completed": _completed,
        "cancelled": _cancelled,
        "stalled": _stalled,
    }
    view = parts.get(run.status)
    shown = view(run, command, full) if view else _elsewhere(run, command)
    if has_attempts(run.state) and run.status != "completed":
        return Group(shown, blank(), Attempts(run.state))
    if plan is None:
        return shown
    return Group(shown, blank(), PlanTree(plan, None if full else _SUBTASKS))


def _paused(run: Run, command: Command, full: bool) -> RenderableType:
    if not run.reviews and any(child.waited_for for child in run.children):
        head = title("paused", f"{run.workflow} waits for its child runs")
        return Group(head, _thread(run), blank(), waits(run.children, command))
    count = len(run.reviews)
    head = title("paused", f"{run.workflow} asks {'a person' if count == 1 else f'{count} questions'}")
    parts: list[RenderableType] = [head, _thread(run)]
    for review in run.reviews:
        parts += [blank(), question(review, command, several=count > 1, full=full)]
    return Group(*parts)


def _failed(run: Run, command: Command, _: bool) -> RenderableType:
    error = run.error or {}
    where = f"in {error['node']}: " if error.get("node") else ""
    mended = "Go on with" if error.get("type") == "Interrupted" else "When the cause is mended, go on with"
    head = title("failed", f"{where}{error.get('type', 'an error')}: {error.get('message', _ERASED)}")
    if _undone(run):
        return Group(head, _thread(run))
    return Group(
        head,
        _thread(run),
        blank(),
        Text(mended, style="bold"),
        command_line(command("retry", run.thread_id)),
    )


def _undone(run: Run) -> bool:
    """Whether a plan has failed and was undone, so that nobody can go on with it."""
    undoings = run.state.get("compensations")
    return (
        plan_of_run(run.state) is not None
        and isinstance(undoings, dict)
        and any(each.get("status") == "completed" for each in undoings.values())
    )


def _completed(run: Run, command: Command, full: bool) -> RenderableType:
    if has_attempts(run.state):
        return _adapted(run, command, full)
    decision, factors = run.state.get("final_decision"), run.state.get("decision_factors")
    final = run.state.get("final_result")
    if decision is None and isinstance(final, dict) and has_minutes(run.state):
        decision = final["decision"]
    parts: list[RenderableType] = [title("completed", str(decision) if decision else run.workflow), _thread(run)]
    if isinstance(factors, dict):
        parts += [blank(), dictionary(_readable(factors), 0 if full else VALUE)]
        results = run.state.get("analysis_results")
        if isinstance(results, dict):
            parts += [blank(), dictionary(results, 0 if full else VALUE)]
    elif run.state:
        parts += [blank(), state(run, full=full)]
    return Group(*parts, *_all_of_it(run, command, full))


def _delegated(run: Run, plan: PlanView, command: Command, full: bool) -> RenderableType:
    final = run.state.get("final_result")
    result = final.get("result") if isinstance(final, dict) else None
    undone = run.state.get("undone_run")
    what = f"{run.workflow}, undoing what run {undone} did" if undone else run.workflow
    parts: list[RenderableType] = [title("completed", what), _thread(run), blank()]
    parts.append(PlanTree(plan, None if full else _SUBTASKS))
    return Group(*parts, *_with_result(result, full), *_all_of_it(run, command, full))


def _adapted(run: Run, command: Command, full: bool) -> RenderableType:
    final = run.state.get("final_result")
    found = final if isinstance(final, dict) else {}
    by = "" if found.get("decided_by") == "metrics" else f", decided by {found.get('decided_by')}"
    head = title("completed", f"{run.workflow}, {found.get('strategy') or 'no result'}{by}")
    parts: list[RenderableType] = [head, _thread(run), blank(), Attempts(run.state)]
    return Group(*parts, *_with_result(found.get("result"), full), *_all_of_it(run, command, full))


def _with_result(result: Any, full: bool) -> list[RenderableType]:
    if result is None:
        return []
    return [blank(), dictionary(result if isinstance(result, dict) else {"result": result}, 0 if full else VALUE)]


def _all_of_it(run: Run, command: Command, full: bool) -> list[RenderableType]:
    if full:
        return []
    words = Text("Everything it knows", style="bold")
    return [blank(), words, command_line(command("show", run.thread_id, "--full"))]


def _cancelled(run: Run, _: Command, __: bool) -> RenderableType:
    error = run.error or {}
    return Group(title("cancelled", f"by {error.get('by', 'somebody')}: {error.get('message', _ERASED)}"), _thread(run))


def _stalled(run: Run, command: Command, _: bool) -> RenderableType:
    return Group(
        title("stalled", "the process that drove it is gone"),
        _thread(run),
        blank(),
        Text("Go on with", style="bold"),
        command_line(command("retry", run.thread_id)),
    )


def _elsewhere(run: Run, command: Command) -> RenderableType:
    text = "another process drives it" if run.status == "running" else "it waits for a worker"
    parts = [title(run.status, text), _thread(run), blank(), Text("See how it gets on with", style="bold")]
    return Group(*parts, command_line(command("wait", run.thread_id)), command_line(command("status")))


def whole_run(run: Run, command: Command, *, full: bool, plan: PlanView | None = None) -> RenderableType:
    """Return all there is to say about a run: outcome, origin, state.

    Args:
        run: The run.
        command: Makes a command line of words.
        full: Whether long values are shown whole.
        plan: As for `outcome`.
    """
    about = {
        "workflow": f"{run.workflow} {run.version}, from {run.source}",
        "requested by": run.requested_by,
        "created": timestamp(run.created_at),
        "last change": timestamp(run.updated_at),
    }
    if run.forked_from:
        about["forked from"] = run.forked_from
    if run.parent:
        about["child of"] = run.parent
    parts = [outcome(run, command, full=full, plan=plan), blank(), dictionary(about, 0)]
    if run.children and (run.status != "paused" or run.reviews):
        parts += [blank(), Text("Child runs", style="bold"), family(run.children)]
    if run.state and (run.status != "completed" or isinstance(run.state.get("decision_factors"), dict)):
        parts += [blank(), Text("State", style="bold"), state(run, full=full)]
    return Group(*parts)


def state(run: Run, *, full: bool) -> RenderableType:
    """Return the state of a run, key by key; of a council the minutes, unless all is wanted.

    Args:
        run: The run.
        full: Whether long values are shown whole.
    """
    if has_minutes(run.state) and not full:
        from .council_view import minutes_view

        return minutes_view(run.state)
    # a plan is drawn as a tree
    hidden: tuple[str, ...] = _PLAN_KEYS if not full and plan_of_run(run.state) else ()
    if not full and has_attempts(run.state):
        hidden = ADAPTIVE_KEYS
    return dictionary({name: value for name, value in run.state.items() if name not in hidden}, 0 if full else VALUE)


def run_page(page: Page[Run], now: datetime, width: int, more: str) -> RenderableType:
    """Return a listing, newest first: a table where there is room, two lines for each run otherwise.

    Args:
        page: The runs.
        now: The time now (aware), for their ages.
        width: Columns that there are.
        more: The command for the next page.
    """
    if not len(page):
        return Text("No runs.")
    parts: list[RenderableType] = []
    if width >= TABLE_WIDTH:
        table = grid("thread", "status", "workflow", "by", "started")
        for column in (1, 5):
            table.columns[column].no_wrap = True
        for run in page:
            table.add_row("", clean(run.thread_id), status_text(run.status), *map(Text, _about(run, now)))
        parts.append(table)
    else:
        for run in page:
            parts.append(Text(clean(run.thread_id), overflow="fold"))
            parts.append(Text.assemble("  ", status_text(run.status), " · ", " · ".join(_about(run, now))))
    if page.after:
        parts += [blank(), Text("Older runs", style="bold"), command_line(more)]
    return Group(*parts)


def _about(run: Run, now: datetime) -> tuple[str, str, str]:
    return one_line(run.workflow), one_line(run.requested_by), age(run.created_at, now)


def _thread(run: Run) -> Text:
    return Text(f"run {clean(run.thread_id)}", style="dim", no_wrap=True, overflow="ignore")


def _readable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Bring names and lengths of time into words."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if name.endswith("_seconds") and isinstance(value, int | float):
            shown[name.removesuffix("_seconds").replace("_", " ")] = duration(value)
        else:
            shown[name.replace("_", " ")] = value
    return {name: value for name, value in shown.items() if value not in (None, [], {}, "")}
