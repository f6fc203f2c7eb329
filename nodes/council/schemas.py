"""The forms in which models answer: one schema for each kind of request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from ...state.council import Request

__all__ = ["PlanAnswer", "SynthesisAnswer", "answer_schema", "plain"]


class Finding(BaseModel):
    """A short fact."""

    key: str = Field(description="What it is about, such as cause.")
    value: str = Field(description="What it is.")


class DraftAnswer(BaseModel):
    """An answer in words."""

    answer: str = Field(description="The answer in a few sentences.")


class ArgueAnswer(BaseModel):
    """What is said about a contradiction."""

    keeps: bool = Field(description="True to keep to the own result, false if the other one is right.")
    reason: str = Field(description="What decides it.")


class PlannedSubtask(BaseModel):
    """A part of the task."""

    id: str = Field(description="A short name, unique.")
    description: str = Field(description="What is to be done.")
    capabilities: list[str] = Field(description="What an agent must be able to do for it.")
    dependencies: list[str] = Field(description="The ids of the subtasks whose results it needs.")
    priority: int = Field(description="Higher is done first.")
    success_criteria: list[str] = Field(description="How to tell that it is done well.")


class PlanAnswer(BaseModel):
    """A task, split."""

    reasoning: str = Field(description="Why these subtasks.")
    subtasks: list[PlannedSubtask] = Field(description="The subtasks.", min_length=1)


class SynthesisClaim(BaseModel):
    """A statement and who made it."""

    text: str = Field(description="The statement in one sentence.")
    by: list[str] = Field(description="The names of those who made it.")


class SynthesisAnswer(BaseModel):
    """The one answer of a council."""

    answer: str = Field(description="The answer in a few sentences.")
    claims: list[SynthesisClaim] = Field(description="The statements that it rests on.")


def answer_schema(request: Request) -> type[BaseModel]:
    """Return the schema of the answer to a request; options are a closed set in it."""
    kind, options = request["kind"], request.get("options")
    if kind == "argue":
        return ArgueAnswer
    if kind == "draft":
        return DraftAnswer
    if kind == "vote":
        return _vote_schema(options or [], ranked=bool(request.get("ranked")))
    choice: Any = Literal[tuple(options)] | None if options else None
    return create_model(
        "WorkAnswer",
        __doc__="The result of work on a subtask.",
        answer=(str, Field(description="The result in a few sentences.")),
        claims=(list[str], Field(description="Its single statements.")),
        findings=(list[Finding], Field(description="Short facts with a key each.")),
        decision=(choice, Field(description="The option that it speaks for, if any.")),
        confidence=(float, Field(description="0 to 1.")),
    )


def plain(answer: BaseModel) -> dict[str, Any]:
    """Return an answer as keys and values; findings stand beside them under their own keys."""
    found = answer.model_dump(mode="json")
    for each in found.pop("findings", []):
        found.setdefault("_".join(each["key"].lower().split()), each["value"])
    return {name: value for name, value in found.items() if value is not None or name == "decision"}


def _vote_schema(options: Sequence[str], *, ranked: bool) -> type[BaseModel]:
    choice: Any = Literal[tuple(options)]
    parts: dict[str, Any] = (
        {"ranking": (list[choice], Field(description="The options, the best first, each once."))}
        if ranked
        else {"decision": (choice | None, Field(description="One of the options; null to abstain."))}
    )
    return create_model(
        "Vote",
        __doc__="A vote.",
        **parts,
        confidence=(float, Field(description="0 to 1.")),
        reason=(str, Field(description="The reason that decided it.")),
    )
