"""Plans as data: a task that is split into subtasks which depend on each other.

A plan comes from the caller, from a file (YAML or JSON), or from a planner. `adjourn plan --schema` prints the JSON Schema
of such a file. What no single subtask can tell (cycles, unknown and repeated ids) is checked in `nodes/delegation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

from .values import json_problem

__all__ = ["Plan", "PlannedSubtask", "Strategy", "plan_schema"]

Strategy = Literal["retry", "reassign", "skip", "ask", "fail"]


def _text_id(value: Any) -> Any:
    """Refuse an id that is no text, in words that name it."""
    if isinstance(value, str):
        return value
    raise PydanticCustomError(
        "id", "an id must be text; {shown} is a {kind}", {"shown": repr(value)[:50], "kind": type(value).__name__}
    )


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _json_safe(value: dict[str, Any]) -> dict[str, Any]:
    problem = json_problem(value, "it")
    if problem is None:
        return value
    advice = "; put dates and times in quotes" if problem.endswith(("a date", "a datetime")) else ""
    raise PydanticCustomError("json", "it must be JSON-safe, and {problem}", {"problem": problem + advice})


Id = Annotated[
    str,
    # a slash stands between the id of a nested plan's subtask and that of the subtask that holds the plan
    Field(min_length=1, max_length=100, pattern=r"^[^\s/]([^/\r\n\t\x00]*[^\s/])?$"),
    BeforeValidator(_text_id, json_schema_input_type=str),
]
Json = Annotated[dict[str, Any], AfterValidator(_json_safe)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], Strict(False)]
Ids = Annotated[tuple[Id, ...], Strict(False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Strategies = Annotated[
    tuple[Strategy, ...], Strict(False), BeforeValidator(_one_or_many, json_schema_input_type=Strategy | list[Strategy])
]


class PlannedSubtask(BaseModel):
    """One part of a plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Id = Field(description="Its name, unique in its plan; no slash.")
    description: str = Field(default="", description="What is to be done.")
    task_type: str = Field(default="", max_length=200, description="What kind of work it is; agents may look at it.")
    input_data: Json = Field(default_factory=dict, description="What its agent is given.")
    dependencies: Ids = Field(default=(), description="The subtasks of the same plan that must be complete before it.")
    capabilities: Names = Field(default=(), description="What an agent must be able to do for it.")
    agent: Name | None = Field(default=None, description="The agent that does it; otherwise one with the capabilities.")
    expected_seconds: Seconds = Field(default=1.0, description="How long it takes, as far as one knows.")
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="After this time an attempt has failed."
    )
    error_recovery_strategy: Strategies | None = Field(
        default=None, description="What to do when it fails, in this order; otherwise what the plan says."
    )
    max_retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="How often `retry` tries again; otherwise what the plan says."
    )
    compensation: Name | None = Field(
        default=None, description="The name of the function that undoes it when the whole fails or is cancelled."
    )
    workflow: Name | None = Field(
        default=None, description="A workflow that does it as a run of its own, instead of an agent; it may pause."
    )
    plan: Plan | None = Field(default=None, description="A plan that it consists of.")


class Plan(BaseModel):
    """A task and its subtasks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, title="A plan of adjourn's delegation")

    main_task: str = Field(default="", description="What all of it is for.")
    global_context: Json = Field(default_factory=dict, description="What every agent is given.")
    error_recovery_strategy: Strategies = Field(
        default=("retry", "fail"), description="What to do when a subtask fails, in this order."
    )
    max_retries: Annotated[int, Field(ge=0, le=1000)] = Field(default=2, description="How often `retry` tries again.")
    subtasks: Annotated[tuple[PlannedSubtask, ...], Strict(False)] = Field(description="The subtasks, in any order.")


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}
