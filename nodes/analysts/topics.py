"""Topics: the main theme of a text, and the phrases that it is about.

The theme is the one of `topics.json` whose terms give the most evidence. A term counts with the square root of how
often it occurs: the tenth "agreement" says less than the first. The confidence is `lead` over all themes.
The phrases are those of one to three content words that come back most often, longer ones first (the idea of RAKE:
a phrase stands between stop words; Rose et al., "Automatic keyword extraction from individual documents", 2010).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from math import fsum, sqrt
from typing import Final

from .confidence import lead
from .lexicon import load_lexicon, load_words, stem
from .text import BREAK, Sentence

__all__ = ["OTHER", "THEMES", "judge_topics"]

THEMES: Final = ("contract", "incident", "release", "support")
# The main topic of a text with no sign of any theme.
OTHER: Final = "other"
MAX_PHRASES: Final = 4
PHRASE_WORDS: Final = 3
SHORTEST_WORD: Final = 3
# Of a long text only so many phrases are compared for shared words.
CANDIDATES: Final = 100


def judge_topics(sentences: Sequence[tuple[Sentence, float]]) -> tuple[list[str], float]:
    """Find the main theme and the key phrases.

    Args:
        sentences: The sentences, each with its weight (at most 1 for the text's own, more for people's notes).

    Returns:
        The topics, the main theme first, and the confidence in that theme, 0 to 1. The order of the sentences plays
        no part: equal counts are put in the order of the alphabet.
    """
    evidence = _evidence(sentences)
    theme = max(THEMES, key=lambda name: evidence[name])
    confidence = lead(evidence, theme)
    if not any(evidence.values()):
        theme = OTHER
    return [theme, *key_phrases(sentence for sentence, _ in sentences)], confidence


def _evidence(sentences: Sequence[tuple[Sentence, float]]) -> dict[str, float]:
    counts: defaultdict[tuple[str, str, float], float] = defaultdict(float)
    for sentence, weight in sentences:
        for hit in load_lexicon("topics").find(sentence.tokens):
            counts[hit.label, hit.term, hit.weight] += weight
    return {
        theme: fsum(weight * sqrt(count) for (label, _, weight), count in counts.items() if label == theme)
        for theme in THEMES
    }


def key_phrases(sentences: Iterator[Sentence]) -> list[str]:
    """Return up to four phrases that the sentences are about, the most telling first, in lower case."""
    counts: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        for run in _runs(sentence.tokens):
            for length in range(1, PHRASE_WORDS + 1):
                counts.update(run[at : at + length] for at in range(len(run) - length + 1))
    telling = [p for p, count in counts.items() if count > 1] or list(counts)
    ranked = nsmallest(
        CANDIDATES,
        (phrase for phrase in telling if len("".join(phrase)) > SHORTEST_WORD),
        key=lambda phrase: (-_telling(phrase, counts[phrase]), phrase),
    )
    return _distinct(ranked)


def _telling(phrase: tuple[str, ...], count: int) -> float:
    # A phrase that occurs once is telling only as far as its words are; repetition is what makes a topic.
    return count * len(phrase) if count > 1 else 1 / len(phrase)


def _distinct(ranked: list[tuple[str, ...]]) -> list[str]:
    """Keep the best phrases that share no word with a better one or with a theme's name."""
    taken = {stem(theme) for theme in THEMES}
    kept: list[str] = []
    for phrase in ranked:
        stems = {stem(word) for word in phrase}
        if taken.isdisjoint(stems):
            kept.append(" ".join(phrase))
            taken.update(stems)
        if len(kept) == MAX_PHRASES:
            break
    return kept


def _runs(tokens: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the stretches of content words between stop words and clause ends."""
    stop = load_words("stopwords")
    run: list[str] = []
    for token in (*tokens, BREAK):
        if token == BREAK or token in stop or len(token) < SHORTEST_WORD:
            if run:
                yield tuple(run)
            run = []
        else:
            run.append(token)
