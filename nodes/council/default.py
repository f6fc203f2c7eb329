"""Who sits in a council when nobody is named, and what acts for an agent of which only the roster data are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...settings import current_settings
from ...state.council import Request
from ...state.roster import Agent, Roster
from ..prompts import load_prompt
from ..roster import load_roster
from .members import Act, Member, members_of
from .rules import LENSES, rule_agent

__all__ = ["default_agent", "default_members"]

# name → what it can do; its persona is the prompt of that name
_SEATS = {"analyst": ("facts",), "sceptic": ("risk",), "advocate": ("tone",)}


def default_members() -> Sequence[Member]:
    """Return the agents of `ADJOURN_COUNCIL_ROSTER`, or an analyst, a sceptic and an advocate. Read when nodes run.

    Raises:
        InvalidRoster: The file has a mistake; the message names its line and key.
    """
    file = current_settings().council_roster
    return members_of(load_roster(Path(file)) if file is not None else _seats())


def _seats() -> Roster:
    agents = tuple(
        Agent(name=name, role=load_prompt(f"persona-{name}"), capabilities=can, capacity=3)
        for name, can in _SEATS.items()
    )
    return Roster(agents=agents)


def default_agent(agent: Agent) -> Act:
    """Make what acts for an agent: the model of `ADJOURN_MODEL` when it is set, otherwise rules.

    Without a model, an agent that can do `risk` or `tone` reads for that, and all others for facts.

    Args:
        agent: Whom it acts for.
    """
    lens = next((each for each in agent.capabilities if each in LENSES), LENSES[0])
    by_rules = rule_agent(lens)

    async def act(request: Request) -> Any:
        spec = current_settings().model
        if spec is None:
            from anyio import to_thread

            return await to_thread.run_sync(by_rules, request)
        from .model_agent import model_agent

        return await model_agent(spec)(request)

    return act
