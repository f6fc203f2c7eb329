"""The strategy `peer`: an agent takes a subtask and asks peers it trusts for what it cannot do itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...state.assignments import Subtask
from ...state.roster import Agent
from .formulas import lacking

__all__ = ["MAX_PEERS", "MIN_TRUST", "STRANGER", "helpers_for", "trust_in"]

MAX_PEERS = 3
"""How many peers an agent asks at most."""

MIN_TRUST = 0.3
"""Peers are asked only above this trust."""

STRANGER = 0.5
"""How far an agent trusts one of which it knows nothing."""


def trust_in(agent: Agent, peer: Agent) -> float:
    """Return how far an agent trusts a peer, 0-1."""
    return agent.trust.get(peer.name, STRANGER)


def helpers_for(subtask: Subtask, agent: Agent, peers: Sequence[Agent]) -> list[Agent] | None:
    """Return whom an agent asks for the capabilities that it lacks.

    Peers are complementary when they have some of those, and are asked when the agent's trust in them is above 0.3.
    The smallest team that has all of them is chosen; of several, the one with the most trust in sum, then by name.

    Args:
        subtask: What is to be done.
        agent: Who takes it.
        peers: Who might help; the agent itself does not count.

    Returns:
        Up to three peers, sorted by name; nobody when nothing is lacking; None when no such team has it all.
    """
    gap = frozenset(lacking(subtask, [agent]))
    able = [
        peer
        for peer in sorted(peers, key=lambda peer: peer.name)
        if peer.name != agent.name and trust_in(agent, peer) > MIN_TRUST and gap.intersection(peer.capabilities)
    ]
    teams = [sorted(team, key=lambda peer: peer.name) for team in _teams(gap, able, MAX_PEERS)]
    return min(
        teams,
        key=lambda team: (
            len(team),
            -math.fsum(trust_in(agent, peer) for peer in team),
            [peer.name for peer in team],
        ),
        default=None,
    )


def _teams(gap: frozenset[str], able: Sequence[Agent], places: int) -> Iterator[list[Agent]]:
    """Yield every way to close a gap: somebody must have its first capability, so only those are tried for it."""
    if not gap:
        yield []
        return
    if places == 0:
        return
    first = min(gap)
    for peer in able:
        if first in peer.capabilities:
            for rest in _teams(gap.difference(peer.capabilities), able, places - 1):
                yield [peer, *rest]
