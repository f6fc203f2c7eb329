"""The node that looks for contradictions between results, and for how far they agree already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...state.council import CouncilState
from ..conflicts import find_conflicts
from ..here import teller
from ..voting import read_vote
from .consensus import count_votes, results_of
from .members import Members, crew_of
from .node import CouncilNode
from .procedure import Procedure
from .requests import text_of

__all__ = ["comparable", "comparison", "structured"]


def comparison(members: Members = (), procedure: Procedure | None = None, *, tolerance: float = 0.0) -> CouncilNode:
    """Make a node that compares the results of all subtasks. It asks nobody.

    Two results contradict each other where both say something under the same key and it is not the same.

    Where options are given, the `decision` that agents state in their results counts as a vote, for each agent one. If all
    agents stated one, nothing is contradicted, and the procedure calls that enough, they agree already:
    `consensus_results` says so, and nobody need be asked to vote. The level is that of these votes; without options it is 1
    without contradictions, and 0 with them.

    Args:
        members: The agents.
        procedure: The rule, and what is enough.
        tolerance: How far two numbers may lie apart, as a share of the larger one.

    Returns:
        A node that writes `conflicts`, `consensus_level` and, where all agree, `votes` and `consensus_results`.
    """
    chosen = procedure or Procedure()
    find_conflicts({}, tolerance=tolerance)  # refuses a tolerance that is none

    def compare(state: Any) -> CouncilState:
        results = structured(state)
        conflicts = find_conflicts({name: comparable(each) for name, each in results.items()}, tolerance=tolerance)
        update: CouncilState = {"conflicts": conflicts, "consensus_level": 0.0 if conflicts else 1.0}
        if state.get("options"):
            update |= _agreement(state, results, members, chosen, contradicted=bool(conflicts))
        teller("council")("compared", conflicts=conflicts, level=update["consensus_level"])
        return update

    return compare


def _agreement(
    state: Any, results: Mapping[str, Mapping[str, Any]], members: Members, procedure: Procedure, *, contradicted: bool
) -> CouncilState:
    crew, options = crew_of(members), list(state["options"])
    votes = [
        read_vote(
            {"decision": output["decision"], "reason": text_of(output.get("reason"))},
            agent=state["execution_results"][name]["agent"],
            options=options,
            weight=crew[state["execution_results"][name]["agent"]].agent.weight,
        )
        for name, output in results.items()
        if output.get("decision") in options and state["execution_results"][name]["agent"] in crew
    ]
    if not votes:
        return {"consensus_level": 0.0}
    outcome = count_votes(procedure, crew, votes, options)
    update: CouncilState = {"consensus_level": outcome["level"]}
    # who states one thing in one result and another in the next abstains, and has to be asked
    all_stated = {vote["agent"] for vote in votes} == crew.keys() and not outcome["abstained"]
    if all_stated and not contradicted and procedure.enough(outcome):
        meanings = {name: name for name in options}
        update["consensus_results"] = results_of(procedure, outcome, meanings, rounds=0, by="agreement")
        update["votes"] = votes
    return update


def structured(state: Any) -> dict[str, Mapping[str, Any]]:
    """Return the finished results that are keys and values, by subtask."""
    found = state.get("execution_results") or {}
    return {
        name: each["output"]
        for name, each in sorted(found.items())
        if each["status"] == "completed" and isinstance(each["output"], dict)
    }


# what an agent says of its own answer, or in words, is no finding that another could contradict
_ABOUT = frozenset({"answer", "claims", "confidence", "decision", "evidence", "ranking", "reason", "summary"})


def comparable(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a result another one could contradict."""
    return {key: value for key, value in output.items() if key not in _ABOUT}
