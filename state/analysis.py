"""Analyses: what an analyst says about a text, and how sure it is of each judged area.

The models check what analysts return; a run keeps `model_dump()` of them, which is JSON-safe.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AREAS", "Analysis", "AnalysisResults", "Area", "ConfidenceScores", "Level", "Sentiment"]

Sentiment = Literal["negative", "neutral", "positive"]
Level = Literal["low", "medium", "high"]
Area = Literal["sentiment", "topics", "complexity", "risk_level"]

# The areas that get a confidence. The summary has none: there is no label that could be right or wrong, so a
# number beside it would be decoration, and a person who reviews the run reads the summary anyway.
AREAS: Final[tuple[Area, ...]] = ("sentiment", "topics", "complexity", "risk_level")

Confidence = Annotated[float, Field(ge=0.0, le=1.0)]


class AnalysisResults(BaseModel):
    """What an analyst says about a text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentiment: Sentiment = Field(description="Tone of the text as a whole.")
    topics: list[str] = Field(description="Topics in a few words each; the first is the main one.", min_length=1)
    complexity: Level = Field(description="How hard the text is to read for an adult who is no specialist.")
    risk_level: Level = Field(description="How much can be lost if nobody acts on what the text says.")
    summary: str = Field(description="The text in one to three sentences.")


class ConfidenceScores(BaseModel):
    """How sure the analyst is of each judged area, from 0 (a guess) to 1 (certain)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentiment: Confidence = Field(description="Confidence in `sentiment`, 0 to 1.")
    topics: Confidence = Field(description="Confidence in the main topic, 0 to 1.")
    complexity: Confidence = Field(description="Confidence in `complexity`, 0 to 1.")
    risk_level: Confidence = Field(description="Confidence in `risk_level`, 0 to 1.")


class Analysis(BaseModel):
    """The results of one analysis with a confidence for each judged area."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    analysis_results: AnalysisResults
    confidence_scores: ConfidenceScores

    def state(self) -> dict[str, dict[str, Any]]:
        """Return both parts as the JSON-safe dictionaries that a run keeps under these two names."""
        return self.model_dump(mode="json")
