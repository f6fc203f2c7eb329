"""The agents that ship: an analyst and an editor that need no key, and an assistant that asks a chat model."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from ...errors import ConfigurationError, InvalidInput
from ...settings import current_settings
from ...state.roster import Agent, Roster
from ..analysts import default_analyst
from ..analysts.chat_models import open_model
from ..prompts import load_prompt
from .agents import AgentLike, Brief, brief_text
from .planners import title_of

__all__ = ["ROSTER", "analyst", "assistant", "editor", "shipped_agents"]

_LEVELS: Final = ("low", "medium", "high")
_TONES: Final = ("positive", "neutral", "negative")
_MOST_TOPICS: Final = 8

ROSTER: Final = Roster(
    agents=(
        Agent(name="analyst", role="Reads a text and judges it.", capabilities=("analyse",), capacity=1000),
        Agent(name="editor", role="Puts results together.", capabilities=("combine",), capacity=1000),
        Agent(
            name="assistant", role="Does what it is told, with a chat model.", capabilities=("answer",), capacity=1000
        ),
    )
)
"""What the shipped agents can do."""


def shipped_agents() -> dict[str, AgentLike]:
    """Return the shipped agents by name."""
    return {"analyst": analyst, "editor": editor, "assistant": assistant}


async def analyst(brief: Brief) -> dict[str, Any]:
    """Judge the text in `input_data["text"]`: sentiment, topics, complexity, risk, summary, confidences.

    It asks the model of `ADJOURN_MODEL` when that is set, and works with rules otherwise.

    Raises:
        InvalidInput: There is no text.
    """
    text = brief.input_data.get("text")
    if not isinstance(text, str):
        raise InvalidInput(f"The subtask {brief.task_id!r} needs a text in input_data: {{'text': '…'}}.")
    result = await default_analyst()(text)
    title = brief.input_data.get("title", brief.task_id)
    return {"title": title, "words": len(text.split()), **result.analysis_results.model_dump(mode="json"),
            "confidence_scores": result.confidence_scores.model_dump(mode="json")}  # fmt: skip


def editor(brief: Brief) -> dict[str, Any]:
    """Put the analyses of the dependencies together: the highest risk, the most frequent topics, all summaries.

    Results that are no analyses stand beside them under `other`.
    """
    parts = [each for each in brief.results.values() if _is_analysis(each)]
    other = {name: each for name, each in brief.results.items() if not _is_analysis(each)}
    # a nested plan gives its last results by their ids
    for name, each in list(other.items()):
        if isinstance(each, dict) and each and all(_is_analysis(inner) for inner in each.values()):
            parts += other.pop(name).values()
    topics = Counter(topic for part in parts for topic in part["topics"])
    tones = Counter(part["sentiment"] for part in parts)
    return {
        "title": brief.input_data.get("title") or title_of(brief.main_task),
        "words": sum(part.get("words", 0) for part in parts),
        "sentiment": max(_TONES, key=lambda tone: (tones[tone], tone != "neutral")) if parts else "neutral",
        "topics": [topic for topic, _ in topics.most_common(_MOST_TOPICS)],
        "complexity": _highest(part["complexity"] for part in parts),
        "risk_level": _highest(part["risk_level"] for part in parts),
        "summary": "\n".join(f"{part['title']}: {part['summary']}" for part in parts if part["summary"]),
        **({"other": other} if other else {}),
    }


async def assistant(brief: Brief) -> str:
    """Do a subtask with the chat model of `ADJOURN_MODEL`, and return its answer.

    Raises:
        ConfigurationError: No model is set, or it cannot be used.
    """
    spec = current_settings().model
    if spec is None:
        raise ConfigurationError(
            f"The subtask {brief.task_id!r} is for the assistant, which has no model: set ADJOURN_MODEL, such as "
            "openai:gpt-5-mini, or give the subtask to another agent."
        )
    said = await open_model(spec).ainvoke([("system", load_prompt("subtask")), ("human", brief_text(brief))])
    return said.text


def _is_analysis(value: Any) -> bool:
    return isinstance(value, dict) and {"topics", "risk_level", "sentiment", "complexity", "summary"} <= set(value)


def _highest(levels: Any) -> str:
    return max(levels, key=_LEVELS.index, default="low")
