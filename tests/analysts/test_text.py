"""Texts are cut into sentences by punctuation and layout."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from adjourn.nodes.analysts.lexicon import load_lexicon, stem
from adjourn.nodes.analysts.text import MAX_LETTERS, MAX_WORDS, cut


def texts(source):
    return [sentence.text for sentence in cut(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("One is here. Two is there! Is three?", ["One is here.", "Two is there!", "Is three?"]),
        ("A line that\nis wrapped. Next.", ["A line that is wrapped.", "Next."]),
        ("See e.g. Annex A. It holds Mr. Pike's list.", ["See e.g. Annex A. It holds Mr. Pike's list."]),
        ("Version 3.2 is out. It costs 4.50 euros.", ["Version 3.2 is out.", "It costs 4.50 euros."]),
        ("# Title\nBody text is here.", ["Title", "Body text is here."]),
        ("- first item.\n- second item.", ["first item.", "second item."]),
        ("1.1 First duty.\n\n1.2 Second duty.", ["First duty.", "Second duty."]),
        ("```sh\n---\n```\nWords.", ["Words."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(source, expected):
    assert texts(source) == expected


def test_headings_and_titles_are_known_as_such():
    assert [s.heading for s in cut("# Scope\n\nTERMS OF USE\n\nThis is a sentence.")] == [True, True, False]


def test_no_piece_is_longer_than_the_bounds():
    pieces = cut("word " * 1000 + "a" * 10_000)
    assert max(len(piece.words) for piece in pieces) <= MAX_WORDS
    assert max(len(piece.text) for piece in pieces) <= MAX_LETTERS


@pytest.mark.parametrize(
    ("source", "negated"),
    [
        ("No data loss happened", True),
        ("It did not after all really cause any data loss", False),
        ("There was no delay, data loss followed", False),
        ("We had data loss", False),
    ],
)
def test_a_negation_reaches_four_words_and_not_across_a_comma(source, negated):
    (sentence,) = cut(source)
    hits = [hit for hit in load_lexicon("risk").find(sentence.tokens) if hit.term == "data loss"]
    assert [hit.negated for hit in hits] == [negated]


def test_terms_are_found_in_every_form_of_their_words():
    (sentence,) = cut("The supplier indemnified them.")
    assert "indemnifi" in {hit.term for hit in load_lexicon("topics").find(sentence.tokens)}


def test_texts_that_are_read_at_once_are_read_as_if_alone():
    words = ["".join(random.Random(number).choices("aeioubdlnrst", k=8)) + "ations" for number in range(3_000)]
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(stem, words, chunksize=50))
    finally:
        sys.setswitchinterval(pause)
    stem.cache_clear()
    assert together == [stem(word) for word in words]
