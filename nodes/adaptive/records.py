"""Which strategy to begin with: the one with the best record, where a record is what can be relied on, not what was lucky.

A strategy that was tried once and did well is not known to be better than one that did nearly as well fifty times. So
strategies are compared by the lower confidence bound of their mean score, the smallest mean at which what was seen is not
yet too unlikely. Scores lie in 0-1, and for these the Chernoff-Hoeffding bound holds in its Kullback-Leibler form (W.
Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, 1963, Theorem 1): for n independent
attempts whose mean is m, P(m ≥ x) ≤ exp(-n kl(x, μ)) for each x > μ. The bound is therefore the smallest q with
n kl(m, q) ≤ ln(1/DOUBT); it is above the true mean with a probability of at most DOUBT. It is the lower twin of the index of
KL-UCB (A. Garivier, O. Cappé, COLT 2011).

Choosing by the lower bound is the cautious rule for data at hand (P. Rashidinejad et al., "Bridging Offline Reinforcement
Learning and Imitation Learning: A Tale of Pessimism", NeurIPS 2021): the promise of the choice is the highest that the
records support. It never tries something out at a user's expense. What is new is tried when what is known is not good
enough, which is what adapting is: a strategy that is poor in a share of the runs gives others their chance in these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..arguments import is_number

__all__ = ["DOUBT", "RUNS", "Standing", "by_record", "lower_bound", "standings"]

DOUBT: Final = 0.1
"""How probable it may be that a strategy's true mean score is below its bound."""

RUNS: Final = 100
"""How many of the last runs of a type of task count: what was long ago may not hold any more."""

_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """The record of a strategy: how many attempts count, their mean score, and the bound that its true mean is above."""

    attempts: int
    mean: float
    at_least: float


def standings(runs: Iterable[Mapping[str, Any]]) -> dict[str, Standing]:
    """Return the records of strategies.

    Args:
        runs: What was remembered of each run: `attempts`, a list of `strategy` and `score`. What cannot be read is left out.
    """
    scores: dict[str, list[float]] = {}
    for run in runs:
        for attempt in run.get("attempts") or []:
            if is_number(attempt.get("score")) and 0 <= attempt["score"] <= 1:
                scores.setdefault(str(attempt["strategy"]), []).append(float(attempt["score"]))
    found = {}
    for name, each in scores.items():
        mean = math.fsum(each) / len(each)
        found[name] = Standing(len(each), mean, lower_bound(mean, len(each)))
    return found


def by_record(known: Mapping[str, Standing], order: Sequence[str]) -> list[str]:
    """Return the strategies of an order that have a record, the best first; equals stay in order.

    Args:
        known: What `standings` returned.
        order: The strategies that may be tried.
    """
    return sorted((name for name in order if name in known), key=lambda name: -known[name].at_least)


def lower_bound(mean: float, attempts: int, doubt: float = DOUBT) -> float:
    """Return the smallest q with attempts x kl(mean, q) ≤ ln(1/doubt).

    Args:
        mean: The mean of scores, 0-1.
        attempts: How many scores, at least 1.
        doubt: How probable it may be that the true mean is smaller, above 0 and below 1.
    """
    allowed = math.log(1 / doubt) / attempts
    low, high = 0.0, mean
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _divergence(mean, middle) > allowed:
            low = middle
        else:
            high = middle
    return high


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
