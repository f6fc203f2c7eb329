"""The words of a text, as cases are found by them: stemmed, and with an encryption key hashed.

PostgreSQL could stem them, but then it would have to be given the text; with a key the database sees keyed hashes
(HMAC-SHA256) instead of words. Each tenant's hashes are others, so nobody can tell what two tenants have in common. What
the hashes do show of one tenant: which cases share words, how many, and how often each comes; not which words those are, nor
their order.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from ..errors import ConfigurationError

__all__ = ["PLAIN", "Words"]

PLAIN: Final = "none"
"""The language of texts whose words are taken as they are."""

_DEFAULT: Final = "english"

# Chinese and Japanese have no spaces between words and are taken character by character. Behind a letter belong the signs of
# Hebrew, Arabic and the scripts of India, which `\w` does not know.
_WORD: Final = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|"
    r"[^\W_](?:[^\W_\u3040-\u30ff\u3400-\u9fff]|[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0970-\u0dff])*"
)
# Words that are in nearly every text, so that a few cases cannot show how little they mean. (Of other languages there is no
# list; the more cases there are, the less it is missed.)
_ENGLISH: Final = frozenset(
    re.findall(
        r"\w+",
        """
        a an and are as at be been but by can could did do does for from had has have he her his i if in into is it
        its may my no not of on or our she so some such than that the their them then there these they this those to
        us was we were what when where which while who why will with would you your
        """,
    )
)
_LONGEST: Final = 60
_MOST_IN_A_CASE: Final = 40_000  # a tsvector holds a megabyte
_MOST_TO_SEARCH: Final = 300
_MOST_TIMES: Final = 255  # more positions of a word than these no tsvector holds
_HASH_BYTES: Final = 9


class Words:
    """Turns texts into what the column `words` holds, and into what asks for it.

    Args:
        language: Whose endings are cut off, as `snowballstemmer` calls it, or `none`.
        keys: The encryption keys, the newest first; none for words in clear. What an older key wrote is found as well.

    Raises:
        ConfigurationError: There is no stemmer for the language.
    """

    def __init__(self, language: str, keys: Sequence[bytes] = ()) -> None:
        self._language = language
        self._empty = _ENGLISH if language == _DEFAULT else frozenset()
        self._keys = [hmac.digest(key, b"adjourn: words of cases", "sha256") for key in keys]
        if language not in (PLAIN, _DEFAULT):  # whose stemmer is there, and is loaded when the first text is read
            _stemmer_class(language)

    def vector(self, tenant: str, kind: str, text: str) -> tuple[str, int]:
        """Return a text as PostgreSQL writes a `tsvector`, and how many words it has.

        Positions only count how often a word comes; they say nothing about the order.

        Args:
            tenant: Whose it is.
            kind: What kind of case it is.
            text: The text.
        """
        counted = Counter(self._stems(text))
        named = [(self._spellings(tenant, word)[0], times) for word, times in counted.most_common(_MOST_IN_A_CASE)]
        named += [(self.marks(tenant)[0], 1), (self.marks(tenant, kind)[0], 1)]
        vector = " ".join(f"{_quoted(word)}:{_positions(times)}" for word, times in named)
        return vector, sum(counted.values())

    def asked(self, tenant: str, text: str) -> tuple[list[dict[str, Any]], int]:
        """Return the different words of a text, the first 300, and how many words it has.

        Of each word: how it may be spelt, the `tsquery` for it, and how often it comes.

        Args:
            tenant: Whose cases are searched.
            text: What is asked.
        """
        counted = Counter(self._stems(text))  # in the order in which they come first
        spelt = [(self._spellings(tenant, word), times) for word, times in counted.items()][:_MOST_TO_SEARCH]
        asked = [
            {"number": number, "spellings": each, "query": _any_of(each), "times": times}
            for number, (each, times) in enumerate(spelt)
        ]
        return asked, sum(counted.values())

    def scope(self, tenant: str, kind: str | None = None) -> str:
        """Return the `tsquery` that only cases of a tenant meet, or only those of one kind of theirs."""
        return f"({_any_of(self.marks(tenant, kind))})"

    def marks(self, tenant: str, kind: str | None = None) -> list[str]:
        """Return the words that stand for a tenant, or for a kind; no word of a text is like them."""
        return ["=" + each for each in self._hashes(f"{tenant}\0{kind}" if kind is not None else tenant)]

    def _stems(self, text: str) -> list[str]:
        words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
        return [stem(self._language, word[:_LONGEST]) for word in words if word not in self._empty]

    def _spellings(self, tenant: str, word: str) -> list[str]:
        return self._hashes(f"{tenant}\0\0{word}") if self._keys else [word]

    def _hashes(self, text: str) -> list[str]:
        data = text.encode()
        digests = [hmac.digest(key, data, "sha256") for key in self._keys] or [hashlib.sha256(data).digest()]
        return [base64.urlsafe_b64encode(digest[:_HASH_BYTES]).decode() for digest in digests]


def _positions(times: int) -> str:
    return ",".join(map(str, range(1, min(times, _MOST_TIMES) + 1)))


def _any_of(spellings: Sequence[str]) -> str:
    return " | ".join(map(_quoted, spellings))


def _quoted(word: str) -> str:
    # letters, digits and base64 need no escape; what a stemmer makes of a word is its business
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


_own = threading.local()


@lru_cache(maxsize=50_000)
def stem(language: str, word: str) -> str:
    """Return the stem of a word in lower case.

    Args:
        language: As `Words` takes it.
        word: The word.
    """
    if language == PLAIN or not word.isalpha():
        return word
    # A stemmer keeps the word at hand in itself, so each thread has its own.
    stemmers: dict[str, Any] = _own.__dict__.setdefault("stemmers", {})
    if language not in stemmers:
        stemmers[language] = _stemmer_class(language)()
    return str(stemmers[language].stemWord(word))


def _stemmer_class(language: str) -> Any:
    try:  # the package's own function for this loads all languages, which takes ten milliseconds
        module = import_module(f"snowballstemmer.{language}_stemmer")
        return getattr(module, "".join(part.capitalize() for part in language.split("_")) + "Stemmer")
    except (ImportError, AttributeError, ValueError):
        from snowballstemmer import algorithms

        raise ConfigurationError(
            f"ADJOURN_CASE_LANGUAGE is {language!r}; it must be {PLAIN!r} or one of: {', '.join(sorted(algorithms()))}."
        ) from None
