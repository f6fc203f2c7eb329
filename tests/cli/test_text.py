"""Text for people."""

from datetime import UTC, datetime, timedelta

import pytest

from adjourn.cli.text import age, clean, duration, one_line, shortened, summary

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("\x1bcreset", "reset"),
        ("a\x00b\x07c\x7f", "abc"),
        ("over\rwritten", "overwritten"),
        ("pay \u202e001\u202c EUR", "pay 001 EUR"),
        ("line\r\nnext\tcell", "line\nnext\tcell"),
        ("half \ud800 a pair", "half \N{REPLACEMENT CHARACTER} a pair"),
        ("Grüße, 你好, עברית", "Grüße, 你好, עברית"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_left(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_long_text_is_cut_at_a_word_and_says_its_length() -> None:
    assert shortened("one two three", 9) == "one two … (13 characters)"
    assert shortened("one\n\ntwo", 9) == "one two"
    assert shortened("one\n\ntwo ", 0) == "one\n\ntwo"
    assert shortened("x" * 2000, 5) == "xxxxx … (2,000 characters)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (0.69912, "0.6991"),
        (["a", "b"], "a, b"),
        (["a, b", "c"], "a, b; c"),
        ({"a": 1, "b": [1, 2]}, "a: 1, b: 1, 2"),
        ("plain", "plain"),
        (NOW, "2026-11-20 12:00:00+00:00"),
    ],
)
def test_any_value_is_put_in_words(value: object, shown: str) -> None:
    assert summary(value, 100) == shown


def test_one_line_is_one_line() -> None:
    assert one_line("a\n b\t\x1b[1mc") == "a b c"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"), (-1, "0 ms"), (0.0124, "12 ms"), (0.9996, "1.0 s"), (3.44, "3.4 s"), (59.96, "1 min"),
        (302, "5 min 2 s"), (3600, "1 h"), (11400, "3 h 10 min"), (86405, "1 d"), (1_051_200, "12 d 4 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_has_its_natural_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=-5), "just now"), (timedelta(seconds=59), "just now"), (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=119), "1 h ago"), (timedelta(days=40), "40 d ago"),
    ],
)  # fmt: skip
def test_an_age_is_told_in_one_unit(ago: timedelta, said: str) -> None:
    assert age(NOW - ago, NOW) == said
