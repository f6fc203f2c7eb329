"""The entry point of the command `adjourn`: its parts, and how it ends."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Annotated, Final

import typer

from .. import __version__
from .audit import AuditGroup, audit_anchor, audit_export, audit_show, audit_verify
from .bulk import approve_all
from .cases import cases
from .command import Database, command, report, silence
from .deciding import resume, review
from .demo import demo
from .doctor import doctor
from .erase import erase
from .exits import Exit, Interrupted
from .graph import graph
from .inbox import inbox
from .limits import limit_list, limit_remove, limit_set
from .look import history, list_runs, show
from .plan import plan
from .run import cancel, fork, recover, retry, run, wait
from .schedules import schedule_add, schedule_list, schedule_remove
from .session import Session
from .status import status
from .studio import studio
from .sweep import sweep
from .worker import worker
from .workflows import workflows

__all__ = ["InterruptOnce", "app", "main", "run_command"]

SETTLE_SECONDS: Final = 3.0

app = typer.Typer(
    name="adjourn",
    help="Workflows that stop for a person and go on later, in another process, on another day.",
    epilog="Exit codes: 0 completed · 10 paused · 1 failed · 2 bad input · 3 storage · 4 refused by state or right.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_PARTS: dict[str, dict[str, Callable[..., int]]] = {
    "Begin": {"demo": demo, "run": run},
    "Answer": {"inbox": inbox, "review": review, "resume": resume, "approve-all": approve_all},
    "Go on": {"retry": retry, "recover": recover, "sweep": sweep, "fork": fork, "cancel": cancel, "erase": erase},
    "Work": {"worker": worker, "status": status, "wait": wait},
    "Look": {"show": show, "list": list_runs, "history": history, "cases": cases},
    "Know the ground": {"workflows": workflows, "graph": graph, "plan": plan, "doctor": doctor},
    "Other doors": {"studio": studio},
}
for _panel, _commands in _PARTS.items():
    for _name, _function in _commands.items():
        app.command(_name, rich_help_panel=_panel)(command(_function))

_AUDIT: dict[str, Callable[..., int]] = {
    "show": audit_show, "verify": audit_verify, "anchor": audit_anchor, "export": audit_export,
}  # fmt: skip
_audit = typer.Typer(
    cls=AuditGroup,
    help="What happened to a run and who did it: adjourn audit THREAD; and whether that was tampered with.",
    no_args_is_help=True,
)
for _name, _function in _AUDIT.items():
    _audit.command(_name)(command(_function))
app.add_typer(_audit, name="audit", rich_help_panel="Look")

_GROUPS: dict[str, tuple[str, dict[str, Callable[..., int]]]] = {
    "limit": (
        "How many runs may be under way at once, and how many may begin in a minute.",
        {"set": limit_set, "list": limit_list, "remove": limit_remove},
    ),
    "schedule": (
        "Workflows that workers start at certain times.",
        {"add": schedule_add, "list": schedule_list, "remove": schedule_remove},
    ),
}
for _group, (_help, _commands) in _GROUPS.items():
    _typer = typer.Typer(help=_help, no_args_is_help=True)
    for _name, _function in _commands.items():
        _typer.command(_name)(command(_function))
    app.add_typer(_typer, name=_group, rich_help_panel="Work")


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    database: Database = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Workflows that stop for a person and go on later, in another process, on another day."""
    context.obj = {"database": database}
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command with the arguments of this process, and end the process."""
    interrupt = InterruptOnce()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asks for that
            signal.signal(number, interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(interrupt.exit_code(run_command(sys.argv[1:])))


def run_command(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code; nothing but the code leaves it.

    Args:
        arguments: What stands behind `adjourn`.
    """
    flags = set(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    session = Session(as_json="--json" in flags, debug="--debug" in flags)
    try:
        code = app(list(arguments), prog_name="adjourn", standalone_mode=False)
        sys.stdout.flush()
        return code or Exit.COMPLETED
    except BrokenPipeError:
        return silence()
    except (typer.Abort, KeyboardInterrupt) as error:  # what typer makes of it; or it came before typer was at work
        told = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        code = told.args[0] if isinstance(told, KeyboardInterrupt) and told.args else Exit.INTERRUPTED
        return report(Interrupted("Interrupted.", code, None), session)
    except Exception as error:  # noqa: BLE001  (the last place where an error can be told in one line)
        return report(error, session)


class InterruptOnce:
    """A signal handler that interrupts once.

    Recording what became of a run takes a moment; a second signal in it (an impatient Ctrl-C, a supervisor that tells
    the process and then its group) must not end that. Much later ones interrupt again.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf
        self._number: int = signal.SIGINT

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Raise KeyboardInterrupt with the exit code, 128 + the signal's number."""
        now = self._clock()
        if now - self._last >= SETTLE_SECONDS:
            self._last, self._number = now, number
            raise KeyboardInterrupt(128 + number)

    def exit_code(self, code: int) -> int:
        """Return the exit code of an interrupted command with the signal that it was; any other code as it is.

        Typer makes 130 of any interruption that reaches it, be it Ctrl-C or a supervisor's SIGTERM.
        """
        return 128 + self._number if code == Exit.INTERRUPTED else code
