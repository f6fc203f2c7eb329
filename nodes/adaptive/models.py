"""Workers that are chat models: structured answers with a confidence, material between lines that nothing can imitate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, Field

from ..prompts import load_prompt
from .work import Part, Worker

__all__ = ["ModelWorker", "as_function", "can_vote"]


class PartAnswer(BaseModel):
    """The result of a part."""

    answer: str = Field(description="The result alone.")
    confidence: float = Field(ge=0, le=1, description="How often you would be right in such a case.")


class PartVote(BaseModel):
    """Which answer is the best."""

    decision: str | None = Field(description="The name of the best answer; null if you cannot tell.")
    confidence: float = Field(ge=0, le=1, description="How often you would be right in such a case.")
    reason: str = Field(description="What decided it.")


@dataclass(frozen=True, slots=True)
class ModelWorker:
    """A chat model as a worker. It raises what the provider's client raises, and RunFailed for an answer that does not fit.

    Args:
        model: The model, or its name, such as `openai:gpt-5-mini`.
        role: Who it is to be, such as a careful lawyer.
    """

    model: BaseChatModel | str
    role: str = ""

    async def __call__(self, part: Part) -> dict[str, Any]:
        """Do a part, or check and improve its draft."""
        shown = {"TASK": part.task.main_task, "PART": part.name, "MATERIAL": part.content, "DRAFT": part.draft}
        return await self._asked(PartAnswer, "adaptive-part", shown)

    async def vote(self, part: Part, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Choose among answers."""
        shown = {"TASK": part.task.main_task, "MATERIAL": part.content, "ANSWERS": dict(answers)}
        return await self._asked(PartVote, "adaptive-vote", shown)

    async def _asked(self, schema: type[BaseModel], prompt: str, shown: dict[str, Any]) -> dict[str, Any]:
        from ..council.model_agent import asked, marked  # loading LangChain takes a good part of a second

        system = f"{self.role}\n\n{load_prompt(prompt)}".strip()
        return (await asked(self.model, schema, system, marked(shown))).model_dump(mode="json")


def as_function(worker: Worker) -> Any:
    """Return a worker as something that can be called with a `Part`."""
    return ModelWorker(worker) if isinstance(worker, BaseChatModel | str) else worker


def can_vote(worker: Any) -> bool:
    """Say whether a worker can choose among the answers of several; a function's vote is its own answer."""
    return callable(getattr(worker, "vote", None))
