"""The work that is done where a user brings none: reading texts, with a chat model when one is set, with rules otherwise."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from anyio import to_thread

from ...settings import current_settings
from ...state.analysis import Analysis
from ..analysts import rule_analyst
from ..prompts import load_prompt
from .models import ModelWorker
from .work import Part, Work, pieces

__all__ = ["reading_texts"]

_HEAD: Final = 1500
_FINE: Final = 600
_LEVELS: Final = ("low", "medium", "high")
_MOST_TOPICS: Final = 8


def reading_texts() -> Work:
    """Return the work of reading texts.

    With the model of `ADJOURN_MODEL`, which is looked up when a part is done, `main_task` is an instruction, and each
    part gets an answer. With rules, which follow no instructions, each part is analysed: summary, topics, sentiment,
    complexity, risk.

    The simpler way are rules over the beginning of each part. The thorough way is a check of what was found, or rules
    over each paragraph by itself. The voters are the model in three roles, or rules that look at three different things.
    """
    return Work(
        do=_read,
        simple=_skim,
        thorough=_study,
        voters={
            "analyst": _Voter("persona-analyst", _whole),
            "sceptic": _Voter("persona-sceptic", _finely),
            "advocate": _Voter("persona-advocate", _head),
        },
    )


async def _read(part: Part) -> dict[str, Any]:
    model = current_settings().model
    return await ModelWorker(model)(part) if model else await _by_rules(_whole, part)


async def _skim(part: Part) -> dict[str, Any]:
    return await _by_rules(_head, part)


async def _study(part: Part) -> dict[str, Any]:
    model = current_settings().model
    if not model:
        return await _by_rules(_finely, part)
    worker = ModelWorker(model)
    return await worker(Part(part.task, part.name, part.content, draft=(await worker(part))["answer"]))


class _Voter:
    """The model in a role, or rules. Where there is a model it can choose among answers."""

    def __init__(self, persona: str, rules: Any) -> None:
        self._persona = persona
        self._rules = rules

    async def __call__(self, part: Part) -> dict[str, Any]:
        model = current_settings().model
        return await self._model(model)(part) if model else await _by_rules(self._rules, part)

    @property
    def vote(self) -> Any:
        model = current_settings().model
        return self._model(model).vote if model else None

    def _model(self, model: str) -> ModelWorker:
        return ModelWorker(model, load_prompt(self._persona))


async def _by_rules(rules: Any, part: Part) -> dict[str, Any]:
    text = part.content if isinstance(part.content, str) else str(part.content)
    return dict(await to_thread.run_sync(rules, text))


def _whole(text: str) -> dict[str, Any]:
    return _shown(rule_analyst(text))


def _head(text: str) -> dict[str, Any]:
    return _shown(rule_analyst(text[:_HEAD]))


def _finely(text: str) -> dict[str, Any]:
    """Analyse paragraph by paragraph: the highest risk and complexity, the most frequent tone and topics, all summaries."""
    found = [rule_analyst(piece) for piece in pieces(text, _FINE)]
    parts = [each.analysis_results for each in found]
    tones = Counter(each.sentiment for each in parts)
    topics = Counter(topic for each in parts for topic in each.topics)
    return {
        "answer": " ".join(dict.fromkeys(each.summary for each in parts if each.summary)),
        "sentiment": max(tones, key=lambda tone: (tones[tone], tone != "neutral")),
        "topics": [topic for topic, _ in topics.most_common(_MOST_TOPICS)],
        "complexity": max((each.complexity for each in parts), key=_LEVELS.index),
        "risk_level": max((each.risk_level for each in parts), key=_LEVELS.index),
        "confidence": sum(map(_confidence, found)) / len(found),
    }


def _shown(analysis: Analysis) -> dict[str, Any]:
    results = analysis.analysis_results.model_dump(mode="json")
    return {"answer": results.pop("summary"), **results, "confidence": _confidence(analysis)}


def _confidence(analysis: Analysis) -> float:
    scores: list[float] = list(analysis.confidence_scores.model_dump().values())
    return round(sum(scores) / len(scores), 6)
