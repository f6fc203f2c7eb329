"""Agents without a model: they read the material with word lists and count what speaks for what.

Three ways of reading (`lens`) give sentences different weights: `facts` those with figures, `risk` those with words of
danger, `tone` those with words of feeling. So three such agents are three methods, not one agent three times. The lists
and stems are English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, sqrt
from typing import Any, Final

from ...state.council import Request
from ..analysts.lexicon import load_lexicon, load_words, stem
from ..analysts.risk import judge_risk
from ..analysts.sentiment import judge_sentiment
from ..analysts.summary import summarise
from ..analysts.text import Sentence, cut
from ..analysts.topics import judge_topics
from ..arguments import one_of

__all__ = ["LENSES", "rule_agent"]

LENSES: Final = ("facts", "risk", "tone")
"""The ways of reading."""

_FIGURES: Final = re.compile(r"\d")
_STRESS: Final = 3.0
_CLAIMS: Final = 3
# What all the others together can add to an option, as a part of all evidence: who has seen clear evidence stays.
_OTHERS: Final = 0.25


def rule_agent(lens: str = "facts") -> Callable[[Request], dict[str, Any]]:
    """Make an agent that works with rules; give it to `member`.

    It works on a subtask by finding the sentences of the material that say most about it, and judges the material (risk,
    tone or topic). It votes for the option whose words have the most weight in the material, says which sentence speaks for
    it, and abstains when none does or two are level. From the second round on, the votes of others count as some
    evidence, so that who was in doubt may move. The same request always gets the same answer.

    Args:
        lens: `facts`, `risk` or `tone`.

    Raises:
        InvalidInput: There is no such lens.
    """
    one_of("lens", lens, LENSES)

    def act(request: Request) -> dict[str, Any]:
        reading = _read(lens, _text(request))
        if request["kind"] == "vote":
            return _vote(reading, request)
        if request["kind"] == "argue":
            return _argue(reading, request["conflict"])
        return _work(reading, request)

    return act


@dataclass(frozen=True)
class _Reading:
    """A text as one lens sees it: its sentences with their weights, and what each stem is worth."""

    lens: str
    sentences: tuple[Sentence, ...]
    weights: tuple[float, ...]
    stems: tuple[frozenset[str], ...]

    def worth(self, words: frozenset[str]) -> float:
        """Return how much the text says with these stems: for each, the weight of the sentences that hold it."""
        found = fsum(
            weight * len(words & stems) for weight, stems in zip(self.weights, self.stems, strict=True) if words & stems
        )
        return found / sqrt(len(words)) if words else 0.0

    def best(self, words: frozenset[str], count: int) -> list[str]:
        """Return the sentences that say the most with these stems, in the order of the text."""
        scored = sorted(
            (
                (weight * len(words & stems), -at)
                for at, (weight, stems) in enumerate(zip(self.weights, self.stems, strict=True))
            ),
            reverse=True,
        )
        chosen = sorted(-at for score, at in scored[:count] if score > 0)
        return [self.sentences[at].text for at in chosen]


@lru_cache(maxsize=16)
def _read(lens: str, text: str) -> _Reading:
    sentences = tuple(each for each in cut(text) if not each.heading)
    return _Reading(
        lens,
        sentences,
        tuple(_weight(lens, each) for each in sentences),
        tuple(_stems(each.text) for each in sentences),
    )


def _weight(lens: str, sentence: Sentence) -> float:
    if lens == "facts":
        return 1.0 + (_STRESS if _FIGURES.search(sentence.text) else 0.0)
    wanted = ("danger",) if lens == "risk" else ("positive", "negative")
    hits = load_lexicon("risk" if lens == "risk" else "sentiment").find(sentence.tokens)
    return 1.0 + _STRESS * min(1.0, fsum(hit.weight for hit in hits if hit.label in wanted and not hit.negated))


@lru_cache(maxsize=5000)
def _stems(text: str) -> frozenset[str]:
    stop = load_words("stopwords")
    words = {word for sentence in cut(text) for word in sentence.words}
    return frozenset(stem(word) for word in words if word not in stop and len(word) > 2)


def _text(request: Request) -> str:
    parts = list(_texts(request.get("material"))) or [request["task"]]
    return "\n\n".join([*parts, *request["notes"]])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(each)


def _work(reading: _Reading, request: Request) -> dict[str, Any]:
    if request["kind"] == "draft" and request.get("options"):
        choice = _vote(reading, request)
        return {"answer": f"{choice['decision'] or 'None of the options'}. {choice['reason']}"}
    asked = _stems(request["subtask"]["description"] if "subtask" in request else request["task"])
    claims = reading.best(asked, _CLAIMS) or reading.best(frozenset().union(*reading.stems), 1)
    weighted = [(sentence, 1.0) for sentence in reading.sentences]
    found: dict[str, Any] = {"answer": " ".join(claims) or summarise(reading.sentences), "claims": claims}
    if reading.lens == "risk":
        found["risk_level"] = judge_risk(weighted)[0]
    elif reading.lens == "tone":
        found["sentiment"] = judge_sentiment(weighted)[0]
    else:
        found["topic"] = judge_topics(weighted)[0][0]
    if request.get("options"):
        found["decision"] = _vote(reading, request)["decision"]
    return found


def _vote(reading: _Reading, request: Request) -> dict[str, Any]:
    meanings = {each["by"]: str(each["text"]) for each in request.get("drafts") or []}
    options = request["options"]
    stems = {option: _stems(meanings.get(option, option)) for option in options}
    # words that all options share tell nothing apart
    common = frozenset.intersection(*stems.values())
    scores = {option: reading.worth(stems[option] - common) for option in options}
    whole = fsum(scores.values())
    others = [vote["decision"] for vote in request.get("others") or [] if vote.get("decision") in scores]
    for choice in others:
        scores[choice] += whole * _OTHERS / len(others)
    ranked = sorted(options, key=lambda option: -scores[option])
    first = ranked[0]
    if not scores[first]:
        return {"decision": None, "reason": "No sentence of the material speaks for any of the options."}
    if scores[first] == scores[ranked[1]]:
        return {"decision": None, "reason": f"As much speaks for {first!r} as for {ranked[1]!r}."}
    said = reading.best(stems[first] - common, 1)
    vote = {
        "decision": first,
        "confidence": round((scores[first] - scores[ranked[1]]) / scores[first], 3),
        "reason": f"Most of the evidence ({reading.lens}) is for it: {said[0]}" if said else "The others convinced me.",
    }
    if request.get("ranked"):
        vote["ranking"] = [[option for option in ranked if scores[option] == score] for score in _levels(scores)]
    return vote


def _levels(scores: Mapping[str, float]) -> list[float]:
    return sorted(set(scores.values()), reverse=True)


def _argue(reading: _Reading, conflict: Mapping[str, Any]) -> dict[str, Any]:
    """Keep to a result unless the material says more for the other one."""
    own, other = (reading.worth(_stems(str(conflict[side]))) for side in ("own", "other"))
    if other > own:
        return {
            "keeps": False,
            "reason": f"The material says more of {conflict['other']!r} than of {conflict['own']!r}.",
        }
    return {"keeps": True, "reason": f"The material says no more of {conflict['other']!r} than of {conflict['own']!r}."}
