"""Planners: functions that turn a task into a plan.

rule_planner     splits a text by its headings; needs neither a key nor a network
model_planner    asks a chat model
default_planner  the model if one is set when it runs, the rules otherwise
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import ConfigurationError, InvalidPlan, RunFailed
from ...settings import current_settings
from ...state.plans import Plan, PlannedSubtask
from ..analysts.chat_models import open_model
from ..prompts import load_prompt
from .agents import Team
from .plans import planned, read_plan

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["default_planner", "model_planner", "rule_planner", "title_of"]

_LONGEST_NAME: Final = 90
PIECE_WORDS: Final = 400
"""A text without headings is cut between paragraphs into pieces of about so many words."""
WORDS_A_SECOND: Final = 20_000
PROPOSALS: Final = 3

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_UNFIT = re.compile(r"[^a-z0-9]+")

AsyncPlanner = Callable[[str, Team], Awaitable[Plan]]


@dataclass
class _Section:
    """A heading, the text below it, and the sections in it."""

    title: str
    level: int
    lines: list[str] = field(default_factory=list)
    parts: list[_Section] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


def rule_planner(main_task: str, team: Team) -> Plan:
    """Split a text into its parts: each section is analysed by itself, then what holds sections together, then all of it.

    A section with sections in it is put together out of them. Without headings the text is cut between paragraphs.

    Args:
        main_task: The text, plain or Markdown.
        team: The agents; those of the capabilities `analyse` and `combine` get the work.

    Returns:
        The plan; its last subtask is `report`. The same text always gives the same plan.
    """
    root = _sections(main_task)
    if not root.parts:
        root.parts = [_Section(title, 1, [piece]) for title, piece in _pieces(main_task)]
        root.lines = []
    taken: set[str] = set()
    subtasks, ends = _subtasks(root, "", taken)
    report = _combining(_free("report", taken), "Put the parts together.", ends)
    return Plan(main_task=title_of(main_task), subtasks=(*subtasks, report))


def _subtasks(section: _Section, inside: str, taken: set[str]) -> tuple[list[PlannedSubtask], list[str]]:
    """Return the subtasks of what is in a section, its own text first, and the ids of those that end its parts.

    They are subtasks of the one plan: a plan in a plan would be a run of its own for each section.
    """
    found: list[PlannedSubtask] = []
    ends: list[str] = []
    own = [_Section(section.title, section.level, section.lines)] if section.text and section.parts else []
    for part in (*own, *section.parts):
        slug = "introduction" if own and part is own[0] else _slug(part.title)
        name = _free(f"{inside}{slug}"[-_LONGEST_NAME:].strip(".-"), taken)
        taken.add(name)
        if part.parts:
            inner, last = _subtasks(part, f"{name}.", taken)
            title = {"title": part.title}
            found += [*inner, _combining(name, f"Put the parts of {part.title!r} together.", last, input_data=title)]
        else:
            found.append(_leaf(name, part))
        ends.append(name)
    return found, ends


def _leaf(name: str, section: _Section) -> PlannedSubtask:
    return PlannedSubtask(
        id=name,
        description=f"Analyse {section.title!r}.",
        task_type="analyse",
        capabilities=("analyse",),
        input_data={"title": section.title, "text": section.text},
        expected_seconds=max(0.01, round(len(section.text.split()) / WORDS_A_SECOND, 3)),
    )


def _combining(name: str, description: str, parts: list[str], **more: Any) -> PlannedSubtask:
    return PlannedSubtask(
        id=name,
        description=description,
        task_type="combine",
        capabilities=("combine",),
        dependencies=tuple(parts),
        expected_seconds=0.01,
        **more,
    )


def _sections(text: str) -> _Section:
    root = _Section(title_of(text), 0)
    way, fenced = [root], False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            way[-1].lines.append(line)
            continue
        section = _Section(heading[2], len(heading[1]))
        while way[-1].level >= section.level:
            way.pop()
        way[-1].parts.append(section)
        way.append(section)
    return root


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield title and text of the pieces of a text without headings."""
    kept: list[str] = []
    number = 0
    for paragraph in (*re.split(r"\n\s*\n", text.strip()), None):
        full = kept and (paragraph is None or sum(len(each.split()) for each in kept) >= PIECE_WORDS)
        if full:
            number += 1
            yield f"Part {number}", "\n\n".join(kept)
            kept = []
        if paragraph:
            kept.append(paragraph)


def title_of(text: str) -> str:
    """Return the first line of a text that says something, at most 200 characters of it."""
    first = next((line.strip("# \t") for line in text.splitlines() if line.strip("# \t")), "")
    return first[:200]


def _slug(title: str) -> str:
    return _UNFIT.sub("-", title.lower()).strip("-")[:60].strip("-") or "section"


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


class _Part(BaseModel):
    """One subtask as a model proposes it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="A short name, unique; small letters, digits and hyphens.")
    description: str = Field(description="What is to be done, complete in itself.")
    capabilities: list[str] = Field(description="What an agent must be able to do for it; only what the agents can.")
    dependencies: list[str] = Field(description="The ids whose results it needs; as few as possible.")
    expected_seconds: float = Field(description="How long it will take.")


class _Proposal(BaseModel):
    """The plan that a model proposes."""

    model_config = ConfigDict(extra="forbid")

    subtasks: list[_Part]


def model_planner(model: BaseChatModel | str | None = None) -> AsyncPlanner:
    """Make a planner that asks a chat model.

    A proposal that cannot be carried out goes back to the model with what is wrong, up to three times in all.

    Args:
        model: A LangChain chat model that can give structured output, or the name of one, such as `openai:gpt-5-mini`.
            None: the setting `ADJOURN_MODEL`, which is read when the planner runs.

    Returns:
        An async planner. It raises ConfigurationError without a model, RunFailed when no proposal is a plan, and the
        provider's errors as they are.
    """

    async def plan_with_a_model(main_task: str, team: Team) -> Plan:
        asked = _chosen(model).with_structured_output(_Proposal, include_raw=True)
        messages = [("system", load_prompt("planning")), ("human", _message(main_task, team))]
        problem = ""
        for _ in range(PROPOSALS):
            try:
                answer: Any = await asked.ainvoke(messages)
                if isinstance(answer["parsed"], _Proposal):
                    return _as_plan(main_task, answer["parsed"], team)
                problem = f"no plan: {answer['parsing_error']}"
            except ValidationError as error:  # some clients check the schema themselves
                problem = f"no plan: {error.errors(include_input=False, include_url=False)[0]['msg']}"
            except InvalidPlan as error:
                problem = error.message
            messages = [*messages[:2], ("human", f"Your last proposal cannot be used: {problem}\nPropose again.")]
        raise RunFailed(f"The model proposed no plan that can be carried out, {PROPOSALS} times. The last: {problem}")

    return plan_with_a_model


def default_planner() -> AsyncPlanner:
    """Make a planner that asks the model of `ADJOURN_MODEL` if it is set, and works with rules otherwise."""

    async def plan_by_default(main_task: str, team: Team) -> Plan:
        spec = current_settings().model
        return rule_planner(main_task, team) if spec is None else await model_planner(spec)(main_task, team)

    return plan_by_default


def _as_plan(main_task: str, proposal: _Proposal, team: Team) -> Plan:
    found = read_plan(
        {"main_task": main_task, "subtasks": [each.model_dump() for each in proposal.subtasks]}, source="the proposal"
    )
    team.check(planned(found)[0].values())
    return found


def _chosen(model: BaseChatModel | str | None) -> BaseChatModel:
    chosen = current_settings().model if model is None else model
    if chosen is None:
        raise ConfigurationError(
            "The model planner has no model. Set ADJOURN_MODEL, such as openai:gpt-5-mini, or use rule_planner."
        )
    return open_model(chosen) if isinstance(chosen, str) else chosen


def _message(main_task: str, team: Team) -> str:
    # the mark depends on the task, so that no task can hold its own end line
    mark = sha256(main_task.encode()).hexdigest()[:16]
    return f"The agents and what they can do:\n{team.described()}\n\nBEGIN TASK {mark}\n{main_task}\nEND TASK {mark}"
