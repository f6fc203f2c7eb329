"""Every error that adjourn raises, in one tree.

    AdjournError
    ├── ConfigurationError          a setting, a model or the machine is not as it must be
    ├── StorageUnavailable          PostgreSQL cannot be reached, or refuses us
    ├── UnknownWorkflow             no workflow of that name is registered
    ├── UnknownThread               no run with that thread id (for this tenant)
    ├── UnknownReview               no review with that id on that thread
    ├── UnknownSchedule             no schedule of that name (for this tenant)
    ├── UnknownCase                 no past case with that id (for this tenant)
    ├── InvalidInput                the input does not fit the workflow; nothing was stored
    ├── InvalidDecision             the answer does not fit the question; the question stays open
    ├── InvalidPlan                 a plan of subtasks has a cycle, an unknown id, …
    ├── InvalidRoster               a roster of agents has a mistake
    ├── ThreadExists                the thread id is taken by a run with other input
    ├── ThreadBusy                  another driver is at work on the thread
    ├── NotPaused                   nothing is being asked, or the run has ended
    ├── ReviewClosed                the review was answered before; carries the outcome
    ├── NotAuthorized               the principal may not do this
    ├── LeaseLost                   another driver took the thread over
    ├── EffectUncertain             a crash hides whether an effect happened
    ├── EffectMismatch              the same effect was asked for with other arguments
    ├── DigestMismatch              what would be done or approved is not what was approved or shown
    ├── IncompatibleGraph           the code at hand cannot continue this thread
    ├── ChildFailed                 a child run failed, or was cancelled
    ├── ChildMismatch               the same child was asked for with another workflow or other input
    ├── DepthExceeded               child runs have started child runs too deep
    ├── RunFailed                   a node of the workflow failed
    ├── BudgetExceeded              the run used up its tokens or its money
    ├── CircuitOpen                 a model or a tool is not called, because its last calls all failed
    ├── LoopDetected                a tool was called with the same arguments too often
    └── ToolRefused                 a tool may not be called here

A message says what was wrong, what would be right, and what to do next. Errors that concern one run carry
its `thread_id`. Errors of psycopg, LangGraph and other libraries are mapped to these before they leave us;
the original stands in `__cause__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "AdjournError",
    "BudgetExceeded",
    "ChildFailed",
    "ChildMismatch",
    "CircuitOpen",
    "ConfigurationError",
    "DepthExceeded",
    "DigestMismatch",
    "EffectMismatch",
    "EffectUncertain",
    "IncompatibleGraph",
    "InvalidDecision",
    "InvalidInput",
    "InvalidPlan",
    "InvalidRoster",
    "LeaseLost",
    "LoopDetected",
    "NotAuthorized",
    "NotPaused",
    "ReviewClosed",
    "RunFailed",
    "StorageUnavailable",
    "ThreadBusy",
    "ThreadExists",
    "ToolRefused",
    "UnknownCase",
    "UnknownReview",
    "UnknownSchedule",
    "UnknownThread",
    "UnknownWorkflow",
]


class AdjournError(Exception):
    """The base of every error that adjourn raises.

    Args:
        message: What was wrong, what would be right, what to do next; one line.
        thread_id: The run it concerns, if it concerns one.
    """

    def __init__(self, message: str, *, thread_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.thread_id = thread_id

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions travel between processes (pytest-xdist, multiprocessing); keyword arguments must survive that.
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(kind: type[AdjournError], message: str, attributes: dict[str, Any]) -> AdjournError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(attributes)
    return error


class ConfigurationError(AdjournError):
    """A setting, a model, a package or the machine is not as it must be. Nothing was started."""


class StorageUnavailable(AdjournError):
    """PostgreSQL cannot be reached, refuses us, or went away and did not come back in time.

    What had been acknowledged before is stored; run the command again when the database is back.
    """


class UnknownWorkflow(AdjournError):
    """No workflow of that name is registered here. The message names those that are."""


class UnknownThread(AdjournError):
    """There is no run with that thread id. One that belongs to another tenant is unknown in the same way."""


class UnknownReview(AdjournError):
    """There is no review with that id on that thread."""


class UnknownSchedule(AdjournError):
    """There is no schedule of that name. The message names those there are."""


class UnknownCase(AdjournError):
    """There is no past case with that id. One that belongs to another tenant is unknown in the same way."""


class InvalidInput(AdjournError):
    """The input does not fit the workflow: a key is missing, wrong, not JSON-safe, or it is too large.

    Nothing was stored.
    """


class InvalidDecision(AdjournError):
    """The answer does not fit the question. Nothing was stored and the question stays open."""


class InvalidPlan(AdjournError):
    """A plan of subtasks cannot be carried out; the message names the ids."""


class InvalidRoster(AdjournError):
    """A roster of agents has a mistake; the message names the line and the key."""


class ThreadExists(AdjournError):
    """The thread id is taken by a run that was started with another workflow or other input."""


class ThreadBusy(AdjournError):
    """Another driver is at work on the thread. Wait for it, or cancel it."""


class NotPaused(AdjournError):
    """The run waits for nobody: it is running, or it has ended."""


class ReviewClosed(AdjournError):
    """The review was closed before this answer came.

    Args:
        message: What happened, for people.
        outcome: What was recorded: who, when and what (JSON-safe), as far as it is known.
        thread_id: The run it belongs to.
    """

    def __init__(self, message: str, *, outcome: Mapping[str, Any] | None = None, thread_id: str | None = None) -> None:
        super().__init__(message, thread_id=thread_id)
        self.outcome = dict(outcome) if outcome else None


class NotAuthorized(AdjournError):
    """The principal may not do this.

    For an answer: the policy of the review asks for another role, for somebody other than the requester, or for people
    who are authenticated. Nothing was recorded.
    """


class LeaseLost(AdjournError):
    """Another driver took the thread over while this one was away. This one commits nothing any more."""


class EffectUncertain(AdjournError):
    """A process died between the start of an effect and its record, so nobody knows whether it happened."""


class EffectMismatch(AdjournError):
    """The same effect was asked for again with other arguments."""


class DigestMismatch(AdjournError):
    """What would be executed is not what was approved, or what somebody would approve is not what they were shown.

    A refused answer was not recorded: look at the review again and send its `digest` as `shown`.
    """


class IncompatibleGraph(AdjournError):
    """The workflow's code at hand cannot continue this thread."""


class RunFailed(AdjournError):
    """A node of the workflow failed for good. `retry` continues the run from where it was.

    Args:
        message: What happened, for people.
        node: The name of the node that failed, if it is known.
        thread_id: The run that failed.
    """

    def __init__(self, message: str, *, node: str | None = None, thread_id: str | None = None) -> None:
        super().__init__(message, thread_id=thread_id)
        self.node = node


class ChildFailed(AdjournError):
    """A child run failed, or was cancelled.

    Args:
        message: What happened, for people.
        child: The child's id in the node that started it.
        status: How it ended: failed or cancelled.
        error: Its error as its run keeps it: `type`, `message` and `node`; of a cancelled one `message` and `by`.
        thread_id: The child run.
    """

    def __init__(
        self,
        message: str,
        *,
        child: str,
        status: str,
        error: Mapping[str, Any] | None = None,
        thread_id: str | None = None,
    ) -> None:
        super().__init__(message, thread_id=thread_id)
        self.child = child
        self.status = status
        self.error = dict(error or {})


class ChildMismatch(AdjournError):
    """A node asked for a child run under an id that it had used for another: another workflow, or other input."""


class DepthExceeded(AdjournError):
    """Child runs have started child runs deeper than `ADJOURN_MAX_CHILD_DEPTH`; perhaps a workflow starts itself."""


class BudgetExceeded(AdjournError):
    """The run used up its tokens or its money. No model is called any more until more is granted."""


class CircuitOpen(AdjournError):
    """A model or a tool is not called, because its last calls all failed. It is tried again after a while."""


class LoopDetected(AdjournError):
    """A tool was called with the same arguments more often than the workflow's rules allow. The step was ended."""


class ToolRefused(AdjournError):
    """A tool was called that is not among those that the workflow's rules allow. It was not run."""
