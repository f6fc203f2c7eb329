"""What an engine sets up for workflows that cope; nothing where none does."""

from __future__ import annotations

import threading
from typing import Final

from ...checkpoints.storage import Storage
from ...settings import Settings
from .answers import Answers
from .ledger import Ledger
from .place import Tools
from .turns import Turns

__all__ = ["coping_tools", "guard_calls"]

_one_at_a_time: Final = threading.Lock()


def guard_calls() -> None:
    """Wrap LangChain's models and tools, so that calls in nodes with rules find them; a second time does nothing.

    It may be called in any thread. Loading LangChain's models takes a good part of a second: only where they are to be
    guarded.
    """
    with _one_at_a_time:
        from .models import guard_models
        from .tools import guard_tools

        guard_models()
        guard_tools()


def coping_tools(storage: Storage, settings: Settings) -> Tools:
    """Return what an engine has for coping.

    Args:
        storage: The open database.
        settings: The settings.
    """
    serde = storage.saver.serde
    return Tools(
        Ledger(storage.pool, serde, settings.storage_patience), Answers(storage.pool, serde), Turns(storage.pool)
    )
