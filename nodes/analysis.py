"""The node that analyses: a text goes in, structured results with a confidence for each area come out."""

from __future__ import annotations

import asyncio
import inspect

from ..state.review import ReviewState
from .analysts import Analyst
from .step import AsyncNode, Clock, logged, utcnow

__all__ = ["analysis"]


def analysis(analyst: Analyst, *, clock: Clock = utcnow) -> AsyncNode:
    """Make a node that lets an analyst read `input_text`.

    What people said in earlier rounds (the reason of a rejection, the answer to a question) goes to the analyst as
    notes. The node is safe to repeat: it only reads.

    Args:
        analyst: Any function that fits `Analyst`, plain or async.
        clock: The time, for the execution log.

    Returns:
        A node that writes `analysis_results` and `confidence_scores`, and clears the answer that led here.
    """

    async def analyze(state: ReviewState) -> ReviewState:
        started = clock()
        notes = [note for note in (state.get("rejection_reason"), state.get("human_feedback")) if note]
        # in a thread, because rules may compute for a second on a large text
        found = await asyncio.to_thread(analyst, state["input_text"], notes=notes)
        result = await found if inspect.isawaitable(found) else found
        return {
            "analysis_results": result.analysis_results.model_dump(mode="json"),
            "confidence_scores": result.confidence_scores.model_dump(mode="json"),
            "human_decision": None,
            "human_modifications": None,
            **logged("analyze", started, clock()),
        }

    return analyze
