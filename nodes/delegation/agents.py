"""Who does the subtasks: functions, LangChain models and agents, compiled graphs; each with capabilities and room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from anyio import CapacityLimiter
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel

from ...errors import (
    ChildFailed,
    ChildMismatch,
    ConfigurationError,
    DepthExceeded,
    InvalidInput,
    InvalidPlan,
    InvalidRoster,
    NotAuthorized,
    UnknownWorkflow,
)
from ...state.assignments import Subtask
from ...state.delegation import SubtaskState
from ...state.roster import Agent, Roster
from ...state.values import JsonValue, canonical_json
from ..assignment.formulas import capability_score, has_room, lacking
from ..calling import called
from ..child_port import children_in
from ..effect_port import effects_in
from ..prompts import load_prompt
from .answers import PersonsAnswer, question_text

__all__ = ["AgentLike", "Brief", "NeedsPerson", "Team", "brief_text", "is_permanent", "needs_agent"]

_ANY: Final = 1_000_000
_USELESS: Final = (
    ChildMismatch, ConfigurationError, DepthExceeded, InvalidInput, InvalidPlan, NotAuthorized, UnknownWorkflow,
)  # fmt: skip
_REFUSED: Final = (400, 401, 403, 404, 422)


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is given.

    Args:
        main_task: What all of it is for.
        task_id: Which subtask it is.
        task_type: What kind of work it is.
        description: What is to be done.
        input_data: What the plan gives it.
        results: Dependency → what came out of it.
        global_context: What every agent is given.
        attempt: 1 for the first try.
        idempotency_key: The same each time this subtask is tried, also by other processes.
        answers: What people answered to what this subtask's agent asked with `NeedsPerson`, in their order.
    """

    main_task: str
    task_id: str
    task_type: str
    description: str
    input_data: dict[str, Any]
    results: dict[str, Any]
    global_context: dict[str, Any] = field(default_factory=dict)
    attempt: int = 1
    idempotency_key: str = ""
    answers: tuple[PersonsAnswer, ...] = ()

    def approved(self, asked: str) -> bool:
        """Say whether a person approved what this subtask's agent asked, with its input as it is now.

        An edit is an approval of the input that the person wrote. To have a failed subtask tried again is none.

        Args:
            asked: The text that was raised with `NeedsPerson`.
        """
        text = question_text(asked)
        last = next((each for each in reversed(self.answers) if each.asked == text and each.stands), None)
        return last is not None and last.decision in ("approve", "edit")


class NeedsPerson(Exception):
    """Raised by an agent that cannot decide by itself; the argument says what a person should look at.

    The subtask becomes `requires_human`; everything else goes on, and people are asked when nothing more can start. When
    somebody approves, or edits the input, the agent runs again and is told (`Brief.answers`, `Brief.approved`); one that
    raises the same again is asked about again. After a response or a rejection the agent does not run again.
    """


Function: TypeAlias = Callable[[Brief], "JsonValue | Awaitable[JsonValue]"]
AgentLike: TypeAlias = "Function | Runnable[Any, Any]"
"""A function of a `Brief`, plain (it runs in a thread) or async; a chat model; a LangChain agent; or a compiled graph.

A chat model answers in text. A graph with `messages`, such as LangChain's agents, gets the brief as one message, and what it
says last is the result; any other graph gets `input_data`, and its output is the result. A graph that may pause belongs
into a run of its own: name it as the subtask's `workflow`.
"""


class Team:
    """The agents of a workflow. Immutable; who is busy is kept where the work is done.

    Args:
        agents: Name → who does the work.
        roster: What they can do, and how many subtasks each may have in hand. An agent that is not in it, or all without
            a roster, can do what it is called, and any number at once.

    Raises:
        ConfigurationError: There are no agents, or one cannot be called.
        InvalidRoster: The roster names an agent that is not there.
    """

    def __init__(self, agents: Mapping[str, AgentLike], roster: Roster | None = None) -> None:
        if not agents:
            raise ConfigurationError("A delegation needs at least one agent: agents={'name': function}.")
        for name, agent in agents.items():
            if not callable(agent) and not isinstance(agent, Runnable):
                raise ConfigurationError(
                    f"The agent {name!r} is a {type(agent).__name__}; it must be a function or a LangChain runnable."
                )
        profiles = {agent.name: agent for agent in roster.agents} if roster else {}
        if missing := sorted(set(profiles) - set(agents)):
            raise InvalidRoster(f"The roster has {', '.join(missing)}, and there is no agent of that name.")
        self._agents = dict(agents)
        self._profiles = {
            name: profiles.get(name) or Agent(name=name, capabilities=(name,), capacity=_ANY) for name in agents
        }

    def check(self, subtasks: Iterable[SubtaskState]) -> None:
        """Refuse subtasks that nobody can do.

        Raises:
            InvalidPlan: The message names each subtask, and the agents that there are.
        """
        problems = []
        for subtask in subtasks:
            if not needs_agent(subtask):
                continue
            wanted = subtask["agent"]
            if wanted is not None and wanted not in self._agents:
                problems.append(f"{subtask['task_id']!r} names the agent {wanted!r}")
            elif wanted is None and not self._able(subtask):
                problems.append(f"{subtask['task_id']!r} needs {' and '.join(subtask['capabilities'])}")
        if problems:
            known = "; ".join(
                f"{name}: {', '.join(each.capabilities)}" for name, each in sorted(self._profiles.items())
            )
            shown = ", ".join(problems[:10]) + (f" and {len(problems) - 10} more" if len(problems) > 10 else "")
            raise InvalidPlan(f"Nobody is there for this: {shown}. The agents and what they can do: {known}.")

    def others(self, subtask: SubtaskState) -> list[str]:
        """Return the capable agents that have not failed a subtask, the one that has it now left out."""
        gone = {*subtask["tried_by"], subtask["assigned_agent"]}
        return sorted(name for name in self._able(subtask) if name not in gone)

    def choose(self, subtask: SubtaskState, active: Mapping[str, int]) -> str | None:
        """Return who takes a subtask now: the agent that the plan names, or the best fit of those with room.

        A retry stays with its agent; after `reassign` another one takes it.

        Args:
            subtask: The subtask.
            active: Agent → how many it has in hand.

        Returns:
            A name, or None when all who could are busy.
        """
        last, tried = subtask["assigned_agent"], set(subtask["tried_by"])
        if subtask["retry_count"] and last is not None and last not in tried:
            names = [last]
        elif subtask["agent"] is not None and subtask["agent"] not in tried:
            names = [subtask["agent"]]
        else:
            able = self._able(subtask)
            names = [name for name in able if name not in tried] or able
        wanted = _wanted(subtask)
        free = [
            agent
            for name in names
            if has_room(agent := self._profiles[name].model_copy(update={"active": active.get(name, 0)}))
        ]
        best = min(free, key=lambda agent: (-capability_score(wanted, agent), agent.load, agent.name), default=None)
        return best.name if best else None

    async def do(self, name: str, brief: Brief, limiter: CapacityLimiter) -> Any:
        """Let an agent do a subtask, and return what it says.

        Args:
            name: The agent.
            brief: What it is given.
            limiter: Bounds the threads of plain functions.
        """
        agent = self._agents[name]
        if isinstance(agent, Runnable):
            return await _run(agent, self._profiles[name], brief)
        return await called(agent, brief, limiter=limiter)

    def described(self) -> str:
        """Return who there is and what they can do, one line each, for a planner."""
        lines = [
            f"- {name}: {', '.join(each.capabilities)}{f' ({each.role})' if each.role else ''}"
            for name, each in sorted(self._profiles.items())
        ]
        return "\n".join(lines)

    def _able(self, subtask: SubtaskState) -> list[str]:
        wanted = _wanted(subtask)
        return [name for name, agent in self._profiles.items() if not lacking(wanted, [agent])]


def needs_agent(subtask: SubtaskState) -> bool:
    """Say whether an agent does a subtask; otherwise a run of its own does."""
    return subtask["plan"] is None and subtask["workflow"] is None


def _wanted(subtask: SubtaskState) -> Subtask:
    return Subtask.model_construct(id=subtask["task_id"], capabilities=tuple(subtask["capabilities"]))


async def _run(agent: Runnable[Any, Any], profile: Agent, brief: Brief) -> Any:
    """Call a LangChain runnable outside the graph that we are a node of: it is no part of that graph's checkpoints."""
    given: Any
    if isinstance(agent, Pregel):
        given = {"messages": _messages(profile, brief)} if "messages" in agent.channels else brief.input_data
    else:
        given = _messages(profile, brief) if isinstance(agent, BaseChatModel) else _as_json(brief)
    return _said(await _apart(agent, given))


async def _apart(agent: Runnable[Any, Any], given: Any) -> Any:
    async def call() -> Any:
        # What stands here ends with the task. The rest of the context stays: settings, the run's budget, the log's fields.
        var_child_runnable_config.set(None)
        with effects_in(None), children_in(None):
            return await agent.ainvoke(given)

    return await asyncio.create_task(call())


def _messages(profile: Agent, brief: Brief) -> list[tuple[str, str]]:
    role = profile.role or f"You are {profile.name}."
    return [("system", f"{role}\n\n{load_prompt('subtask')}"), ("human", brief_text(brief))]


def brief_text(brief: Brief) -> str:
    """Return a brief as the JSON that a model reads."""
    return canonical_json(_as_json(brief))


def _as_json(brief: Brief) -> dict[str, Any]:
    told: dict[str, Any] = {
        "main_task": brief.main_task,
        "subtask": brief.description or brief.task_id,
        "input": brief.input_data,
        "results_of_dependencies": brief.results,
        "context": brief.global_context,
    }
    if brief.answers:
        told["answers_of_people"] = [
            {"asked": each.asked, "decision": each.decision, "message": each.message, "input_is_the_same": each.stands}
            for each in brief.answers
        ]
    return told


def _said(found: Any) -> Any:
    """Return what a runnable said as something JSON-safe, where that is plain to see."""
    if isinstance(found, BaseMessage):
        return found.text
    if isinstance(found, dict) and isinstance(found.get("messages"), list) and found["messages"]:
        last = found["messages"][-1]
        return last.text if isinstance(last, BaseMessage) else last
    return found


def is_permanent(error: BaseException) -> bool:
    """Say whether trying the same again is useless: the caller's mistakes, settings, and refused requests."""
    if isinstance(error, ChildFailed):
        return error.status == "cancelled"
    return isinstance(error, _USELESS) or getattr(error, "status_code", None) in _REFUSED
