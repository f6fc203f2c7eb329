"""Risk: how much can be lost if nobody acts on what the text says?

`risk.json` lists terms of danger with the part of the scale that each is worth (0 to 1), and terms that take danger
away. The risk of a sentence is 1 − Π(1 − weight) over its terms (noisy or: each is a separate way to lose), lowered by
what reassures in the same sentence. The risk of the text is the fourth root of the sum of fourth powers over its
sentences: the worst sentences decide, and many harmless ones do not add up to a danger. A negated danger reassures.

Evidence is every sentence read and every distinct term found; reassurance beside danger widens the spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, prod
from typing import Final

from ...state.analysis import Level
from .confidence import Scale, within
from .lexicon import load_lexicon
from .text import Sentence

__all__ = ["judge_risk"]

SCALE: Final[Scale[Level]] = Scale(("low", "medium", "high"), (0.0, 0.29, 0.7, 1.0))
POWER: Final = 4
SPREAD: Final = 0.35
# How much wider the spread gets when half of the evidence speaks against the other half.
CONFLICT: Final = 1.0
# What reassurance of weight 1 takes away from the danger in its sentence.
RELIEF: Final = 0.6
FULL_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one sentence says about risk: the danger in it, the relief, and the terms found."""

    size: float
    danger: float
    relief: float
    terms: tuple[str, ...]


def judge_risk(sentences: Sequence[tuple[Sentence, float]]) -> tuple[Level, float]:
    """Judge the risk.

    Args:
        sentences: The sentences, each with its weight (1 for the text's own, more for people's notes).

    Returns:
        The risk level and the confidence in it, 0 to 1. The order of the sentences plays no part.
    """
    readings = [_read(sentence, weight) for sentence, weight in sentences]
    score = fsum(r.danger**POWER * r.size for r in readings) ** (1 / POWER)
    score = SCALE.clip(score)
    danger = fsum(r.danger * r.size for r in readings)
    relief = fsum(r.relief * r.size for r in readings)
    both = danger + relief
    conflict = 2 * min(danger, relief) / both if both else 0.0
    terms = {term for reading in readings for term in reading.terms}
    evidence = fsum(r.size for r in readings) + len(terms)
    return SCALE.label(score), within(SCALE, score, spread=SPREAD * (1 + CONFLICT * conflict), evidence=evidence)


def _read(sentence: Sentence, weight: float) -> _Reading:
    dangers: list[float] = []
    relief = 0.0
    terms: list[str] = []
    for hit in load_lexicon("risk").find(sentence.tokens):
        terms.append(hit.term)
        if (hit.label == "danger") != hit.negated:
            dangers.append(hit.weight if hit.label == "danger" else hit.weight / 2)
        else:
            relief += hit.weight
    size = weight * min(1.0, len(sentence.words) / FULL_WORDS)
    danger = 1.0 - prod(1.0 - weight for weight in dangers)
    return _Reading(size, danger * (1.0 - RELIEF * min(1.0, relief)), relief, tuple(terms))
