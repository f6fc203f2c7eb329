"""Subtasks and who does them, as data. JSON-safe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

__all__ = ["Assigned", "Assignment", "Subtask", "Unassigned", "WhyNot"]

Text = Annotated[str, Field(min_length=1)]
# sorted, so that the same subtask is the same JSON in every process
Texts = Annotated[tuple[Text, ...], AfterValidator(lambda texts: tuple(sorted(set(texts))))]
WhyNot = Literal["no_capability", "no_trusted_peers", "busy", "failed_too_often"]


class Subtask(BaseModel):
    """A part of a task, for one agent (or an agent with helpers)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text = Field(description="Its name, unique among the subtasks.")
    description: str = Field(default="", description="What is to be done.")
    capabilities: Texts = Field(default=(), description="What an agent must be able to do for it.")
    dependencies: Texts = Field(default=(), description="The subtasks that must be done before it.")
    priority: int = Field(default=0, description="Higher is assigned first.")
    success_criteria: tuple[str, ...] = Field(default=(), description="How to tell that it is done well.")
    complexity: float | None = Field(default=None, ge=0, le=1, description="How hard it is, 0-1, if that is known.")
    failed_by: tuple[str, ...] = Field(default=(), description="The agents that tried and failed, in order.")


class Assignment(TypedDict):
    """Who does a subtask.

    Args:
        subtask: Its id.
        agent: Who does it.
        helpers: Whom that agent asks for what it cannot do itself (`peer`); sorted.
        strategy: How they were chosen.
        score: What decided, as the strategy defines it.
        scores: Agent → score, of all that could have been chosen.
        attempt: 1 for the first try.
        reason: In words.
    """

    subtask: str
    agent: str
    helpers: list[str]
    strategy: str
    score: float
    scores: dict[str, float]
    attempt: int
    reason: str


class Unassigned(TypedDict):
    """Why nobody does a subtask now, and what comes next.

    Args:
        subtask: Its id.
        cause: `busy` passes; `no_capability`, `no_trusted_peers` and `failed_too_often` do not.
        missing: The capabilities that even the best suited agent lacks; sorted.
        next: `queue`: try again when agents are free; `person`: ask one.
        reason: In words.
    """

    subtask: str
    cause: WhyNot
    missing: list[str]
    next: Literal["queue", "person"]
    reason: str


class Assigned(TypedDict):
    """What one round of assigning gives: both lists in the order in which subtasks were looked at."""

    assignments: list[Assignment]
    unassigned: list[Unassigned]
