"""Word lists: loading them, and finding their terms in sentences.

A list is a JSON file beside this module: `{label: {weight: [term, …]}}`. A term is one word or a phrase and is compared
by stem (Snowball's English stemmer), so "indemnify" also finds "indemnified".
A term that ends in "!" is compared as it is written, for words whose stem means something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any, Final

from .text import BREAK, Sentence

__all__ = ["Hit", "Lexicon", "load_lexicon", "load_words", "readable", "stem"]

# How many words before a term a negation reaches, and how far the start of a word tells its stem: the stemmer
# changes endings only, so words that share no start with any term need not be stemmed at all.
REACH: Final = 4
START: Final = 3
LONGEST_WORD: Final = 40
# At least this part of the words of English prose are function words, even in terse notes.
PROSE_SHARE: Final = 0.2

_NEGATIONS = frozenset({
    "no", "not", "never", "none", "nobody", "nothing", "without", "neither", "nor", "cannot", "hardly", "zero",
    "prevent", "prevents", "prevented", "avoid", "avoids", "avoided",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hit:
    """A term that was found.

    Args:
        term: The stems of the term, joined by blanks.
        label: The label that the term speaks for.
        weight: How clearly it does, above 0.
        negated: Whether a negation stands shortly before it in the same clause.
    """

    term: str
    label: str
    weight: float
    negated: bool


@dataclass(frozen=True)
class Lexicon:
    """A loaded word list.

    Args:
        terms: Stems of a term → its label and weight.
        longest: First stem of a term → words of the longest term that begins with it.
        starts: The first letters that any word of a term can have.
    """

    terms: dict[tuple[str, ...], tuple[str, float]]
    longest: dict[str, int]
    starts: frozenset[str]

    def filled_up(self, words: Mapping[str, tuple[str, float]]) -> Lexicon:
        """Return a list that also finds these single words, as they are written, unless this one knows their stem.

        Args:
            words: Word in lower case → label and weight.
        """
        extra = {(f"{word}!",): entry for word, entry in words.items() if (stem(word),) not in self.terms}
        return Lexicon(extra | self.terms, self.longest, self.starts | {word[:START] for word in words})

    def find(self, tokens: tuple[str, ...]) -> Iterator[Hit]:
        """Find the terms in a sentence; of two that overlap, the longer one counts.

        Args:
            tokens: The sentence's tokens, see `Sentence.tokens`.

        Yields:
            The hits, from left to right.
        """
        stems = [stem(token) if token[:START] in self.starts else "" for token in tokens]
        at = 0
        while at < len(tokens):
            length, entry = self._at(tokens, stems, at)
            if entry is not None:
                yield Hit(" ".join(stems[at : at + length]), entry[0], entry[1], _negated(tokens, at))
            at += length

    def _at(self, tokens: tuple[str, ...], stems: list[str], at: int) -> tuple[int, tuple[str, float] | None]:
        if not stems[at]:
            return 1, None
        for length in range(self.longest.get(stems[at], 0), 0, -1):
            entry = self.terms.get(tuple(stems[at : at + length]))
            if entry is not None:
                return length, entry
        entry = self.terms.get((tokens[at] + "!",))
        return 1, entry


def _negated(tokens: tuple[str, ...], at: int) -> bool:
    for back in range(at - 1, max(-1, at - 1 - REACH), -1):
        token = tokens[back]
        if token == BREAK:
            return False
        if token in _NEGATIONS or token.endswith("n't"):
            return True
    return False


# A stemmer keeps the word that it works on: two threads at once would get each other's stems, or an error.
_STEMMING: Final = Lock()


@cache
def _stemmer() -> Any:
    # Loading all languages of the package takes ten milliseconds: not before the first text is read.
    from snowballstemmer.english_stemmer import EnglishStemmer

    return EnglishStemmer()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem of a word in lower case; very long "words" are returned as they are."""
    if len(word) > LONGEST_WORD:
        return word
    with _STEMMING:
        return str(_stemmer().stemWord(word))


@cache
def load_lexicon(name: str) -> Lexicon:
    """Load the word list `<name>.json`, once per process."""
    raw: dict[str, dict[str, list[str]]] = _read(name)
    terms: dict[tuple[str, ...], tuple[str, float]] = {}
    for label, by_weight in raw.items():
        for weight, listed in by_weight.items():
            for term in listed:
                key = (term,) if term.endswith("!") else tuple(stem(word) for word in term.split())
                terms[key] = (label, float(weight))
    longest: dict[str, int] = {}
    for first, *rest in terms:
        longest[first] = max(longest.get(first, 0), 1 + len(rest))
    return Lexicon(terms, longest, frozenset(word.removesuffix("!")[:START] for key in terms for word in key))


@cache
def load_words(name: str) -> frozenset[str]:
    """Load the plain list of words `<name>.json`, once per process."""
    words: list[str] = _read(name)
    return frozenset(words)


def readable(sentences: Sequence[Sentence]) -> float:
    """Return how far these sentences are English prose, which the word lists can say something about.

    Args:
        sentences: All sentences of a text.

    Returns:
        0 to 1: the share of function words ("the", "of", "is") as a part of what prose has at least. In another
        language, in a table or in a text of one word, finding no sign of danger or feeling says little.
    """
    common = load_words("stopwords")
    words = sum(len(sentence.words) for sentence in sentences)
    if not words:
        return 0.0
    known = sum(word in common for sentence in sentences for word in sentence.words)
    return min(1.0, known / words / PROSE_SHARE)


def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
