"""One door to all rules: votes in, an outcome out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ...errors import InvalidInput
from ...state.votes import AgentVote, Outcome
from ..arguments import check_count, check_share, one_of
from .arguments import check_options
from .groups import log_odds, plurality, unanimous, weighted
from .polling import Poll, dissent, poll, quoted
from .rankings import METHODS, ranked

__all__ = ["RULES", "agreed", "decide"]

RULES: Final = ("plurality", "weighted", "log_odds", "unanimous", "ranked")
"""The names of the rules."""


def decide(
    rule: str,
    votes: Iterable[AgentVote],
    *,
    options: Sequence[str],
    weights: Mapping[str, float] | None = None,
    accuracies: Mapping[str, float] | None = None,
    method: str | None = None,
    on_tie: str | None = None,
) -> Outcome:
    """Count the votes of one round.

    A vote that does not fit the options is an abstention, and so are two different votes of one agent. Abstentions
    change nothing about the outcome of the other votes. The order of votes, and that of options, never matters.

    Args:
        rule: `plurality`, `weighted`, `log_odds`, `unanimous` or `ranked`.
        votes: One vote per agent, as `read_vote` makes them.
        options: The closed set of options, at least two.
        weights: For `weighted`: agent → weight, at least 0. Default: the weights in the votes.
        accuracies: For `log_odds`: agent → how often it is right, 0-1.
        method: For `ranked`: `schulze` (the default) or `borda`.
        on_tie: An option that wins the ties it has part in, such as the one that changes nothing. Default: a tie is no
            decision. Not for `unanimous`, which knows no ties.

    Returns:
        The outcome, JSON-safe. An even split is an outcome too: one without a decision, which says so in `why`.

    Raises:
        InvalidInput: An unknown rule, method or option; options that are no closed set; weights that are negative, 0 in
            sum, missing or no numbers; accuracies that are missing or not from 0 to 1; arguments that the rule ignores.
    """
    one_of("voting rule", rule, RULES)
    names = check_options(options)
    _check_fit(rule, weights=weights, accuracies=accuracies, method=method, on_tie=on_tie)
    if on_tie is not None:
        one_of("option", on_tie, names)
    # sorted, so that nothing can depend on how the caller listed them; shown in the caller's order
    ballots = poll(votes, sorted(names))
    outcome = _count(rule, ballots, weights, accuracies, method or METHODS[0])
    if on_tie is not None and on_tie in outcome["tied"]:
        outcome["decision"], outcome["dissent"] = on_tie, dissent(ballots.valid, on_tie)
        outcome["why"] = f"{quoted(outcome['tied'])} are level; '{on_tie}' wins ties by the rule given beforehand."
    outcome["tally"] = {name: outcome["tally"][name] for name in names}
    return outcome


def agreed(outcome: Outcome, threshold: float = 0.7, *, min_votes: int = 1) -> bool:
    """Say whether an outcome is enough to go on with.

    Args:
        outcome: What `decide` returned.
        threshold: The smallest level that is enough, 0-1; equal is enough.
        min_votes: How many votes must have counted. Levels leave abstentions out, so one vote among nine abstentions
            has level 1.

    Returns:
        Whether there is a decision, its level is enough, and enough votes counted.

    Raises:
        InvalidInput: `threshold` is not between 0 and 1, or `min_votes` is not a whole number of at least 1.
    """
    check_share("threshold", threshold)
    check_count("min_votes", min_votes, 1)
    return outcome["decision"] is not None and outcome["level"] >= threshold and len(outcome["counted"]) >= min_votes


def _check_fit(rule: str, **given: Any) -> None:
    """Refuse an argument that the rule would ignore; the caller means something else than what would happen."""
    meant_for: dict[str, tuple[str, ...]] = {
        "weights": ("weighted",),
        "accuracies": ("log_odds",),
        "method": ("ranked",),
    }
    meant_for["on_tie"] = tuple(name for name in RULES if name != "unanimous")
    for argument, rules in meant_for.items():
        if given[argument] is not None and rule not in rules:
            raise InvalidInput(
                f"The rule {rule!r} does not use {argument}; {' and '.join(map(repr, rules))} would. "
                f"Leave {argument} out, or choose the rule that you mean."
            )
    if given["method"] is not None:
        one_of("method of ranking", given["method"], METHODS)


def _count(rule: str, ballots: Poll, weights: Any, accuracies: Any, method: str) -> Outcome:
    if rule == "plurality":
        return plurality(ballots)
    if rule == "weighted":
        return weighted(ballots, weights)
    if rule == "log_odds":
        return log_odds(ballots, accuracies)
    if rule == "unanimous":
        return unanimous(ballots)
    return ranked(ballots, method)
