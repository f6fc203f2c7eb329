"""The words by which cases are found: stems in clear, and with a key hashes that show neither words nor their order."""

import re

import pytest
from pydantic import SecretStr

from adjourn.engine.case_words import Words
from adjourn.errors import ConfigurationError
from adjourn.settings import Settings
from support.hidden_words import KEY, OTHER
from support.postgres import dump
from support.remembering import filled, opened

ONE, TWO = b"1" * 32, b"2" * 32


def lexemes(words: Words, text: str, tenant: str = "t") -> dict[str, int]:
    """The words of a vector and how often each comes, without the two that stand for tenant and kind."""
    vector, _ = words.vector(tenant, "k", text)
    found = re.findall(r"'([^']+)':([\d,]+)", vector)
    return {word: places.count(",") + 1 for word, places in found if not word.startswith("=")}


def test_words_are_stemmed_counted_and_without_the_ones_that_say_nothing() -> None:
    words = Words("english")
    assert lexemes(words, "The DISKS are full; a disk, web-01!") == {"disk": 2, "full": 1, "web": 1, "01": 1}
    assert words.vector("t", "k", "a disk and a disk")[1] == 2
    assert lexemes(Words("german"), "Die Platten sind voll") == {"die": 1, "platt": 1, "sind": 1, "voll": 1}
    assert lexemes(Words("none"), "the disks") == {"the": 1, "disks": 1}
    assert lexemes(words, "हिन्दी में disk磁盘") == {"हिन्दी": 1, "में": 1, "disk": 1, "磁": 1, "盘": 1}
    assert lexemes(words, "磁盘已满") == {"磁": 1, "盘": 1, "已": 1, "满": 1}
    assert lexemes(words, "\uff24\uff29\uff33\uff2b Straße") == {"disk": 1, "strass": 1}


def test_positions_say_how_often_and_nothing_of_the_order() -> None:
    for words in (Words("english"), Words("english", [ONE])):
        assert sorted(words.vector("t", "k", "one two two")[0].split()) == sorted(
            words.vector("t", "k", "two one two")[0].split()
        )
    assert lexemes(Words("english"), "x " * 1000) == {"x": 255}


def test_with_a_key_a_word_is_another_hash_for_each_key_and_tenant() -> None:
    found = [
        next(iter(lexemes(Words("english", keys), "disk", tenant)))
        for keys, tenant in (([ONE], "a"), ([ONE], "b"), ([TWO], "a"))
    ]
    assert len({"disk", *found}) == 4
    asked, length = Words("english", [TWO, ONE]).asked("a", "disks, a disk")
    assert (len(asked), length) == (1, 2)
    assert set(asked[0]["spellings"]) == {found[0], found[2]}


def test_no_text_asks_for_more_than_its_words() -> None:
    words = Words("english")
    asked, _ = words.asked("t", "'disk' | ! & (full):* \\ =abc <-> x")
    assert [each["query"] for each in asked] == ["'disk'", "'full'", "'abc'", "'x'"]
    assert len(words.asked("t", " ".join(f"w{number}" for number in range(1000)))[0]) == 300
    assert words.scope("t", "k") != words.scope("t") != words.scope("t\x00k")


@pytest.mark.parametrize("language", ["klingon", "", "../x", "english_stemmer", "English"])
def test_a_language_without_a_stemmer_is_refused_with_the_known_ones(language: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ADJOURN_CASE_LANGUAGE .* 'none' or one of: .*english, .*german"):
        Words(language)


async def test_with_a_key_cases_are_found_and_no_word_can_be_read_and_an_older_key_goes_on_to_find(
    database: str,
) -> None:
    async with opened(database, settings=Settings(encryption_key=SecretStr(OTHER))) as engine:
        await filled(engine)
    found = dump(database).lower()
    assert not [word for word in (b"disk", b"certif", b"rotated", b"checkout") if word in found]
    for keys, hits in ((KEY, 0), (f"{KEY},{OTHER}", 2)):
        async with opened(database, settings=Settings(encryption_key=SecretStr(keys))) as engine:
            cases = await engine.cases(about="disks failing")
            assert len(cases) == hits
            if hits:
                assert [case.outcome for case in cases] == ["replaced the disk", "rotated the logs"]
