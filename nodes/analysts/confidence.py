"""How sure a rule may be: two pure formulas that turn counted evidence into a confidence.

Both grow with the amount of evidence that agrees, fall when evidence contradicts itself, and are worth no more than a
blind guess when there is none. Neither knows about texts.

*Names* (the main topic): `lead`. The evidence for each name is taken as a Poisson count of hints. The difference of two
such counts has the sum of both as its variance (Skellam, 1946) and is about normal, so the chance that the chosen
name is really ahead of one rival is Φ((own - rival) / √(own + rival + 2a)), where `a` is a prior that keeps a single
hint from being proof. The confidence is the product over all rivals.

*Scales* (sentiment, complexity, risk): `within`. The measured score is a mean of `evidence` observations, so its
error is about normal with the standard error spread / √evidence (central limit theorem). The confidence is the
probability that the true score lies in the band of the chosen label, given that it lies on the scale (a truncated
normal distribution). Without evidence this is the part of the scale that the band covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf, prod, sqrt
from typing import Final, Generic, TypeVar

__all__ = ["PRIOR", "Scale", "lead", "within"]

Label = TypeVar("Label", bound=str)

# How much evidence each name is given in advance, in clear hints. A half is Jeffreys' prior for a Poisson rate.
PRIOR: Final = 0.5
_NO_EVIDENCE: Final = 1e-6


@dataclass(frozen=True)
class Scale(Generic[Label]):
    """A scale of scores that is cut into bands, one for each label.

    Args:
        labels: The labels from the lowest band to the highest.
        edges: The ends of the scale and, between them, the edges of the bands, ascending.
    """

    labels: tuple[Label, ...]
    edges: tuple[float, ...]

    def clip(self, score: float) -> float:
        """Return the score, moved to the nearer end if it lies outside the scale."""
        return min(max(score, self.edges[0]), self.edges[-1])

    def label(self, score: float) -> Label:
        """Return the label of the band that holds the score; an edge belongs to the band above."""
        inner = self.edges[1:-1]
        return self.labels[sum(score >= edge for edge in inner)]


def lead(evidence: Mapping[str, float], label: str) -> float:
    """Return the confidence in one of several names.

    Args:
        evidence: For each possible name the evidence found for it, in clear hints, 0 or more.
        label: The name that was chosen; a key of `evidence`.

    Returns:
        0 to 1; with no evidence, 1 ÷ 2 for each rival.
    """
    own = evidence[label]
    rivals = (found for name, found in evidence.items() if name != label)
    return prod(_normal((own - rival) / sqrt(own + rival + 2 * PRIOR)) for rival in rivals)


def within(scale: Scale[Label], score: float, *, spread: float, evidence: float) -> float:
    """Return the confidence in the label that a score on a scale has.

    Args:
        scale: The scale and its bands.
        score: The measured score, on the scale.
        spread: The standard deviation of a single observation, in units of the scale, above 0.
        evidence: How many observations there were, 0 or more; fractions count.

    Returns:
        0 to 1.
    """
    error = spread / sqrt(max(evidence, _NO_EVIDENCE))
    chosen = scale.labels.index(scale.label(score))
    mass = _mass(score, error, scale.edges[chosen], scale.edges[chosen + 1])
    return min(1.0, mass / _mass(score, error, scale.edges[0], scale.edges[-1]))


def _mass(mean: float, error: float, low: float, high: float) -> float:
    return _normal((high - mean) / error) - _normal((low - mean) / error)


def _normal(deviation: float) -> float:
    return (1.0 + erf(deviation / sqrt(2.0))) / 2.0
