"""Risk: how much can be lost if nobody acts on what the text says?

`risk.json` lists terms of danger with the part of the scale that each is worth (0 to 1), and terms that take danger
away. The risk of a sentence is 1 - Π(1 - weight) over its terms (noisy or: each is a separate way to lose), lowered by
what reassures in the same sentence. The risk of the text is the fourth root of the sum of fourth powers over its
sentences: the worst sentences decide, and many harmless ones do not add up to a danger. A negated danger reassures.

Evidence is every distinct term found, less those that contradict them, and in part every sentence read; reassurance
beside danger widens the spread.
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
# Terms below this weight are nuisances; however many stand in a sentence, they are worth this much at most.
SERIOUS: Final = 0.5
MOST_MILD: Final = 0.6
# In a text of more sentences than this, nuisances count as a mean over the sentences and no more as a sum: every long
# text has some.
FEW_SENTENCES: Final = 10
# What reassurance of weight 1 takes away from the danger in its sentence.
RELIEF: Final = 0.6
FULL_WORDS: Final = 5
# What a sentence counts as evidence beside the terms in it. Dangers have more names than any list, so that a
# sentence in which none was found is half an observation at best.
QUIET: Final = 0.4


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one sentence says about risk: the danger in it, the relief, and the terms of both kinds."""

    size: float
    danger: float
    relief: float
    threats: tuple[str, ...]
    comforts: tuple[str, ...]


def judge_risk(sentences: Sequence[tuple[Sentence, float]]) -> tuple[Level, float]:
    """Judge the risk.

    Args:
        sentences: The sentences, each with its weight (at most 1 for the text's own, more for people's notes).

    Returns:
        The risk level and the confidence in it, 0 to 1. The order of the sentences plays no part.
    """
    thinness = min(1.0, (FEW_SENTENCES / max(1, len(sentences))) ** (1 / POWER))
    readings = [_read(sentence, weight, thinness) for sentence, weight in sentences]
    score = fsum(r.danger**POWER * r.size for r in readings) ** (1 / POWER)
    score = SCALE.clip(score)
    danger = fsum(r.danger * r.size for r in readings)
    relief = fsum(r.relief * r.size for r in readings)
    both = danger + relief
    conflict = 2 * min(danger, relief) / both if both else 0.0
    threats = {term for reading in readings for term in reading.threats}
    comforts = {term for reading in readings for term in reading.comforts}
    evidence = QUIET * fsum(r.size for r in readings) + abs(len(threats) - len(comforts))
    return SCALE.label(score), within(SCALE, score, spread=SPREAD * (1 + CONFLICT * conflict), evidence=evidence)


def _read(sentence: Sentence, weight: float, thinness: float) -> _Reading:
    dangers: list[float] = []
    relief = 0.0
    threats: list[str] = []
    comforts: list[str] = []
    for hit in load_lexicon("risk").find(sentence.tokens):
        if (hit.label == "danger") != hit.negated:
            dangers.append(hit.weight if hit.label == "danger" else hit.weight / 2)
            threats.append(hit.term)
        else:
            comforts.append(hit.term)
            relief += hit.weight
    size = weight * min(1.0, len(sentence.words) / FULL_WORDS)
    mild = 1.0 - prod(1.0 - value for value in dangers if value < SERIOUS)
    danger = 1.0 - (1.0 - thinness * min(MOST_MILD, mild)) * prod(1.0 - value for value in dangers if value >= SERIOUS)
    return _Reading(size, danger * (1.0 - RELIEF * min(1.0, relief)), relief, tuple(threats), tuple(comforts))
