"""Summary: one to three sentences that really stand in the text.

Each sentence is worth what its content words are, by how often they occur in the whole text (after Luhn, "The automatic
creation of literature abstracts", 1958), damped by its length; more if it opens the text. The best are kept in
the order of the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log1p, sqrt
from typing import Final

from .lexicon import load_words
from .text import Sentence

__all__ = ["summarise"]

MAX_SENTENCES: Final = 3
# One sentence is kept for every five of the text, so that a note of three sentences is not its own summary.
SENTENCES_PER_PICK: Final = 5
FEWEST_WORDS: Final = 6
MOST_WORDS: Final = 45
OPENING: Final = 1.5
# What begins with a small letter is mostly the rest of a line that was cut.
FRAGMENT: Final = 0.5


def summarise(sentences: Sequence[Sentence]) -> str:
    """Pick the sentences that say the most.

    Args:
        sentences: The text's own sentences in their order.

    Returns:
        One to three of them, joined by blanks, each as it stands in the text (runs of white space are one blank);
        an empty string if there are none.
    """
    body = [s for s in sentences if not s.heading] or list(sentences)
    usual = [s for s in body if FEWEST_WORDS <= len(s.words) <= MOST_WORDS] or body
    if not usual:
        return ""
    counts = Counter(word for sentence in body for word in _content(sentence))
    picks = min(MAX_SENTENCES, max(1, round(len(body) / SENTENCES_PER_PICK)))
    worth = {at: _worth(sentence, counts) for at, sentence in enumerate(usual)}
    worth[0] *= OPENING
    best = sorted(worth, key=lambda at: (-worth[at], at))
    kept: list[int] = []
    for at in best:
        if len(kept) < picks and usual[at].text not in {usual[other].text for other in kept}:
            kept.append(at)
        if len(kept) == picks:
            break
    return " ".join(usual[at].text for at in sorted(kept))


def _content(sentence: Sentence) -> list[str]:
    stop = load_words("stopwords")
    return [word for word in sentence.words if word not in stop and len(word) > 2]


def _worth(sentence: Sentence, counts: Counter[str]) -> float:
    words = _content(sentence)
    value = sum(log1p(counts[word]) for word in sorted(set(words))) / sqrt(len(words) + 1)
    return value * (FRAGMENT if sentence.text[0].islower() else 1.0)
