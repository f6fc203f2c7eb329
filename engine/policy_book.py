"""Which policy counts for a question: that of its run, its own, or that of its workflow, in this order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..checkpoints.sealing import Seal
from ..errors import ConfigurationError
from ..state.policies import ReviewPolicy, policy_from, policy_json
from .questions import action_of

__all__ = ["EVERY_OTHER", "Policies", "PolicyBook", "policies_json"]

Policies: TypeAlias = ReviewPolicy | Mapping[str, ReviewPolicy]
"""One policy for all questions, or one for each action; `"*"` is for all others, plain questions included."""

EVERY_OTHER: Final = "*"
_KEPT: Final = 100_000


def policies_json(run: Policies | None, workflow: Policies | None) -> dict[str, Any] | None:
    """Return what a run keeps: the policies that it was started with, and those of its workflow at that moment.

    So every process that drives it later asks under the same ones.

    Args:
        run: For this run; they come before those of its questions.
        workflow: For questions that bring none.

    Raises:
        ConfigurationError: They are no policies.
    """
    kept = {
        name: {action: policy_json(policy) for action, policy in _by_action(given).items()}
        for name, given in (("run", run), ("workflow", workflow))
        if given is not None
    }
    return kept or None


class PolicyBook:
    """Knows the policies of the runs that this process drives, for the hook that opens their questions without I/O.

    What a run keeps never changes, so entries are dropped only when there are very many.

    Args:
        seal: Reads what runs keep.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._runs: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def learn(self, thread_id: str, kept: Any) -> None:
        """Learn the policies of a run before it is driven.

        Args:
            thread_id: The run.
            kept: The column `policies` of its row.
        """
        if kept is None:
            self._runs.pop(thread_id, None)
            return
        self._runs[thread_id] = self._seal.open(kept)
        self._runs.move_to_end(thread_id)
        while len(self._runs) > _KEPT:
            self._runs.popitem(last=False)

    def policy(self, thread_id: str, value: Any) -> ReviewPolicy:
        """Return the policy that counts for a question.

        Raises:
            ConfigurationError: The policy that the question brings is none; the run fails with that.
        """
        kept = self._runs.get(thread_id, {})
        names = (action_of(value) or EVERY_OTHER, EVERY_OTHER)
        own = value.get("adjourn") if isinstance(value, dict) else None
        brought = own.get("policy") if isinstance(own, Mapping) else None
        found = (
            *(kept.get("run", {}).get(name) for name in names),
            brought,
            *(kept.get("workflow", {}).get(name) for name in names),
        )
        data = next((each for each in found if each is not None), None)
        if data is None:
            return ReviewPolicy()
        return policy_from(data, f"The policy of a question of run {thread_id}")


def _by_action(given: Any) -> Mapping[str, ReviewPolicy]:
    if isinstance(given, ReviewPolicy):
        return {EVERY_OTHER: given}
    if not isinstance(given, Mapping) or not all(isinstance(each, ReviewPolicy) for each in given.values()):
        raise ConfigurationError(
            "policies takes a ReviewPolicy, or a dictionary from the names of actions to one each, with '*' for all "
            f"others; not {given!r}."
        )
    return given
