"""One door to all strategies: subtasks and agents in, who does what out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ...errors import InvalidPlan, InvalidRoster
from ...state.assignments import Assigned, Assignment, Subtask, Unassigned, WhyNot
from ...state.roster import Agent
from ..arguments import check_count, one_of
from .formulas import BIDDING_LOAD, auction_score, capability_score, coverage, has_room, lacking, load_score
from .peers import helpers_for

__all__ = ["MAX_REASSIGNMENTS", "STRATEGIES", "OnMissing", "assign"]

STRATEGIES: Final = ("capability", "auction", "peer", "load")
"""The names of the strategies."""

MAX_REASSIGNMENTS: Final = 2
"""How often a failed subtask is assigned again before a person is asked."""

OnMissing = Literal["error", "person", "queue"]


@dataclass(frozen=True, slots=True)
class _Choice:
    agent: Agent
    helpers: list[Agent]
    scores: dict[str, float]


# who may take a subtask (everybody may help) → the choice, or None when nobody can
_Choose = Callable[[Subtask, Sequence[Agent], Sequence[Agent]], _Choice | None]


def assign(
    strategy: str,
    subtasks: Iterable[Subtask],
    agents: Iterable[Agent],
    *,
    on_missing: OnMissing = "error",
    max_reassignments: int = MAX_REASSIGNMENTS,
) -> Assigned:
    """Choose an agent for each subtask.

    Subtasks are looked at by priority, then by id; each assignment adds to the load that the next one sees. A subtask
    that failed goes to an agent that has not failed it, as long as there is one that can do it, even if that one is
    busy now; otherwise to one that failed it least often. After `max_reassignments` of that a person is asked.

    Args:
        strategy: `capability` (the best fit times performance among those with room), `auction` (the best bid; nobody
            above 80 % load bids), `peer` (an agent with helpers that it trusts) or `load` (the least loaded).
        subtasks: Those that are ready; dependencies are the caller's business.
        agents: The roster.
        on_missing: When no agent (or team) has what a subtask requires: refuse all (`error`), or leave that subtask to a
            person or to the queue.
        max_reassignments: How often a failed subtask is assigned again.

    Returns:
        Who does what, and what nobody does now, with the reasons. JSON-safe.

    Raises:
        InvalidInput: An unknown strategy or policy.
        InvalidRoster: There are no agents, or two of one name.
        InvalidPlan: Two subtasks have one id; or, with `on_missing="error"`, nobody has what a subtask requires.
    """
    one_of("strategy", strategy, STRATEGIES)
    one_of("policy on_missing", on_missing, get_args(OnMissing))
    check_count("max_reassignments", max_reassignments, 0)
    roster = {agent.name: agent for agent in _checked_agents(agents)}
    found: Assigned = {"assignments": [], "unassigned": []}
    for subtask in _in_order(subtasks):
        result = _place(strategy, subtask, list(roster.values()), max_reassignments, on_missing)
        if isinstance(result, _Choice):
            found["assignments"].append(_assignment(strategy, subtask, result))
            for busy in (result.agent, *result.helpers):
                roster[busy.name] = busy.model_copy(update={"active": busy.active + 1})
        else:
            found["unassigned"].append(result)
    return found


def _place(
    strategy: str, subtask: Subtask, agents: list[Agent], max_reassignments: int, on_missing: OnMissing
) -> _Choice | Unassigned:
    if len(subtask.failed_by) > max_reassignments:
        tried = ", ".join(subtask.failed_by)
        return _not_assigned(subtask, "failed_too_often", [], "person", f"{subtask.id!r} failed with {tried}")
    choose = _CHOOSERS[strategy]
    idle = [agent.model_copy(update={"active": 0}) for agent in agents]
    able = next((names for names in _by_failures(subtask, agents) if choose(subtask, _only(names, idle), idle)), None)
    if able is None:
        return _nobody(strategy, subtask, agents, on_missing)
    chosen = choose(subtask, _only(able, agents), agents)
    return chosen or _not_assigned(
        subtask, "busy", [], "queue", f"everybody who can do {subtask.id!r} is busy: {', '.join(sorted(able))}"
    )


def _by_failures(subtask: Subtask, agents: Sequence[Agent]) -> list[set[str]]:
    """Return who may be asked first (those that have not failed), and the wider circles after that."""
    failures = {agent.name: subtask.failed_by.count(agent.name) for agent in agents}
    return [{name for name, count in failures.items() if count <= most} for most in sorted(set(failures.values()))]


def _only(names: set[str], agents: Sequence[Agent]) -> list[Agent]:
    return [agent for agent in agents if agent.name in names]


def _best(candidates: Sequence[Agent], scores: dict[str, float], *, lowest: bool = False) -> _Choice | None:
    """Choose by score; equal agents are told apart by load, then by name."""
    sign = 1 if lowest else -1
    chosen = min(candidates, key=lambda agent: (sign * scores[agent.name], agent.load, agent.name), default=None)
    return None if chosen is None else _Choice(chosen, [], dict(sorted(scores.items())))


def _able(subtask: Subtask, agents: Sequence[Agent]) -> list[Agent]:
    return [agent for agent in agents if has_room(agent) and not lacking(subtask, [agent])]


def _by_capability(subtask: Subtask, agents: Sequence[Agent], everybody: Sequence[Agent]) -> _Choice | None:
    able = _able(subtask, agents)
    return _best(able, {agent.name: capability_score(subtask, agent) for agent in able})


def _by_auction(subtask: Subtask, agents: Sequence[Agent], everybody: Sequence[Agent]) -> _Choice | None:
    bidders = [agent for agent in _able(subtask, agents) if agent.load <= BIDDING_LOAD]
    return _best(bidders, {agent.name: auction_score(subtask, agent, bidders) for agent in bidders})


def _by_load(subtask: Subtask, agents: Sequence[Agent], everybody: Sequence[Agent]) -> _Choice | None:
    able = _able(subtask, agents)
    return _best(able, {agent.name: load_score(subtask, agent) for agent in able}, lowest=True)


def _by_peers(subtask: Subtask, agents: Sequence[Agent], everybody: Sequence[Agent]) -> _Choice | None:
    """Let the agent with the largest share of what is required lead, if the peers it trusts have the rest."""
    free = [agent for agent in everybody if has_room(agent)]
    teams = {
        agent.name: team
        for agent in agents
        if has_room(agent) and coverage(subtask, agent) > 0 and (team := helpers_for(subtask, agent, free)) is not None
    }
    leaders = [agent for agent in agents if agent.name in teams]
    scores = {agent.name: coverage(subtask, agent) for agent in leaders}
    chosen = _best(leaders, scores)
    return None if chosen is None else _Choice(chosen.agent, teams[chosen.agent.name], chosen.scores)


_CHOOSERS: Final[dict[str, _Choose]] = {
    "capability": _by_capability,
    "auction": _by_auction,
    "peer": _by_peers,
    "load": _by_load,
}


def _assignment(strategy: str, subtask: Subtask, choice: _Choice) -> Assignment:
    name, helpers = choice.agent.name, [helper.name for helper in choice.helpers]
    asked = f", who asks {' and '.join(helpers)}" if helpers else ""
    return {
        "subtask": subtask.id,
        "agent": name,
        "helpers": helpers,
        "strategy": strategy,
        "score": choice.scores[name],
        "scores": choice.scores,
        "attempt": len(subtask.failed_by) + 1,
        "reason": f"{name}{asked}: {choice.scores[name]:.3g} by {strategy}, of {len(choice.scores)} who could",
    }


def _nobody(strategy: str, subtask: Subtask, agents: Sequence[Agent], on_missing: OnMissing) -> Unassigned:
    nowhere = lacking(subtask, agents)
    nearest = min((lacking(subtask, [agent]) for agent in agents), key=lambda missing: (len(missing), missing))
    if nowhere:
        reason = f"no agent has {', '.join(nowhere)}, which {subtask.id!r} requires"
    elif strategy == "peer":
        reason = f"no agent has up to three peers that it trusts with what it lacks for {subtask.id!r}"
    else:
        reason = (
            f"no single agent has all of {', '.join(subtask.capabilities)}, which {subtask.id!r} requires; "
            "the strategy 'peer' lets agents help each other"
        )
    if on_missing == "error":
        known = "; ".join(f"{agent.name}: {', '.join(agent.capabilities) or 'none'}" for agent in _sorted(agents))
        raise InvalidPlan(
            f"The subtasks cannot be assigned: {reason}. The agents have {known}. Add an agent or a capability to the "
            'roster, or set on_missing to "person" or "queue".'
        )
    cause: WhyNot = "no_trusted_peers" if strategy == "peer" and not nowhere else "no_capability"
    return _not_assigned(subtask, cause, nowhere or nearest, on_missing, reason)


def _not_assigned(
    subtask: Subtask,
    cause: WhyNot,
    missing: list[str],
    after: Literal["queue", "person"],
    reason: str,
) -> Unassigned:
    return {"subtask": subtask.id, "cause": cause, "missing": missing, "next": after, "reason": reason}


def _sorted(agents: Iterable[Agent]) -> list[Agent]:
    return sorted(agents, key=lambda agent: agent.name)


def _checked_agents(agents: Iterable[Agent]) -> list[Agent]:
    found = _sorted(agents)
    if not found:
        raise InvalidRoster("The roster has no agents. Give at least one.")
    names = [agent.name for agent in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidRoster(f"Each agent needs a name of its own; {', '.join(twice)} is there more than once.")
    return found


def _in_order(subtasks: Iterable[Subtask]) -> list[Subtask]:
    found = sorted(subtasks, key=lambda subtask: (-subtask.priority, subtask.id))
    ids = [subtask.id for subtask in found]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise InvalidPlan(f"Each subtask needs an id of its own; {', '.join(twice)} is there more than once.")
    return found
