"""The rules that count votes for one option each: plurality, weighted, log_odds, unanimous.

Sources: the Marquis de Condorcet, Essai sur l'application de l'analyse à la probabilité des décisions (1785), for the
plurality of two options; S. Nitzan and J. Paroush, "Optimal decision rules in uncertain dichotomous choice situations",
International Economic Review 23 (1982), 289-297, for log_odds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ...state.votes import AgentVote, Counted, Outcome, Silence
from .arguments import check_accuracies, check_weights
from .polling import Poll, dissent, quoted

__all__ = ["CEILING", "FLOOR", "log_odds", "odds", "plurality", "unanimous", "weighted"]

FLOOR, CEILING = Fraction(1, 100), Fraction(99, 100)
"""Accuracies are clipped to these, so that no agent's vote is worth infinitely much."""


def plurality(ballots: Poll) -> Outcome:
    """Count every vote as 1; the option with the most votes wins, and a tie is no decision.

    Level: the votes of the largest group ÷ all valid votes.
    """
    return _by_sum(
        "plurality",
        ballots,
        dict.fromkeys(ballots.agents, Fraction(1)),
        guarantee="Whoever counts, in whatever order, gets the same decision. When the voters are right more often "
        "than not and independent of each other, more voters are right more often (Condorcet). Fewer than half of "
        "the voters cannot overrule the rest when the rest agree; confidence does not count.",
    )


def weighted(ballots: Poll, weights: Mapping[str, Any] | None) -> Outcome:
    """Count each vote with its given weight; the heaviest option wins, and a tie is no decision.

    Level: the weight of the largest group ÷ the weight of all valid votes.

    Args:
        ballots: The votes.
        weights: Agent → weight; None for the weights in the votes.

    Raises:
        InvalidInput: A weight is missing, no number, or negative, or all are 0.
    """
    return _by_sum(
        "weighted",
        ballots,
        check_weights(ballots.given_weights if weights is None else weights, ballots.agents),
        guarantee="Voters with less than half of the weight cannot overrule the rest when the rest agree. The result is "
        "as good as the given weights; a voter with more than half of the weight decides alone.",
    )


def odds(accuracy: Fraction, options: int) -> Fraction:
    """Return p(m - 1) ÷ (1 - p), the odds of which the logarithm is a vote's weight.

    Args:
        accuracy: How often the agent is right, p; clipped to 0.01-0.99.
        options: How many options there are, m.

    Returns:
        Above 1 for an agent that is better than chance, 1 for one that guesses, below 1 for one that is worse.
    """
    p = min(max(accuracy, FLOOR), CEILING)
    return p * (options - 1) / (1 - p)


def log_odds(ballots: Poll, accuracies: Mapping[str, Any] | None) -> Outcome:
    """Weigh each vote by what its agent's accuracy p says: log(p(m - 1) ÷ (1 - p)) for m options.

    With two options, the vote of an agent with p < 0.5 counts for the other option. With more, a vote whose weight would
    be negative (p < 1/m) is dropped. A vote of weight 0 (p = 1/m) says nothing and is dropped too. Comparisons are made
    on the exact products of the odds, not on sums of rounded logarithms.

    Level: the weight of the largest group ÷ the weight of all votes that count.

    Args:
        ballots: The votes.
        accuracies: Agent → how often it is right, 0-1.

    Raises:
        InvalidInput: An accuracy is missing or not between 0 and 1.
    """
    known = check_accuracies(accuracies, ballots.agents)
    counted: list[Counted] = []
    dropped: list[Silence] = []
    strength: dict[str, Fraction] = {}
    for vote, own in _named(ballots):
        option, worth = _turned(own, odds(known[vote["agent"]], len(ballots.options)), ballots.options)
        if worth > 1:
            counted.append({"agent": vote["agent"], "option": option, "weight": math.log(worth)})
            strength[option] = strength.get(option, Fraction(1)) * worth
        else:
            chance = f"is no better than guessing among {len(ballots.options)} options"
            dropped.append({"agent": vote["agent"], "cause": f"its accuracy {float(known[vote['agent']]):g} {chance}"})
    # fsum rounds once, at the end: no order of its terms changes the sum
    tally = {name: math.fsum(each["weight"] for each in counted if each["option"] == name) for name in ballots.options}
    total = math.fsum(each["weight"] for each in counted)
    return _outcome(
        "log_odds",
        ballots,
        counted,
        strength=strength,
        tally=tally,
        level_of=lambda name: min(1.0, tally[name] / total),
        dropped=dropped,
        guarantee="No rule is right more often when the voters are independent, their accuracies are known, errors fall "
        "on all wrong options alike and no option is likelier beforehand (Nitzan and Paroush). Faulty voters cannot "
        "overrule the rest while their log-odds are less in sum; wrong accuracies void the promise.",
    )


def unanimous(ballots: Poll) -> Outcome:
    """Decide only what every valid vote is for; abstentions do not stand in the way.

    Level: the votes of the largest group ÷ all valid votes. An even split, like any split, is no decision.
    """
    outcome = _by_sum(
        "unanimous",
        ballots,
        dict.fromkeys(ballots.agents, Fraction(1)),
        guarantee="A decision is wrong only if every single voter is. One voter is enough to prevent a decision.",
    )
    split = {name: votes for name, votes in outcome["tally"].items() if votes}
    if len(split) > 1:
        outcome["decision"], outcome["dissent"] = None, []
        groups = ", ".join(f"{votes:g} for '{name}'" for name, votes in sorted(split.items()))
        outcome["why"] = (
            f"The votes are split ({groups}), and one vote against is enough. Vote again, ask a person, or choose a rule "
            "that decides splits, such as plurality."
        )
    return outcome


def _named(ballots: Poll) -> list[tuple[AgentVote, str]]:
    """Return the valid votes that name one option; a ranking may put several first."""
    return [(vote, vote["decision"]) for vote in ballots.valid if vote["decision"] is not None]


def _turned(option: str, worth: Fraction, options: list[str]) -> tuple[str, Fraction]:
    """Let the vote of an agent that is wrong more often than right count for the other of two options."""
    if worth >= 1 or len(options) > 2:
        return option, worth
    return next(other for other in options if other != option), 1 / worth


def _by_sum(rule: str, ballots: Poll, weights: Mapping[str, Fraction], *, guarantee: str) -> Outcome:
    strength: dict[str, Fraction] = {}
    for vote, option in _named(ballots):
        strength[option] = strength.get(option, Fraction(0)) + weights[vote["agent"]]
    total = sum(strength.values())
    return _outcome(
        rule,
        ballots,
        [
            {"agent": vote["agent"], "option": own, "weight": float(weights[vote["agent"]])}
            for vote, own in _named(ballots)
        ],
        strength={name: amount for name, amount in strength.items() if amount},
        tally={name: float(strength.get(name, 0)) for name in ballots.options},
        level_of=lambda name: float(strength[name] / total),
        guarantee=guarantee,
    )


def _outcome(
    rule: str,
    ballots: Poll,
    counted: list[Counted],
    *,
    strength: Mapping[str, Fraction],
    tally: dict[str, float],
    level_of: Callable[[str], float],
    guarantee: str,
    dropped: list[Silence] | None = None,
) -> Outcome:
    """Make the outcome: `strength` (exact) is compared, `tally` is shown."""
    most = max(strength.values(), default=None)
    leaders = [name for name in ballots.options if name in strength and strength[name] == most]
    level = level_of(leaders[0]) if leaders else 0.0
    decision = leaders[0] if len(leaders) == 1 else None
    cause = "its ranking has no single first place, which this rule needs"
    silent: list[Silence] = [
        {"agent": vote["agent"], "cause": cause} for vote in ballots.valid if vote["decision"] is None
    ]
    return {
        "rule": rule,
        "decision": decision,
        "level": level,
        "tally": tally,
        "pairwise": None,
        "tied": sorted(leaders) if len(leaders) > 1 else [],
        "counted": counted,
        "dissent": dissent((vote for vote, _ in _named(ballots)), decision),
        "abstained": sorted([*ballots.abstained, *silent], key=lambda each: each["agent"]),
        "dropped": dropped or [],
        "why": _why(leaders, tally, level),
        "guarantee": guarantee,
    }


def _why(leaders: list[str], tally: Mapping[str, float], level: float) -> str:
    if not leaders:
        return "No vote counts, so nothing is decided."
    total = math.fsum(tally.values())
    if len(leaders) > 1:
        return f"{quoted(sorted(leaders))} have {tally[leaders[0]]:.4g} each of {total:.4g}: a tie is no decision."
    return f"'{leaders[0]}' has {tally[leaders[0]]:.4g} of {total:.4g} ({level:.0%})."
