"""Which strategy to begin with: the one with the best record, where a record is what can be relied on, not what was lucky.

A strategy that was tried once and did well is not known to be better than one that did nearly as well fifty times. So a
record is the mean score with bounds: the smallest and the largest true mean at which what was seen is not yet too
unlikely. Scores lie in 0-1, and for these the Chernoff-Hoeffding bound holds in its Kullback-Leibler form (W.
Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, 1963, Theorem 1): for n independent
attempts with mean m, a true mean below the smallest q with n kl(m, q) ≤ ln(1/DOUBT) has a probability of at most DOUBT,
and one above the largest q as well. The upper one is the index of KL-UCB (A. Garivier, O. Cappé, COLT 2011) at a fixed
level.

As long as something is known to be good enough in the mean, the rule is the cautious one: the highest lower bound. It is the
choice whose promise is the highest that the records support (P. Rashidinejad et al., "Bridging Offline Reinforcement
Learning and Imitation Learning: A Tale of Pessimism", NeurIPS 2021), and nothing is tried out at a user's expense. A
strategy that is poor in a share of the runs gives others their chance in these, by adapting. When nothing known is good
enough, the rule is the hopeful one: what could still be the best, so what was never tried comes first, and bad luck
locks nothing out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..arguments import is_number

__all__ = ["DOUBT", "GOOD", "RUNS", "Standing", "bounds", "by_record", "standings"]

DOUBT: Final = 0.1
"""How probable it may be that a strategy's true mean score is below its bound."""

RUNS: Final = 100
"""How many of the last runs of a type of task count: what was long ago may not hold any more."""

GOOD: Final = 0.5
"""The smallest score of an attempt that was good in everything; see `rules.score`."""

_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """The record of a strategy: how many attempts count, their mean score, and the bounds of its true mean."""

    attempts: int
    mean: float
    at_least: float
    at_most: float


def standings(runs: Iterable[Mapping[str, Any]]) -> dict[str, Standing]:
    """Return the records of strategies.

    Args:
        runs: What was remembered of each run: `attempts`, a list of `strategy` and `score`. What cannot be read is left out.
    """
    scores: dict[str, list[float]] = {}
    for run in runs:
        attempts = run.get("attempts")
        for attempt in attempts if isinstance(attempts, list) else ():
            if _counts(attempt):
                scores.setdefault(str(attempt["strategy"]), []).append(float(attempt["score"]))
    found = {}
    for name, each in scores.items():
        mean = math.fsum(each) / len(each)
        found[name] = Standing(len(each), mean, *bounds(mean, len(each)))
    return found


def _counts(attempt: Any) -> bool:
    known = isinstance(attempt, Mapping) and "strategy" in attempt and is_number(attempt.get("score"))
    return known and 0 <= attempt["score"] <= 1


def by_record(known: Mapping[str, Standing], order: Sequence[str]) -> list[str]:
    """Return the strategies of an order, the one to begin with first; a pure function.

    First those whose mean score is that of a good attempt (`GOOD`), by their lower bounds; then the others by their upper
    bounds, where of one that was never tried everything can be hoped for. Equals stay in order.

    Args:
        known: What `standings` returned.
        order: The strategies that may be tried.
    """

    def rank(name: str) -> tuple[int, float]:
        standing = known.get(name)
        if standing is None:
            return 1, -1.0
        return (0, -standing.at_least) if standing.mean >= GOOD else (1, -standing.at_most)

    return sorted(order, key=rank)


def bounds(mean: float, attempts: int, doubt: float = DOUBT) -> tuple[float, float]:
    """Return the smallest and the largest q with attempts x kl(mean, q) ≤ ln(1/doubt).

    Args:
        mean: The mean of scores, 0-1.
        attempts: How many scores, at least 1.
        doubt: How probable it may be that the true mean is beyond a bound, above 0 and below 1.
    """
    allowed = math.log(1 / doubt) / attempts
    return _furthest(mean, 0.0, allowed), _furthest(mean, 1.0, allowed)


def _furthest(mean: float, end: float, allowed: float) -> float:
    """Return how far one can go from a mean to an end until the divergence is more than allowed."""
    if _divergence(mean, end) <= allowed:
        return end
    inside, outside = mean, end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if _divergence(mean, middle) > allowed:
            outside = middle
        else:
            inside = middle
    return inside


def _divergence(p: float, q: float) -> float:
    """Return the Kullback-Leibler divergence of two Bernoulli distributions."""
    found = 0.0
    if p > 0:
        if q <= 0:
            return math.inf
        found += p * math.log(p / q)
    if p < 1:
        if q >= 1:
            return math.inf
        found += (1 - p) * math.log((1 - p) / (1 - q))
    return found
