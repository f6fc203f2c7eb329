"""The node in which those whose results contradict each other argue, once."""

from __future__ import annotations

from typing import Any

from ...state.conflicts import Conflict
from ...state.council import Argument, CouncilState, Dispute, Reply, Request, cost_of
from ..arguments import check_seconds
from ..here import teller
from .asking import all_of, ask
from .members import Member, Members, crew_of
from .node import AsyncCouncilNode
from .requests import request_for, text_of

__all__ = ["resolution"]


def resolution(members: Members, *, timeout: float = 60.0) -> AsyncCouncilNode:
    """Make a node that asks both sides of each contradiction to look again, each once, all at the same time.

    A side that gives in says `{"keeps": false, "reason": …}`. Where exactly one of two agents does, the contradiction is
    settled; where both or none do, or one answers nothing readable, it stays open, and what was said goes into the vote.

    Args:
        members: The agents.
        timeout: Seconds that an agent has for one answer, unless it brings its own.

    Returns:
        A node that writes `disputes` and `costs`.

    Raises:
        InvalidInput: `timeout` is no number of seconds above 0.
    """
    check_seconds("timeout", timeout)

    async def resolve(state: Any) -> CouncilState:
        crew, tell = crew_of(members), teller("council")
        asked = [
            (number, _request(state, crew, conflict, side), side)
            for number, conflict in enumerate(state["conflicts"])
            for side in _sides(state, crew, conflict)
        ]
        replies = await all_of(
            ask(crew[request["agent"]], request, number=f"{number} {side}", seconds=timeout)
            for number, request, side in asked
        )
        disputes: list[Dispute] = []
        for number, conflict in enumerate(state["conflicts"]):
            mine = [
                (side, _argument(reply)) for (at, _, side), reply in zip(asked, replies, strict=True) if at == number
            ]
            disputes.append(_dispute(conflict, mine))
            tell("argued", **disputes[-1])
        return {"disputes": disputes, "costs": {"resolve_conflicts": cost_of(replies)}}

    return resolve


def _sides(state: Any, crew: dict[str, Member], conflict: Conflict) -> list[int]:
    """Return the sides of a conflict that can be asked; an agent that contradicts itself is asked once."""
    agents = [state["execution_results"][name]["agent"] for name in conflict["between"]]
    return [side for side, agent in enumerate(agents) if agent in crew and agent not in agents[:side]]


def _request(state: Any, crew: dict[str, Member], conflict: Conflict, side: int) -> Request:
    agent = state["execution_results"][conflict["between"][side]]["agent"]
    other = state["execution_results"][conflict["between"][1 - side]]["agent"]
    request = request_for(crew[agent], "argue", state)
    request["conflict"] = {
        "at": ".".join(conflict["path"]),
        "own": conflict["values"][side],
        "other": conflict["values"][1 - side],
        "other_agent": other,
    }
    return request


def _argument(reply: Reply) -> Argument:
    """Read an argument. What cannot be read gives in to nobody."""
    said, error = reply["output"], reply["error"]
    if error is None and not (isinstance(said, dict) and isinstance(said.get("keeps"), bool)):
        error = "its answer does not say whether it keeps to its result (keeps: true or false)"
    keeps = bool(said["keeps"]) if error is None and isinstance(said, dict) else True
    reason = said.get("reason") if isinstance(said, dict) else None
    return {
        "agent": reply["agent"],
        "keeps": keeps,
        "reason": text_of(reason) if reason is not None else "",
        "error": error,
    }


def _dispute(conflict: Conflict, arguments: list[tuple[int, Argument]]) -> Dispute:
    left = [side for side, argument in arguments if argument["keeps"]]
    settled = len(arguments) == 2 and len(left) == 1
    return {
        "conflict": conflict,
        "arguments": [argument for _, argument in arguments],
        "settled": settled,
        "value": conflict["values"][left[0]] if settled else None,
    }
