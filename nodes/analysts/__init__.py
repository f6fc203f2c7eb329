"""Analysts: functions that turn a text into structured results with a confidence for each.

    Analyst          the port: what the `analyze` node calls
    rule_analyst     reads the text with rules; needs neither a key nor a network
    model_analyst    asks a chat model
    default_analyst  the model if one is set when it runs, the rules otherwise

The analysts are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...state.analysis import Analysis

if TYPE_CHECKING:
    from .chat_models import check_model
    from .default import default_analyst
    from .model import model_analyst
    from .rules import rule_analyst

__all__ = ["Analysis", "Analyst", "AsyncAnalyst", "check_model", "default_analyst", "model_analyst", "rule_analyst"]

_MODULE_OF = {
    "check_model": "chat_models",
    "default_analyst": "default",
    "model_analyst": "model",
    "rule_analyst": "rules",
}


class Analyst(Protocol):
    """Whatever can analyse a text: any function of this form, plain or async.

    A plain function may compute for a second or more on a large text; callers in an event loop run it in a thread.
    """

    def __call__(self, text: str, *, notes: Sequence[str] = ()) -> Analysis | Awaitable[Analysis]:
        """Analyse a text.

        Args:
            text: The text; any length, may be empty.
            notes: What people added since the last attempt (the reason of a rejection, an answer), oldest first.
                They are about the text and not part of it, and a new attempt takes them into account.

        Returns:
            The analysis, or something to await for it.

        Raises:
            ConfigurationError: The analyst cannot work with the settings at hand.
            RunFailed: The analyst got an answer that is no analysis.
        """
        ...


class AsyncAnalyst(Protocol):
    """An `Analyst` that always has to be awaited."""

    async def __call__(self, text: str, *, notes: Sequence[str] = ()) -> Analysis:
        """Analyse a text, as `Analyst` says."""
        ...


def __getattr__(name: str) -> Any:
    """Load an analyst from its module when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
