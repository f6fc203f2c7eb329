"""Agents: what is known of each (`Agent`), and what acts for it.

member("ada", "openai:gpt-5-mini", role="A careful lawyer.", capabilities=["law"])     a chat model with a persona
member("bo", create_agent(model, tools))                                               a LangChain agent
member("cy", graph)                                                                    a compiled graph
member("dee", count_errors, capabilities=["logs"])                                     a function, plain or async
members_of(load_roster("roster.yaml"))                                                 all agents of a roster file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from langchain_core.language_models import BaseChatModel
from langgraph.pregel import Pregel
from pydantic import ValidationError

from ...errors import ConfigurationError, InvalidRoster
from ...state.council import Request
from ...state.roster import Agent, Roster
from ..arguments import check_seconds

__all__ = ["Act", "Acting", "Member", "Members", "crew_of", "member", "members_of", "seated"]

Act: TypeAlias = Callable[[Request], Any]
"""Gets a `Request` and returns an answer, or something to await for it.

An answer to `work`, `help` and `draft` is text, or keys and values (with `answer`, if there is one in words); one to
`vote` is what `read_vote` reads; one to `argue` has `keeps` (true or false) and `reason`.
"""

Acting: TypeAlias = "Act | BaseChatModel | Pregel[Any, Any, Any, Any] | str"


@dataclass(frozen=True, slots=True)
class Member:
    """An agent of a council; made by `member`.

    Args:
        agent: What is known of it.
        act: What acts for it.
        timeout: Seconds that it has for one answer; None for what the node says.
        workflow: The graph that acts, or the name of a registered workflow; None where a function acts.
        may_pause: Whether it is a child run.
    """

    agent: Agent
    act: Act
    timeout: float | None = None
    workflow: Any = None
    may_pause: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.agent.name


Members: TypeAlias = "Sequence[Member] | Callable[[], Sequence[Member]]"
"""The agents of a council, or a function that returns them, which is called when a node runs."""


def member(
    name: str | Agent,
    acting: Acting,
    *,
    tools: Sequence[Any] = (),
    may_pause: bool = False,
    timeout: float | None = None,
    **data: Any,
) -> Member:
    """Make an agent.

    Args:
        name: Its name, or all that is known of it.
        acting: A function of a `Request` (plain or async), a LangChain chat model or the name of one, or a compiled graph
            (a LangChain agent is one).
        tools: LangChain tools that a chat model may call before it answers.
        may_pause: Whether it may ask people, or does things to the world outside that must not be done twice. It is a
            child run then, with a thread of its own: while it waits, the others go on. `acting` is a graph with a name
            of its own, or the name of a registered workflow with the keys `request` and `answer`; register it with every
            engine that may go on with it. There is no time-out for it: its questions have deadlines of their own.
        timeout: Seconds that it has for one answer; None for what the node says.
        **data: More that is known of it: the keys of `adjourn.state.roster.Agent`.

    Raises:
        InvalidRoster: A key is unknown, or a value does not fit.
        ConfigurationError: `acting` is nothing that can act, or a graph of which it is not clear how to ask it; or tools
            are given to something else than a chat model.
        InvalidInput: `timeout` is no number of seconds above 0.
    """
    agent = name if isinstance(name, Agent) and not data else _agent(name, data)
    if timeout is not None:
        check_seconds("timeout", timeout)
    if may_pause:
        return Member(agent, _never_called, timeout, workflow=_pausing(agent, acting), may_pause=True)
    workflow = acting if isinstance(acting, Pregel) else None
    return Member(agent, _acting(agent, acting, tools), timeout, workflow=workflow)


def members_of(roster: Roster, acting: Mapping[str, Acting] | None = None) -> list[Member]:
    """Make the agents of a roster.

    Args:
        roster: As `load_roster` reads it.
        acting: Agent → what acts for it. For those that are not named: the model of `ADJOURN_MODEL` with their role as its
            persona when it is set, and rules otherwise; that is decided when they are asked.

    Raises:
        InvalidRoster: Something acts for an agent that is not in the roster.
        ConfigurationError: As `member`.
    """
    from .default import default_agent

    known = {agent.name for agent in roster.agents}
    if strangers := sorted(set(acting or {}) - known):
        raise InvalidRoster(
            f"There is no agent {', '.join(map(repr, strangers))} in the roster; it has {', '.join(sorted(known))}."
        )
    return [member(agent, (acting or {}).get(agent.name) or default_agent(agent)) for agent in roster.agents]


def crew_of(members: Members) -> dict[str, Member]:
    """Return the agents by name, sorted, so that nothing depends on how the caller listed them.

    Raises:
        InvalidRoster: There are none, two have one name, or an agent trusts one that is not there.
    """
    found = list(members() if callable(members) else members)
    if strange := [each for each in cast("list[Any]", found) if not isinstance(each, Member)]:
        raise InvalidRoster(f"A council consists of agents made by member(…), not of {strange[0]!r:.80}.")
    try:
        Roster(agents=tuple(each.agent for each in found))
    except ValidationError as error:
        raise InvalidRoster(f"The agents do not fit together: {_first(error)}.") from error
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def seated(crew: Mapping[str, Member], name: str) -> Member:
    """Return the agent of a name.

    Raises:
        InvalidRoster: It is not in the council any more, although it has work there.
    """
    if name not in crew:
        raise InvalidRoster(
            f"The agent {name!r} has work in this run and is not in the council any more; it has {', '.join(crew)}. "
            "Take it in again, then retry the run."
        )
    return crew[name]


def _agent(name: str | Agent, data: Mapping[str, Any]) -> Agent:
    known = name.model_dump() if isinstance(name, Agent) else {"name": name}
    try:
        return Agent.model_validate({**known, **data})
    except ValidationError as error:
        raise InvalidRoster(f"The agent {name!r} does not fit: {_first(error)}.") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first.get("ctx", {}).get("where", first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _pausing(agent: Agent, acting: Acting) -> Any:
    """Return what is run as a child."""
    from .graph_agent import check_graph, is_named

    if isinstance(acting, str):
        return acting
    if not isinstance(acting, Pregel) or not is_named(acting):
        raise ConfigurationError(
            f"The agent {agent.name!r} may pause, so it is a child run: give the name of a registered workflow, or a "
            "graph that was compiled with a name of its own (compile(name='…'))."
        )
    check_graph(agent.name, acting)
    return acting


def _never_called(request: Request) -> Any:
    raise RuntimeError("a child run acts for this agent")


def _acting(agent: Agent, acting: Acting, tools: Sequence[Any]) -> Act:
    if tools and not isinstance(acting, BaseChatModel | str):
        raise ConfigurationError(f"Only a chat model takes tools; give the agent {agent.name!r} a graph that has them.")
    if isinstance(acting, Pregel):
        from .graph_agent import graph_agent

        return graph_agent(agent.name, acting)
    if isinstance(acting, BaseChatModel | str):
        from .model_agent import model_agent

        return model_agent(acting, tools)
    if callable(acting):
        return acting
    raise ConfigurationError(
        f"Nothing can act for the agent {agent.name!r}: give a function of a request, a chat model or the name of one "
        f"(such as openai:gpt-5-mini), or a compiled graph, not {type(acting).__name__}."
    )
