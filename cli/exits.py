"""Exit codes: what a script can tell without reading."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from .. import errors

__all__ = ["EXIT_OF", "Exit", "Interrupted", "exit_of_error", "exit_of_status"]


class Exit(IntEnum):
    """What each exit code says."""

    COMPLETED = 0
    """The run completed, or the command did what it was asked."""
    FAILED = 1
    """The run failed; `adjourn retry` continues it."""
    BAD_INPUT = 2
    """Wrong usage, input, decision or setting; nothing was stored."""
    STORAGE = 3
    """The database cannot be reached or refuses us."""
    REFUSED = 4
    """The state of the run or a missing right forbids it: busy, closed, unknown, not authorised."""
    PAUSED = 10
    """The run waits for a person."""
    INTERRUPTED = 130
    """Stopped by the keyboard (128 + the signal for other signals)."""
    BROKEN_PIPE = 141
    """Nobody reads our output any more."""


# Every error of ours by its own name; a test holds this against errors.py.
EXIT_OF: Final[dict[type[errors.AdjournError], Exit]] = {
    errors.AdjournError: Exit.FAILED,
    errors.BudgetExceeded: Exit.FAILED,
    errors.ChildFailed: Exit.FAILED,
    errors.ChildMismatch: Exit.FAILED,
    errors.CircuitOpen: Exit.FAILED,
    errors.DepthExceeded: Exit.FAILED,
    errors.EffectMismatch: Exit.FAILED,
    errors.EffectUncertain: Exit.FAILED,
    errors.LoopDetected: Exit.FAILED,
    errors.RunFailed: Exit.FAILED,
    errors.ToolRefused: Exit.FAILED,
    errors.ConfigurationError: Exit.BAD_INPUT,
    errors.InvalidDecision: Exit.BAD_INPUT,
    errors.InvalidInput: Exit.BAD_INPUT,
    errors.InvalidPlan: Exit.BAD_INPUT,
    errors.InvalidRoster: Exit.BAD_INPUT,
    errors.StorageUnavailable: Exit.STORAGE,
    errors.DigestMismatch: Exit.REFUSED,
    errors.IncompatibleGraph: Exit.REFUSED,
    errors.LeaseLost: Exit.REFUSED,
    errors.NotAuthorized: Exit.REFUSED,
    errors.NotPaused: Exit.REFUSED,
    errors.ReviewClosed: Exit.REFUSED,
    errors.ThreadBusy: Exit.REFUSED,
    errors.ThreadExists: Exit.REFUSED,
    errors.UnknownCase: Exit.REFUSED,
    errors.UnknownReview: Exit.REFUSED,
    errors.UnknownSchedule: Exit.REFUSED,
    errors.UnknownThread: Exit.REFUSED,
    errors.UnknownWorkflow: Exit.REFUSED,
}

_OF_STATUS: Final = {"completed": Exit.COMPLETED, "paused": Exit.PAUSED, "failed": Exit.FAILED}


class Interrupted(Exception):
    """The command was stopped from outside.

    Args:
        message: What became of the run, and how to go on.
        code: The exit code.
        thread_id: The run that was being driven, if one was.
    """

    def __init__(self, message: str, code: int, thread_id: str | None) -> None:
        super().__init__(message)
        self.code = code
        self.thread_id = thread_id


def exit_of_error(error: BaseException) -> int:
    """Return the exit code of a command that ended with an error; 1 for one that is not ours."""
    if isinstance(error, Interrupted):
        return error.code
    return next((EXIT_OF[kind] for kind in type(error).__mro__ if kind in EXIT_OF), Exit.FAILED)


def exit_of_status(status: str) -> int:
    """Return the exit code of a command that drove a run, by where the run stands then.

    A run that stands otherwise than completed, paused or failed was not driven here: another process has it, or it was
    cancelled.
    """
    return _OF_STATUS.get(status, Exit.REFUSED)
