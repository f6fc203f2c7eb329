"""adjourn: LangGraph workflows that stop for a person and go on later.

The public names are loaded when they are first used, so that `import adjourn` and `adjourn --help` cost nothing.
The repository root is this package, and pytest executes this file under the name of the checkout folder: it must
import nothing of ours when executed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import (
        AsyncEngine,
        AuditEntry,
        AuditReport,
        Child,
        Engine,
        Event,
        Page,
        Principal,
        Review,
        Run,
        Step,
        Swept,
        Timeline,
        Vote,
    )
    from .errors import (
        AdjournError,
        BudgetExceeded,
        ChildFailed,
        ChildMismatch,
        ConfigurationError,
        DepthExceeded,
        DigestMismatch,
        EffectMismatch,
        EffectUncertain,
        IncompatibleGraph,
        InvalidDecision,
        InvalidInput,
        InvalidPlan,
        InvalidRoster,
        LeaseLost,
        NotAuthorized,
        NotPaused,
        ReviewClosed,
        RunFailed,
        StorageUnavailable,
        ThreadBusy,
        ThreadExists,
        UnknownReview,
        UnknownThread,
        UnknownWorkflow,
    )
    from .settings import Settings
    from .state.decisions import (
        Decision,
        approve,
        edit,
        reject,
        respond,
    )
    from .state.policies import (
        DefaultValue,
        ReviewPolicy,
        Stage,
    )

__version__ = "0.1.0"

# module below this package → the public names that it defines
_PUBLIC: dict[str, tuple[str, ...]] = {
    "engine": (
        "AsyncEngine",
        "AuditEntry",
        "AuditReport",
        "Child",
        "Engine",
        "Event",
        "Page",
        "Principal",
        "Review",
        "Run",
        "Step",
        "Swept",
        "Timeline",
        "Vote",
    ),
    "errors": (
        "AdjournError",
        "BudgetExceeded",
        "ChildFailed",
        "ChildMismatch",
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
        "NotAuthorized",
        "NotPaused",
        "ReviewClosed",
        "RunFailed",
        "StorageUnavailable",
        "ThreadBusy",
        "ThreadExists",
        "UnknownReview",
        "UnknownThread",
        "UnknownWorkflow",
    ),
    "settings": ("Settings",),
    "state.decisions": (
        "Decision",
        "approve",
        "edit",
        "reject",
        "respond",
    ),
    "state.policies": (
        "DefaultValue",
        "ReviewPolicy",
        "Stage",
    ),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [
    "AdjournError",
    "AsyncEngine",
    "AuditEntry",
    "AuditReport",
    "BudgetExceeded",
    "Child",
    "ChildFailed",
    "ChildMismatch",
    "ConfigurationError",
    "Decision",
    "DefaultValue",
    "DepthExceeded",
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
    "Page",
    "Principal",
    "Review",
    "ReviewClosed",
    "ReviewPolicy",
    "Run",
    "RunFailed",
    "Settings",
    "Stage",
    "Step",
    "StorageUnavailable",
    "Swept",
    "ThreadBusy",
    "ThreadExists",
    "Timeline",
    "UnknownReview",
    "UnknownThread",
    "UnknownWorkflow",
    "Vote",
    "approve",
    "edit",
    "reject",
    "respond",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
