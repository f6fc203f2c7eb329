"""What an engine sets up for workflows that cope; nothing where none does."""

from __future__ import annotations

from collections.abc import Mapping

from ...checkpoints.storage import Storage
from ...settings import Settings
from ...state.coping import Coping
from .answers import Answers
from .ledger import Ledger
from .place import Tools
from .turns import Turns

__all__ = ["coping_tools"]


def coping_tools(storage: Storage, settings: Settings, book: Mapping[str, Coping]) -> Tools:
    """Return what an engine has for coping. Where a workflow has rules, LangChain's models and tools are wrapped.

    Args:
        storage: The open database.
        settings: The settings.
        book: The rules by workflow.
    """
    if book:
        # Loading LangChain's models takes a good part of a second: only where they are to be guarded.
        from .models import guard_models
        from .tools import guard_tools

        guard_models()
        guard_tools()
    serde = storage.saver.serde
    return Tools(
        Ledger(storage.pool, serde, settings.storage_patience), Answers(storage.pool, serde), Turns(storage.pool)
    )
