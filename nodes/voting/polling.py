"""The votes of one round, sorted out before any rule counts them: one per agent, each valid or silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidInput
from ...state.values import canonical_json
from ...state.votes import AgentVote, Dissent, Silence
from .reading import abstention, check_vote

__all__ = ["Poll", "dissent", "poll", "quoted"]


@dataclass(frozen=True, slots=True)
class Poll:
    """The votes of one round.

    Args:
        options: The closed set of options.
        valid: The valid votes, one per agent, sorted by agent.
        abstained: Who gave none, and why, sorted by agent.
        given_weights: Agent → the weight in its vote; those that abstained included.
    """

    options: list[str]
    valid: list[AgentVote]
    abstained: list[Silence]
    given_weights: dict[str, Any]

    @property
    def agents(self) -> list[str]:
        """Return everybody who was asked."""
        return sorted(self.given_weights)


def poll(votes: Iterable[Any], options: Sequence[str]) -> Poll:
    """Sort votes out. Two different votes of one agent are none: it contradicts itself.

    Raises:
        InvalidInput: A vote names no agent.
    """
    by_agent: dict[str, list[AgentVote]] = {}
    for vote in votes:
        agent = vote.get("agent") if isinstance(vote, Mapping) else None
        if not isinstance(agent, str) or not agent:
            raise InvalidInput(f"Each vote must name its agent; this one does not: {str(vote)[:200]}")
        by_agent.setdefault(agent, []).append(check_vote(vote, options))
    single = [_single(agent, by_agent[agent]) for agent in sorted(by_agent)]
    return Poll(
        options=list(options),
        valid=[vote for vote in single if vote["abstained"] is None],
        abstained=[{"agent": each["agent"], "cause": each["abstained"]} for each in single if each["abstained"]],
        given_weights={vote["agent"]: vote["weight"] for vote in single},
    )


def _single(agent: str, votes: list[AgentVote]) -> AgentVote:
    different = {canonical_json([vote["decision"], vote["ranking"]]) for vote in votes}  # type: ignore[list-item]
    weights = {str(vote["weight"]) for vote in votes}
    if len(weights) > 1:
        raise InvalidInput(f"The votes of {agent!r} have different weights: {', '.join(sorted(weights))}. Give one.")
    if len(different) > 1:
        return abstention(agent, f"gave {len(different)} votes that contradict each other", weight=votes[0]["weight"])
    return min(votes, key=lambda vote: (vote["reason"], vote["abstained"] or "", vote["confidence"] or 0))


def dissent(valid: Iterable[AgentVote], decision: str | None) -> list[Dissent]:
    """Return who put something else first than what was decided."""
    if decision is None:
        return []
    found: list[Dissent] = []
    for vote in valid:
        preferred = vote["ranking"][0] if vote["ranking"] else [vote["decision"] or ""]
        if preferred != [decision]:
            found.append({"agent": vote["agent"], "preferred": list(preferred), "reason": vote["reason"]})
    return found


def quoted(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence: 'a', 'b' and 'c'."""
    shown = [f"'{name}'" for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
