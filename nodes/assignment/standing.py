"""Reputation and trust: how an outcome changes them. Bounded: from 0-1 they never leave 0-1."""

from __future__ import annotations

from ..arguments import check_share

__all__ = ["reputation_after", "trust_after"]


def reputation_after(reputation: float, outcome: float, *, rate: float = 0.2) -> float:
    """Return an agent's reputation after an outcome: r + rate * (outcome - r).

    An exponential moving average: the newest outcome counts `rate`, and each older one (1 - rate) times the one after it.
    With a higher rate (0.5, say) the same formula gives the recent `performance`.

    Args:
        reputation: Before, 0-1.
        outcome: How well it went, 0 (failed) to 1 (as well as can be).
        rate: How much one outcome counts, 0-1.

    Raises:
        InvalidInput: One of them is not a number from 0 to 1.
    """
    before, got = check_share("reputation", reputation), check_share("outcome", outcome)
    share = check_share("rate", rate)
    return min(1.0, max(0.0, before + share * (got - before)))


def trust_after(trust: float, succeeded: bool, *, gain: float = 0.1, loss: float = 0.2) -> float:
    """Return one agent's trust in another after they worked together.

    Success closes a part of the distance to 1: t + gain * (1 - t). Failure takes a part away: t * (1 - loss).

    With these rates a failure costs more than a success brings wherever trust is above 1/3. Whoever falls to the limit of
    0.3 is not asked by that agent any more; to give another chance, set the trust.

    Args:
        trust: Before, 0-1.
        succeeded: Whether the work they shared succeeded.
        gain: What a success is worth, 0-1.
        loss: What a failure costs, 0-1.

    Raises:
        InvalidInput: One of the numbers is not from 0 to 1.
    """
    before = check_share("trust", trust)
    won, lost = check_share("gain", gain), check_share("loss", loss)
    return min(1.0, before + won * (1 - before)) if succeeded else max(0.0, before * (1 - lost))
