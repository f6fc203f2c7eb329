"""The rule analyst: reads a text with rules and word lists; needs neither a key nor a network.

Every area is judged by a small module of its own, and every confidence comes from the evidence that was found
(`confidence.py` has the formulas). The word lists and stems are English. A text in another language finds no
evidence in them and gets the confidences of a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...state.analysis import Analysis, AnalysisResults, ConfidenceScores
from .complexity import judge_complexity
from .lexicon import readable
from .risk import judge_risk
from .sentiment import judge_sentiment
from .summary import summarise
from .text import cut
from .topics import judge_topics

__all__ = ["rule_analyst"]

# A sentence that a person wrote about the text weighs as much as this many of its own.
NOTE_WEIGHT: Final = 3.0
DIGITS: Final = 3
# Word lists are never certain, whatever the formulas say of the evidence that was found.
CEILING: Final = 0.99


def rule_analyst(text: str, *, notes: Sequence[str] = ()) -> Analysis:
    """Analyse a text with rules.

    The same text and notes always give the same analysis, in every process. The time is linear in the length:
    one to two seconds for a megabyte, so call it in a thread where an event loop must not wait.

    Args:
        text: Plain text or Markdown in English; any length, may be empty.
        notes: What people added. Their sentences count as evidence for sentiment, topics and risk, more than the
            text's own; complexity and summary are about the text alone.

    Returns:
        The analysis. Empty or tiny texts get low confidences, never an error.
    """
    own = cut(text)
    trust = readable(own)
    weighted = [(sentence, trust) for sentence in own]
    for note in map(cut, notes):
        weighted += [(sentence, NOTE_WEIGHT * readable(note)) for sentence in note]
    sentiment, sentiment_confidence = judge_sentiment(weighted)
    topics, topics_confidence = judge_topics(weighted)
    complexity, complexity_confidence = judge_complexity(own, trust=trust)
    risk_level, risk_confidence = judge_risk(weighted)
    return Analysis(
        analysis_results=AnalysisResults(
            sentiment=sentiment, topics=topics, complexity=complexity, risk_level=risk_level, summary=summarise(own)
        ),
        confidence_scores=ConfidenceScores(
            sentiment=_rounded(sentiment_confidence),
            topics=_rounded(topics_confidence),
            complexity=_rounded(complexity_confidence),
            risk_level=_rounded(risk_confidence),
        ),
    )


def _rounded(confidence: float) -> float:
    return round(min(CEILING, confidence), DIGITS)
