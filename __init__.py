"""adjourn: LangGraph workflows that stop for a person and go on later.

The public names stand in the table below and are loaded when they are first used, so that `import adjourn` and
`adjourn --help` cost nothing. The repository root is this package: pytest executes this file under the name of the
checkout folder, so it must import nothing of ours when executed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import (
        AsyncEngine,
        Engine,
        Event,
        Principal,
        Review,
        Run,
        Step,
        Timeline,
    )
    from .errors import *  # noqa: F403  (the tree of errors.py, name for name; tests hold it against the table)
    from .settings import Settings
    from .state.decisions import Decision, approve, edit, reject, respond

__version__ = "0.1.0"

# public name → module below this package that defines it
_WHERE = {
    "AsyncEngine": "engine",
    "Engine": "engine",
    "Event": "engine",
    "Principal": "engine",
    "Review": "engine",
    "Run": "engine",
    "Step": "engine",
    "Timeline": "engine",
    "Settings": "settings",
    "Decision": "state.decisions",
    "approve": "state.decisions",
    "edit": "state.decisions",
    "reject": "state.decisions",
    "respond": "state.decisions",
    "AdjournError": "errors",
    "BudgetExceeded": "errors",
    "ConfigurationError": "errors",
    "DigestMismatch": "errors",
    "EffectMismatch": "errors",
    "EffectUncertain": "errors",
    "IncompatibleGraph": "errors",
    "InvalidDecision": "errors",
    "InvalidInput": "errors",
    "InvalidPlan": "errors",
    "InvalidRoster": "errors",
    "LeaseLost": "errors",
    "NotAuthorized": "errors",
    "NotPaused": "errors",
    "ReviewClosed": "errors",
    "RunFailed": "errors",
    "StorageUnavailable": "errors",
    "ThreadBusy": "errors",
    "ThreadExists": "errors",
    "UnknownReview": "errors",
    "UnknownThread": "errors",
    "UnknownWorkflow": "errors",
}

__all__ = [
    "AdjournError",
    "AsyncEngine",
    "BudgetExceeded",
    "ConfigurationError",
    "Decision",
    "DigestMismatch",
    "EffectMismatch",
    "EffectUncertain",
    "Engine",
    "Event",
    "IncompatibleGraph",
    "InvalidDecision",
    "InvalidInput",
    "InvalidPlan",
    "InvalidRoster",
    "LeaseLost",
    "NotAuthorized",
    "NotPaused",
    "Principal",
    "Review",
    "ReviewClosed",
    "Run",
    "RunFailed",
    "Settings",
    "Step",
    "StorageUnavailable",
    "ThreadBusy",
    "ThreadExists",
    "Timeline",
    "UnknownReview",
    "UnknownThread",
    "UnknownWorkflow",
    "approve",
    "edit",
    "reject",
    "respond",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module 'adjourn' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
