"""Complexity: how hard is a text to read?

The score of a sentence is its Flesch-Kincaid grade, 0.39 · words + 11.8 · syllables ÷ words - 15.59 (Kincaid et al.,
"Derivation of new readability formulas", Research Branch Report 8-75, 1975), on a scale of 0 to 24 school years.
The score of the text is the mean over its sentences, weighted by their words. Spread: the standard deviation between
sentences, so that a text with easy and hard parts is judged with less confidence.

Why not a readability library: textstat needs NLTK, which downloads a dictionary when it runs. Syllables are counted
with Pyphen's hyphenation patterns, which textstat too falls back on, made complete by vowel groups: patterns leave
out breaks beside the first and the last letters, as in "e-vent".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from math import fsum, sqrt
from typing import Any, Final

from ...state.analysis import Level
from .confidence import Scale, within
from .text import Sentence

__all__ = ["grade", "judge_complexity", "syllables"]

SCALE: Final[Scale[Level]] = Scale(("low", "medium", "high"), (0.0, 6.5, 14.0, 24.0))
# What is assumed of the spread before any sentence is read: as much as two sentences four grades off would show.
PRIOR_SPREAD: Final = 4.0
PRIOR_SENTENCES: Final = 2.0
# This many words count as one observation; a short exclamation is less than one.
WORDS_PER_OBSERVATION: Final = 10
LONGEST_WORD: Final = 30
MOST_WORDS: Final = 50_000

_VOWELS = re.compile(r"[aeiouy\u00e0-\u00ff]+")
_SILENT = re.compile(r"(?:[^aeiouyl]e|[^td]ed|[^aeiouylscgxz]es)$")


def judge_complexity(sentences: Sequence[Sentence], *, trust: float = 1.0) -> tuple[Level, float]:
    """Judge how hard the sentences are to read.

    Args:
        sentences: The text's own sentences; headings are left out, and people's notes are no part of the text.
            Of very long texts an even sample of about `MOST_WORDS` words is read.
        trust: The part of the evidence that counts, 0 to 1; less than 1 where the formula may not fit the language.

    Returns:
        The complexity and the confidence in it, 0 to 1. The order of the sentences plays no part.
    """
    body = [sentence for sentence in sentences if not sentence.heading]
    step = 1 + sum(len(sentence.words) for sentence in body) // MOST_WORDS
    graded = [(float(len(sentence.words)), SCALE.clip(grade(sentence))) for sentence in body[::step]]
    words = fsum(weight for weight, _ in graded)
    if not words:
        return "low", within(SCALE, 0.0, spread=PRIOR_SPREAD, evidence=0.0)
    score = fsum(weight * value for weight, value in graded) / words
    variance = fsum(weight * (value - score) ** 2 for weight, value in graded) / words
    count = words * words / fsum(weight * weight for weight, _ in graded)
    spread = sqrt((PRIOR_SENTENCES * PRIOR_SPREAD**2 + count * variance) / (PRIOR_SENTENCES + count))
    return SCALE.label(score), within(SCALE, score, spread=spread, evidence=trust * words / WORDS_PER_OBSERVATION)


def grade(sentence: Sentence) -> float:
    """Return the Flesch-Kincaid grade of one sentence, in school years; it can be below 0."""
    count = len(sentence.words)
    spoken = sum(syllables(word) for word in sentence.words)
    return 0.39 * count + 11.8 * spoken / count - 15.59


@cache
def _patterns() -> Any:
    # Reading the patterns takes forty milliseconds: not before the first text is read.
    from pyphen import Pyphen

    return Pyphen(lang="en_US", left=1, right=1)


@lru_cache(maxsize=50_000)
def syllables(word: str) -> int:
    """Return about how many syllables an English word in lower case has, at least 1."""
    groups = len(_VOWELS.findall(word)) - bool(_SILENT.search(word))
    if len(word) > LONGEST_WORD:
        return max(1, groups)
    return max(1, groups, len(_patterns().positions(word)) + 1)
