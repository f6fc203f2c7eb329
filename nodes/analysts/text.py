"""Texts cut into sentences and words, once for all areas.

Cutting follows punctuation and layout only, so it is the same on every machine and needs no model. Plain text and
Markdown are understood: headings and list items are sentences of their own, table rules and code fences are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

__all__ = ["BREAK", "MAX_WORDS", "Sentence", "cut"]

# Stands between tokens where a clause ends; negations do not reach across it.
BREAK: Final = ","
# A longer stretch without punctuation is no sentence (a log, a table, a hostile input); it is cut here, so that no
# later step meets a sentence of a megabyte.
MAX_WORDS: Final = 120
LONGEST_ABBREVIATION: Final = 12
MAX_LETTERS: Final = 2000
# A paragraph of fewer words than this that ends without a punctuation mark is a title or a label.
TITLE_WORDS: Final = 10

_TOKEN = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019](?=[^\W\d_]))*|[,;:()\u2013\u2014]")
_NUMBER = r"\(?\d{1,3}(?:(?:\.\d{1,3}){0,4}[.)]|(?:\.\d{1,3}){1,4})"
_MARKER = re.compile(rf"(?:[-*+\u2022>|]{{1,4}}|#{{1,6}}|{_NUMBER})\s+")
_NOISE = re.compile(r"[\s|:=*_`~-]*$")
_END = re.compile(r"(?<=[.!?\u2026])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9\u00c0-\u00de])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|cf|vs|no|nos|art|sec|par|fig|mr|mrs|ms|dr|prof|inc|ltd|co|corp|st|approx)\.$",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)
_HEADING = re.compile(r"^(\s{0,3}#{1,6}\s.*)$", re.MULTILINE)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Sentence:
    """One sentence or heading.

    Args:
        text: The words as they stand in the text, with runs of white space made one blank.
        heading: Whether it is a heading of the document rather than a sentence.
    """

    text: str
    heading: bool = False

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Words in lower case, with `BREAK` where a clause ends; numbers and signs are left out."""
        found = _TOKEN.findall(self.text.lower().replace("\u2019", "'"))
        return tuple(token if token[0].isalpha() else BREAK for token in found)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words in lower case."""
        return tuple(token for token in self.tokens if token != BREAK)


def cut(text: str) -> list[Sentence]:
    """Cut a text into sentences.

    Args:
        text: Plain text or Markdown, any length.

    Returns:
        The sentences in their order, none of them long; those without any word are left out. The time is
        linear in the length.
    """
    found: list[Sentence] = []
    for body, heading in _blocks(text):
        for piece in _pieces(body):
            sentence = Sentence(piece, heading)
            if sentence.words:
                found.append(sentence)
    return found


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the paragraphs, list items and headings, without their markers; wrapped lines are joined."""
    lines: list[str] = []
    for raw in (*text.splitlines(), ""):
        line = raw.strip()
        marker = _MARKER.match(line)
        if lines and (marker or _NOISE.match(line) or line.startswith("```")):
            body = _SPACE.sub(" ", " ".join(lines))
            yield body, _is_title(body)
            lines = []
        if marker and line.startswith("#"):
            yield _SPACE.sub(" ", line[marker.end() :]), True
        elif not (_NOISE.match(line) or line.startswith("```")):
            lines.append(line[marker.end() :] if marker else line)


def _is_title(body: str) -> bool:
    return not body.endswith((".", "!", "?", ":", ";", ",", "\u2026")) and body.count(" ") < TITLE_WORDS


def _pieces(body: str) -> list[str]:
    """Cut one paragraph behind full stops that end a sentence, and stretches that are too long."""
    pieces: list[str] = []
    start = 0
    for end in _END.finditer(body):
        if _ABBREVIATION.search(body[max(start, end.start() - LONGEST_ABBREVIATION) : end.start()]):
            continue
        pieces.append(body[start : end.end()].strip())
        start = end.end()
    pieces.append(body[start:].strip())
    return [part for piece in pieces for part in _bounded(piece)]


def _bounded(piece: str) -> list[str]:
    words = piece.split(" ")
    parts = [" ".join(words[at : at + MAX_WORDS]) for at in range(0, len(words), MAX_WORDS)]
    return [part[at : at + MAX_LETTERS] for part in parts for at in range(0, len(part), MAX_LETTERS)]
