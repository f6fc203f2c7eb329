"""Sentiment: is the tone of a text negative, neutral or positive?

Two word lists work together. The general one is VADER's (Hutto and Gilbert, "VADER: A parsimonious rule-based model for
sentiment analysis of social media text", 2014): 7,200 words, each rated by ten people, from the wheel of
`vaderSentiment`. Only its data is used; its code was last released in 2020, and its list is made for social media
("party", "agreement", "interest" and "please" are praise there). `sentiment.json` comes first: words of business
mail, incident reports and release notes, and under "neutral" those that such texts use without feeling. The
alternatives are worse: NLTK downloads the same list when it runs, AFINN is smaller and older, TextBlob needs NLTK.

Each sentence is a small ballot: with positive words of weight p, negative ones of weight n and neutral mass m (more in
longer sentences) the shares are p / (p + n + m) and n / (p + n + m), the rest is neutral. The text's
ballot is the mean over its sentences, together with one sentence of prior that is split evenly. Score: positive minus
negative mass. Spread: the standard deviation of a vote of -1, 0 or +1 with these masses, so praise beside complaint
makes it large even where both cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import fsum, sqrt
from typing import Final

from ...state.analysis import Sentiment
from .confidence import Scale, within
from .lexicon import Lexicon, load_lexicon
from .text import Sentence

__all__ = ["judge_sentiment"]

SCALE: Final[Scale[Sentiment]] = Scale(("negative", "neutral", "positive"), (-1.0, -0.11, 0.11, 1.0))
# The neutral mass of a sentence: so many words weigh 1, half as much as a strong word. A single word of feeling
# says less in a clause of sixty words than in a remark of six.
NEUTRAL_WORDS: Final = 10
LEAST_NEUTRAL: Final = 0.5
# A sentence of at least this many words counts fully; an exclamation of one or two words counts in part.
FULL_WORDS: Final = 5
# A duty or a condition is not an event: "if the seller fails" complains of nothing. (Irrealis, as in Taboada et al.,
# "Lexicon-based methods for sentiment analysis", 2011.)
UNREAL: Final = frozenset({"if", "unless", "shall", "whether", "would", "could", "may", "might", "any", "should"})
UNREAL_PART: Final = 0.5
# VADER rates from -4 to 4, our strong words weigh 2; ratings under 1 are mostly chance.
RATING: Final = 0.4
LEAST_RATING: Final = 1.0
# A negated word turns around, weakly: "not bad" is less than "good".
NEGATED: Final = 0.5


def judge_sentiment(sentences: Sequence[tuple[Sentence, float]]) -> tuple[Sentiment, float]:
    """Judge the tone.

    Args:
        sentences: The sentences, each with its weight (at most 1 for the text's own, more for people's notes).

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


@cache
def _lexicon() -> Lexicon:
    """Return our own word list, filled up with VADER's for the words that ours does not know."""
    general: dict[str, tuple[str, float]] = {}
    lines = files("vaderSentiment").joinpath("vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        word, rating, *_ = line.split("\t")
        value = float(rating)
        if word.isalpha() and abs(value) >= LEAST_RATING:
            general[word] = ("positive" if value > 0 else "negative", abs(value) * RATING)
    return load_lexicon("sentiment").filled_up(general)


def _ballot(sentence: Sentence) -> tuple[float, float]:
    """Return the positive and the negative part of one sentence's vote."""
    plus = minus = 0.0
    real = 1.0 if UNREAL.isdisjoint(sentence.words) else UNREAL_PART
    for hit in _lexicon().find(sentence.tokens):
        if hit.label == "neutral":  # a phrase that is listed so that a word in it is not taken for feeling
            continue
        weight = hit.weight * real * (NEGATED if hit.negated else 1.0)
        if (hit.label == "positive") != hit.negated:
            plus += weight
        else:
            minus += weight
    whole = plus + minus + max(LEAST_NEUTRAL, len(sentence.words) / NEUTRAL_WORDS)
    return plus / whole, minus / whole
