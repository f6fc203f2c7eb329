"""Memory of agents: how they fared in earlier runs, in the store of the run (`runtime.store`).

Each run writes one item under its own thread id: who did well, who did not. Reputation, performance and trust are
computed from the items of the last runs whenever they are wanted. So a node that runs again writes the same item once
more, runs that end at the same time lose nothing of each other, and nothing is counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from ...errors import InvalidInput
from ...state.council import CouncilState
from ...state.roster import Agent
from ..assignment import reputation_after, trust_after
from ..here import store_here, thread_here
from ..step import Clock, utcnow
from .node import AsyncCouncilNode

__all__ = ["RUNS", "outcomes", "recalled", "remembrance", "standing"]

RUNS: Final = 100
"""How many of the last runs count. With the default rates an older one would change nothing any more."""

_RECENT: Final = 0.5
_NAME: Final = re.compile(r"[A-Za-z0-9 -]{1,100}")


def remembrance(memory: str = "council", *, clock: Clock = utcnow) -> AsyncCouncilNode:
    """Make a node that writes down how the agents of this run fared. Where there is no store it does nothing.

    What counts: whether an agent finished what it was given (1) or failed at it (0), for each attempt; and, only where a
    person decided, whether its vote was for that. Agreeing with the majority is not rewarded: it would teach agents
    to follow. An agent's trust in a helper changes with whether the subtask that they shared was finished.

    Args:
        memory: The name under which this council's agents are remembered; councils with one name share their memory.
        clock: The time.

    Returns:
        A node that writes nothing to the state.

    Raises:
        InvalidInput: The name does not fit.
    """
    check_memory(memory)

    async def remember(state: Any) -> CouncilState:
        store, thread = store_here(), thread_here()
        if store is None or thread is None:
            return {}
        item = {"at": clock().astimezone(UTC).isoformat(), **outcomes(state)}
        kept = await store.aget(_namespace(memory), thread)
        if kept is not None:  # written by an attempt of this node that was not stored; its time counts
            item["at"] = kept.value["at"]
        await store.aput(_namespace(memory), thread, item)
        return {}

    return remember


def check_memory(memory: str) -> None:
    """Refuse a name that a store could mistake for another.

    Raises:
        InvalidInput: It is not made of letters, digits, blanks and hyphens.
    """
    if not _NAME.fullmatch(str(memory)):
        raise InvalidInput(f"memory is a name of letters, digits, blanks and hyphens, not {memory!r}.")


def outcomes(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return how agents fared in a run: `agents` (name → outcomes, 0 or 1) and `trust` ([who, whom, finished])."""
    agents: dict[str, list[float]] = {}
    trust: list[list[Any]] = []
    for name, result in sorted((state.get("execution_results") or {}).items()):
        for failure in result["failures"]:
            agents.setdefault(failure["agent"], []).append(0.0)
        given = (state.get("agent_assignments") or {}).get(name)
        if given is None:
            continue
        done = result["status"] == "completed" and result["agent"] == given["agent"]
        if done:
            agents.setdefault(given["agent"], []).append(1.0)
        trust += [[given["agent"], helper, done] for helper in given["helpers"]]
    results = state.get("consensus_results") or {}
    if results.get("decided_by") not in (None, "vote", "agreement"):
        for vote in state.get("votes") or []:
            if vote["decision"] is not None:
                agents.setdefault(vote["agent"], []).append(float(vote["decision"] == results["decision"]))
    return {"agents": agents, "trust": trust}


def standing(agents: Iterable[Agent], runs: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return agents as earlier runs made them: their reputation, recent performance, and trust in each other.

    Args:
        agents: As the roster says; what is remembered goes on from that.
        runs: What was written down, oldest first.
    """
    known = {agent.name: agent for agent in agents}
    for run in runs:
        for name, marks in run["agents"].items():
            if name not in known:
                continue
            for mark in marks:
                agent = known[name]
                recent = mark if agent.performance is None else agent.performance
                known[name] = agent.model_copy(
                    update={
                        "reputation": reputation_after(agent.reputation, mark),
                        "performance": reputation_after(recent, mark, rate=_RECENT),
                    }
                )
        for who, whom, finished in run["trust"]:
            if who in known and whom in known:
                agent = known[who]
                trust = trust_after(agent.trust.get(whom, 0.5), finished)
                known[who] = agent.model_copy(update={"trust": {**agent.trust, whom: trust}})
    return list(known.values())


async def recalled(memory: str | None, agents: Sequence[Agent]) -> list[Agent]:
    """Return agents with what the store knows of them; as they are where there is no store."""
    store = store_here() if memory is not None else None
    if store is None or memory is None:
        return list(agents)
    items = await store.asearch(_namespace(memory), limit=RUNS)
    runs = sorted((item.value for item in items), key=lambda value: (str(value["at"]), str(value["agents"])))
    return standing(agents, runs)


def _namespace(memory: str) -> tuple[str, ...]:
    return ("adjourn", "council", memory)
