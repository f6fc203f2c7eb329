"""The formulas of the strategies: what makes an agent suit a subtask, as a number.

Every required capability is required, so all formulas but `coverage` are for agents that have them all.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...state.assignments import Subtask
from ...state.roster import Agent

__all__ = [
    "BIDDING_LOAD",
    "UNPROVEN",
    "auction_score",
    "capability_score",
    "coverage",
    "fit",
    "has_room",
    "lacking",
    "load_score",
]

UNPROVEN = 0.5
"""The performance of an agent of which none is known: better than a bad record, worse than a good one."""

BIDDING_LOAD = 0.8
"""An agent with more load than this does not bid."""


def lacking(subtask: Subtask, agents: Iterable[Agent]) -> list[str]:
    """Return the required capabilities that none of these agents has, sorted."""
    return sorted(set(subtask.capabilities) - {each for agent in agents for each in agent.capabilities})


def has_room(agent: Agent) -> bool:
    """Say whether an agent can take one more subtask."""
    return agent.active < agent.capacity


def fit(subtask: Subtask, agent: Agent) -> float:
    """Return required ÷ own capabilities, for an agent that has all that are required.

    A specialist scores higher than an agent that can do everything, who stays free for what only it can do. When nothing
    is required, everybody fits (1).
    """
    return len(subtask.capabilities) / len(agent.capabilities) if subtask.capabilities else 1.0


def coverage(subtask: Subtask, agent: Agent) -> float:
    """Return the share of the required capabilities that an agent has; 1 when nothing is required."""
    if not subtask.capabilities:
        return 1.0
    return 1 - len(lacking(subtask, [agent])) / len(subtask.capabilities)


def capability_score(subtask: Subtask, agent: Agent) -> float:
    """Return fit times past performance; higher is better."""
    return fit(subtask, agent) * (UNPROVEN if agent.performance is None else agent.performance)


def auction_score(subtask: Subtask, agent: Agent, bidders: Iterable[Agent]) -> float:
    """Return 40 % capability match + 30 % cost + 20 % time + 10 % reputation; higher is better.

    Args:
        subtask: What is to be done.
        agent: Whose bid it is: its `cost` and `time`. The capability match is its `fit`.
        bidders: All that bid, this one included. A cost counts as the lowest cost ÷ this cost, and a time in the same way.
    """
    others = list(bidders)
    cheap = _against_best(agent.cost, min(each.cost for each in others))
    fast = _against_best(agent.time, min(each.time for each in others))
    return 0.4 * fit(subtask, agent) + 0.3 * cheap + 0.2 * fast + 0.1 * agent.reputation


def load_score(subtask: Subtask, agent: Agent) -> float:
    """Return 0.3 cpu + 0.2 memory + 0.3 active ÷ capacity + 0.1 mismatch + 0.1 (1 - performance); lower is better.

    The mismatch is the distance between the subtask's complexity and the agent's. Unknown parts are 0.
    """
    known = subtask.complexity is not None and agent.complexity is not None
    mismatch = abs((subtask.complexity or 0.0) - (agent.complexity or 0.0)) if known else 0.0
    unsteady = 0.0 if agent.performance is None else 1 - agent.performance
    return 0.3 * (agent.cpu or 0) + 0.2 * (agent.memory or 0) + 0.3 * agent.load + 0.1 * mismatch + 0.1 * unsteady


def _against_best(amount: float, best: float) -> float:
    return best / amount if amount else 1.0
