"""The analyst that is used when none is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...settings import current_settings
from ...state.analysis import Analysis

if TYPE_CHECKING:
    from . import AsyncAnalyst

__all__ = ["default_analyst"]


def default_analyst() -> AsyncAnalyst:
    """Make an analyst that asks the model of `ADJOURN_MODEL` if it is set, and works with rules otherwise.

    The setting is read each time the analyst runs, so a graph made at import follows the environment it runs in.

    Returns:
        An async `Analyst`; errors as those of `model_analyst`. The rules run in a thread, so a large text does not
        hold up the event loop.
    """

    async def analyse(text: str, *, notes: Sequence[str] = ()) -> Analysis:
        spec = current_settings().model
        if spec is not None:
            from .model import model_analyst

            return await model_analyst(spec)(text, notes=notes)
        from anyio import to_thread

        from .rules import rule_analyst

        return await to_thread.run_sync(lambda: rule_analyst(text, notes=notes))

    return analyse
