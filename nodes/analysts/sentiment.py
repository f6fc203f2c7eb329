"""Sentiment: is the tone of a text negative, neutral or positive?

Why a word list of our own: the well-kept libraries have no fitting data, and those with data are not kept. NLTK's
VADER downloads its word list when it runs; vaderSentiment was last released in 2020. Both lists are made for social
media and read contracts wrongly ("party", "agreement", "interest" and "please" are praise there). `sentiment.json`
holds words of business mail, incident reports and release notes instead.

Each sentence is a small ballot: with positive words of weight p, negative ones of weight n and neutral mass m (more in
longer sentences) the shares are p / (p + n + m) and n / (p + n + m), the rest is neutral. The text's ballot is the mean over its sentences, together with one sentence
of prior that is split evenly. Score: positive − negative mass. Spread: the standard deviation of a vote of −1, 0 or
+1 with these masses, so praise beside complaint makes it large even where both cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from typing import Final

from ...state.analysis import Sentiment
from .confidence import Scale, within
from .lexicon import load_lexicon
from .text import Sentence

__all__ = ["judge_sentiment"]

SCALE: Final[Scale[Sentiment]] = Scale(("negative", "neutral", "positive"), (-1.0, -0.12, 0.12, 1.0))
# The neutral mass of a sentence: so many words weigh 1, half as much as a strong word. A single word of feeling
# says less in a clause of sixty words than in a remark of six.
NEUTRAL_WORDS: Final = 12
LEAST_NEUTRAL: Final = 0.5
# A sentence of at least this many words counts fully; an exclamation of one or two words counts in part.
FULL_WORDS: Final = 5
# A negated word turns around, weakly: "not bad" is less than "good".
NEGATED: Final = 0.5


def judge_sentiment(sentences: Sequence[tuple[Sentence, float]]) -> tuple[Sentiment, float]:
    """Judge the tone.

    Args:
        sentences: The sentences, each with its weight (1 for the text's own, more for people's notes).

    Returns:
        The sentiment and the confidence in it, 0 to 1. The order of the sentences plays no part.
    """
    ballots = [(weight * min(1.0, len(s.words) / FULL_WORDS), *_ballot(s)) for s, weight in sentences]
    total = fsum(weight for weight, _, _ in ballots) + 1.0
    positive = (fsum(weight * plus for weight, plus, _ in ballots) + 1 / 3) / total
    negative = (fsum(weight * minus for weight, _, minus in ballots) + 1 / 3) / total
    score = positive - negative
    spread = sqrt(positive + negative - score * score)
    return SCALE.label(score), within(SCALE, score, spread=spread, evidence=total - 1.0)


def _ballot(sentence: Sentence) -> tuple[float, float]:
    """Return the positive and the negative part of one sentence's vote."""
    plus = minus = 0.0
    for hit in load_lexicon("sentiment").find(sentence.tokens):
        if hit.label == "neutral":  # a phrase that is listed so that a word in it is not taken for feeling
            continue
        weight = hit.weight * (NEGATED if hit.negated else 1.0)
        if (hit.label == "positive") != hit.negated:
            plus += weight
        else:
            minus += weight
    whole = plus + minus + max(LEAST_NEUTRAL, len(sentence.words) / NEUTRAL_WORDS)
    return plus / whole, minus / whole
