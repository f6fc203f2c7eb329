"""Which workflow copes how: what the engine was opened with, what the project says, and what the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from ...state.coping import Coping, coping_from

__all__ = ["coping_book"]


def coping_book(*sources: tuple[str, Mapping[str, Any] | None]) -> dict[str, Coping]:
    """Return the rules by workflow; a later source replaces an earlier one's rules of the same workflow.

    Args:
        *sources: What each is called in messages, and its rules by the name of a workflow, `"*"` for all others: a Coping,
            or an object of JSON that `coping_from` reads.

    Raises:
        ConfigurationError: They are no rules; the message names source, workflow and place.
    """
    book: dict[str, Coping] = {}
    for where, given in sources:
        if given is not None and not isinstance(given, Mapping):
            raise ConfigurationError(f"{where} takes rules by workflow, such as {{'review': …}}, not {given!r}.")
        for workflow, rules in (given or {}).items():
            book[workflow] = rules if isinstance(rules, Coping) else coping_from(rules, f"{where}, {workflow!r}")
    return book
