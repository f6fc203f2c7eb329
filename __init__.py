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
        Limit,
        LimitStatus,
        Page,
        Principal,
        Review,
        Run,
        Schedule,
        Step,
        Swept,
        Timeline,
        Timetable,
        Vote,
    )
    from .errors import (
        AdjournError,
        BudgetExceeded,
        ChildFailed,
        ChildMismatch,
        CircuitOpen,
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
        LoopDetected,
        NotAuthorized,
        NotPaused,
        ReviewClosed,
        RunFailed,
        StorageUnavailable,
        ThreadBusy,
        ThreadExists,
        ToolRefused,
        UnknownCase,
        UnknownReview,
        UnknownSchedule,
        UnknownThread,
        UnknownWorkflow,
    )
    from .settings import Settings
    from .state.cases import Case
    from .state.coping import (
        Breaker,
        Budget,
        Cache,
        Coping,
        Loops,
        Price,
        Rate,
        Retry,
        ToolRules,
    )
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
        "Limit",
        "LimitStatus",
        "Page",
        "Principal",
        "Review",
        "Run",
        "Schedule",
        "Step",
        "Swept",
        "Timeline",
        "Timetable",
        "Vote",
    ),
    "errors": (
        "AdjournError",
        "BudgetExceeded",
        "CircuitOpen",
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
    ),
    "settings": ("Settings",),
    "state.cases": ("Case",),
    "state.coping": (
        "Breaker",
        "Budget",
        "Cache",
        "Coping",
        "Loops",
        "Price",
        "Rate",
        "Retry",
        "ToolRules",
    ),
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
    "Breaker",
    "Budget",
    "BudgetExceeded",
    "Cache",
    "Case",
    "Child",
    "ChildFailed",
    "ChildMismatch",
    "CircuitOpen",
    "ConfigurationError",
    "Coping",
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
    "Limit",
    "LimitStatus",
    "LoopDetected",
    "Loops",
    "NotAuthorized",
    "NotPaused",
    "Page",
    "Price",
    "Principal",
    "Rate",
    "Retry",
    "Review",
    "ReviewClosed",
    "ReviewPolicy",
    "Run",
    "RunFailed",
    "Schedule",
    "Settings",
    "Stage",
    "Step",
    "StorageUnavailable",
    "Swept",
    "ThreadBusy",
    "ThreadExists",
    "Timeline",
    "Timetable",
    "ToolRefused",
    "ToolRules",
    "UnknownCase",
    "UnknownReview",
    "UnknownSchedule",
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
