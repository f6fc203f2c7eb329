"""Which policy counts for a question: that of its run, its own, or that of its workflow, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from ..checkpoints.sealing import Seal
from ..errors import ConfigurationError, LeaseLost
from ..state.policies import ReviewPolicy, policy_from, policy_json
from .questions import action_of

__all__ = ["COPING", "EVERY_OTHER", "Policies", "PolicyBook", "counting_policy", "policies_json"]

Policies: TypeAlias = ReviewPolicy | Mapping[str, ReviewPolicy]
"""One policy for all questions, or one for each action; `"*"` is for all others, plain questions included."""

EVERY_OTHER: Final = "*"
# where a run keeps its rules for coping, beside its policies
COPING: Final = "coping"


def policies_json(
    run: Policies | None, workflow: Policies | None, coping: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return what a run keeps: the policies that it was started with, and those of its workflow at that moment.

    So every process that drives it later asks under the same ones.

    Args:
        run: For this run; they come before those of its questions.
        workflow: For questions that bring none.
        coping: The rules for coping of its engine, as `CopingBook.kept` returns them.

    Raises:
        ConfigurationError: They are no policies.
    """
    kept = {
        name: {action: policy_json(policy) for action, policy in _by_action(given).items()}
        for name, given in (("run", run), ("workflow", workflow))
        if given is not None
    }
    return kept | ({COPING: dict(coping)} if coping else {}) or None


def counting_policy(kept: Mapping[str, Any], thread_id: str, value: Any) -> ReviewPolicy:
    """Return the policy that counts for a question.

    Args:
        kept: What its run keeps, decrypted; empty for nothing.
        thread_id: The run, for errors.
        value: What the workflow asks with; None for a static breakpoint.

    Raises:
        ConfigurationError: The policy that the question brings is none; the run fails with that.
    """
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


class PolicyBook:
    """Knows the policies of the runs that this process drives now, for the hook that opens their questions without I/O.

    It knows them by lease, so that an older drive of the same run that ends late takes nothing away from a newer one.

    Args:
        seal: Reads what runs keep.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._driven: dict[tuple[str, int], Mapping[str, Any]] = {}

    @contextmanager
    def learned(self, thread_id: str, token: int, kept: Any) -> Iterator[None]:
        """Know the policies of a run while the block drives it, and forget them then.

        Args:
            thread_id: The run.
            token: The lease under which it is driven.
            kept: The column `policies` of its row.
        """
        self._driven[thread_id, token] = self.opened(kept)
        try:
            yield
        finally:
            self._driven.pop((thread_id, token), None)

    def opened(self, kept: Any) -> Mapping[str, Any]:
        """Return the column `policies` of a run's row as `counting_policy` takes it."""
        return {} if kept is None else self._seal.open(kept)

    def policy(self, thread_id: str, token: int | None, value: Any) -> ReviewPolicy:
        """Return the policy that counts for a question.

        Args:
            thread_id: The run.
            token: The lease under which it is asked; None without one: whoever asks so knows no policies of runs.
            value: What the workflow asks with.

        Raises:
            LeaseLost: That drive is over, so nobody knows under which policy to ask; the question must not be opened under
                a weaker one.
            ConfigurationError: As `counting_policy`.
        """
        kept = {} if token is None else self._driven.get((thread_id, token))
        if kept is None:
            raise LeaseLost(
                f"The drive of run {thread_id} under the lease {token} is over; what it still asks is not stored. "
                "Whoever drives the run next asks again.",
                thread_id=thread_id,
            )
        return counting_policy(kept, thread_id, value)


def _by_action(given: Any) -> Mapping[str, ReviewPolicy]:
    if isinstance(given, ReviewPolicy):
        return {EVERY_OTHER: given}
    if not isinstance(given, Mapping) or not all(isinstance(each, ReviewPolicy) for each in given.values()):
        raise ConfigurationError(
            "policies takes a ReviewPolicy, or a dictionary from the names of actions to one each, with '*' for all "
            f"others; not {given!r}."
        )
    return given
