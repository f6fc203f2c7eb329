"""Which workflow copes how: what the engine was opened with, what the project says, and what the settings say.

A run keeps the whole book of the engine that accepted it, for itself and its children, so that its rules do not vanish where
another process drives it that was told nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ...errors import ConfigurationError
from ...state.coping import EVERY_OTHER, Coping, coping_from, coping_json, named

__all__ = ["CopingBook", "RunRules"]


@dataclass(frozen=True, slots=True)
class RunRules:
    """The rules for a run.

    Args:
        coping: The rules.
        own: Whether they are this engine's, and not those that the run kept.
    """

    coping: Coping
    own: bool


class CopingBook:
    """The rules by workflow; a later source replaces an earlier one's rules of the same workflow.

    Args:
        *sources: What each is called in messages, and its rules by the name of a workflow, `"*"` for all others: a Coping,
            or an object of JSON that `coping_from` reads.

    Raises:
        ConfigurationError: They are no rules; the message names source, workflow and place.
    """

    def __init__(self, *sources: tuple[str, Mapping[str, Any] | None]) -> None:
        self._own: dict[str, Coping] = {}
        for where, given in sources:
            if given is not None and not isinstance(given, Mapping):
                raise ConfigurationError(f"{where} takes rules by workflow, such as {{'review': …}}, not {given!r}.")
            for workflow, rules in (given or {}).items():
                self._own[workflow] = (
                    rules if isinstance(rules, Coping) else coping_from(rules, f"{where}, {workflow!r}")
                )
        self._json = {workflow: coping_json(rules) for workflow, rules in self._own.items()}

    def __bool__(self) -> bool:
        """Whether there are rules for any workflow."""
        return bool(self._own)

    def kept(self, inherited: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return what a run keeps, as JSON: these rules, and what its parent kept of other workflows.

        Args:
            inherited: What its parent kept.
        """
        return {**(inherited or {}), **self._json} or None

    def rules(self, workflow: str, kept: Mapping[str, Any] | None) -> RunRules | None:
        """Return the rules for a run; None where there are none.

        Rules for the workflow's name come before those for all others, and this engine's before those that the run
        kept. But a budget that the run kept stays, unless another stands in its place: nobody spends without limit because
        one process was told nothing.

        Args:
            workflow: Its workflow.
            kept: What it kept.
        """
        found = next((each for name in (workflow, EVERY_OTHER) for each in self._both(name, kept or {})), None)
        before = named(kept or {}, workflow)
        if found is None or found.coping.budget is not None or before is None:
            return found
        budget = _read(workflow, json.dumps(before, sort_keys=True)).budget
        return found if budget is None else _with_budget(found, budget)

    def _both(self, name: str, kept: Mapping[str, Any]) -> list[RunRules]:
        found = [RunRules(self._own[name], own=True)] if name in self._own else []
        if name in kept:
            found.append(RunRules(_read(name, json.dumps(kept[name], sort_keys=True)), own=False))
        return found


def _with_budget(rules: RunRules, budget: Any) -> RunRules:
    return replace(rules, coping=replace(rules.coping, budget=budget))


@lru_cache(maxsize=256)
def _read(workflow: str, text: str) -> Coping:
    return coping_from(json.loads(text), f"the rules that a run of {workflow!r} has kept")
