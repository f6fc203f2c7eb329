"""How a consensus is sought, as data: the rule, what is enough, how many rounds."""

from __future__ import annotations

from dataclasses import dataclass

from ...state.votes import Outcome
from ..arguments import check_count, check_seconds, check_share, one_of
from ..voting import RULES, agreed

__all__ = ["Procedure", "margin_of"]


@dataclass(frozen=True, slots=True)
class Procedure:
    """How a consensus is sought.

    The default is what the literature supports: drafts that are written independently, then a vote that is cast
    independently. Only when that was not enough do the voters see each other's votes and reasons and vote again, until it
    is enough, nothing moves any more, or the rounds are used up. More talk before the first vote (`debate`) mostly makes
    agents more alike, not more right.

    Args:
        rule: `plurality`, `weighted` (the agents' weights), `log_odds` (their accuracies), `unanimous` or `ranked`.
        method: For `ranked`: `schulze` (the default) or `borda`.
        on_tie: An option that wins ties; see `adjourn.nodes.voting.decide`.
        threshold: The smallest level that is enough, 0-1.
        min_margin: How far the first option must lead the second, 0-1.
        min_votes: How many votes must have counted.
        max_rounds: The most rounds, each with a vote.
        drafts: Whether agents write drafts before the first vote. Where no options are given the drafts are the options, so
            they are written in any case.
        debate: Turns before the first vote in which each agent sees the others' drafts and may change its own.
        anonymous: Whether agents see the drafts, votes and reasons of others without their names.
        until_stuck: Whether to stop when a round changed no vote, as further rounds would hardly change one either.
        timeout: Seconds that an agent has for one answer; one that is slower abstains.

    Raises:
        InvalidInput: A part does not fit; the message says what would.
    """

    rule: str = "plurality"
    method: str | None = None
    on_tie: str | None = None
    threshold: float = 0.7
    min_margin: float = 0.0
    min_votes: int = 1
    max_rounds: int = 5
    drafts: bool = True
    debate: int = 0
    anonymous: bool = False
    until_stuck: bool = True
    timeout: float = 60.0

    def __post_init__(self) -> None:
        one_of("voting rule", self.rule, RULES)
        check_share("threshold", self.threshold)
        check_share("min_margin", self.min_margin)
        check_count("min_votes", self.min_votes, 1)
        check_count("max_rounds", self.max_rounds, 1)
        check_count("debate", self.debate, 0)
        check_seconds("timeout", self.timeout)

    def enough(self, outcome: Outcome) -> bool:
        """Say whether an outcome is a consensus."""
        return agreed(outcome, self.threshold, min_votes=self.min_votes) and margin_of(outcome) >= self.min_margin


def margin_of(outcome: Outcome) -> float:
    """Return how far the first option leads the second, as a share of what counts, 0-1.

    For rankings it is the winner's smallest pairwise lead; where nothing is decided it is 0.
    """
    counted = sum(each["weight"] for each in outcome["counted"])
    if outcome["tied"] or (outcome["decision"] is None and outcome["pairwise"] is not None) or not counted:
        return 0.0
    if outcome["pairwise"] is not None:
        row, table = outcome["pairwise"][str(outcome["decision"])], outcome["pairwise"]
        lead = min(count - table[rival][str(outcome["decision"])] for rival, count in row.items())
        return min(1.0, max(0.0, lead / counted))
    first, second = sorted(outcome["tally"].values(), reverse=True)[:2]
    return min(1.0, max(0.0, (first - second) / counted))
