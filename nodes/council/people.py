"""What people are asked in a council, and what their answers change. Pure functions, for the node `human_review`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ...state.assignments import Unassigned
from ...state.council import ConsensusResults, CouncilState, ExecutionResult
from ...state.decisions import DecisionKind
from ...state.questions import Answer, Question, question

__all__ = ["DECISION", "SUBTASK", "ask_council", "blocked", "take_answer", "unfinished"]

SUBTASK = "council_subtask"
DECISION = "council_decision"


def unfinished(state: Mapping[str, Any]) -> list[str]:
    """Return the subtasks that are neither completed nor left out."""
    over = ("completed", "skipped")
    return [name for name, each in (state.get("subtasks") or {}).items() if each["status"] not in over]


def blocked(state: Mapping[str, Any]) -> Unassigned | None:
    """Return the first subtask that waits for a person; when none does, the first that waits for anything."""
    left = set(unfinished(state))
    waiting = [each for each in state.get("unassigned") or [] if each["subtask"] in left]
    return next((each for each in waiting if each["next"] == "person"), waiting[0] if waiting else None)


def ask_council(state: Any) -> Question:
    """Make the question of a council: what becomes of a subtask that nobody does, or what is decided without consensus.

    Works in a graph of your own, too, behind a consensus node: `human_review(ask_council, read=take_answer)`.
    """
    stuck = blocked(state)
    return _about_decision(state) if stuck is None else _about_subtask(state, stuck)


def take_answer(state: Any, answer: Answer, now: datetime) -> CouncilState:
    """Turn the answer to `ask_council` into the update of the state.

    Args:
        state: The state that the question was asked from.
        answer: What was answered.
        now: The time at which the run went on.
    """
    stuck, stamp = blocked(state), answer["stamp"]
    by, at = (stamp["by"], stamp["at"]) if stamp else ("unknown", now.isoformat())
    about = f"the subtask {stuck['subtask']}" if stuck else "the decision"
    said = {"by": by, "at": at, "decision": answer["kind"], "message": answer["message"], "about": about}
    update: CouncilState = {
        "human_decision": answer["kind"],
        "human_interactions": [*(state.get("human_interactions") or []), cast("Any", said)],
    }
    changes = _decision_taken(state, answer, by) if stuck is None else _subtask_taken(state, stuck, answer, by)
    return {**update, **changes}


def _about_subtask(state: Any, stuck: Unassigned) -> Question:
    subtask = state["subtasks"][stuck["subtask"]]
    known = (state.get("execution_results") or {}).get(stuck["subtask"])
    failures = [f"{each['agent']}: {each['cause']}" for each in known["failures"]] if known else []
    return question(
        SUBTASK,
        {"subtask": stuck["subtask"]},
        f"Nobody can do this subtask: {stuck['reason']}. Respond with its result, approve to go on without it, or reject "
        "to have it assigned again (when agents or roster have been mended).",
        allowed=("approve", "reject", "respond"),
        context={
            "main_task": state.get("main_task"),
            "description": subtask["description"],
            "success_criteria": list(subtask["success_criteria"]),
            "missing": list(stuck["missing"]),
            "failures": [*failures],
        },
    )


def _about_decision(state: Any) -> Question:
    results: ConsensusResults = state["consensus_results"]
    leading, options = results["decision"], results["options"]
    kinds: tuple[DecisionKind, ...] = (
        ("approve", "edit", "reject", "respond") if leading else ("edit", "reject", "respond")
    )
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"decision": {"type": "string", **({"enum": list(options)} if options else {"minLength": 1})}},
        "required": ["decision"],
        "additionalProperties": False,
    }
    take = f"Approve to decide for '{leading}', which leads; edit" if leading else "Edit"
    return question(
        DECISION,
        {"decision": leading},
        f"The council came to no consensus. {results['why']} {take} to decide yourself; reject to decide nothing; respond "
        "with what the agents should know for further rounds.",
        allowed=kinds,
        args_schema=schema,
        context={
            "main_task": state.get("main_task"),
            "options": dict(options),
            "level": results["level"],
            "margin": results["margin"],
            "votes": [
                {key: vote[key] for key in ("agent", "decision", "confidence", "reason", "abstained")}
                for vote in state.get("votes") or []
            ],
        },
    )


def _decision_taken(state: Any, answer: Answer, by: str) -> CouncilState:
    results: ConsensusResults = state["consensus_results"]
    if answer["kind"] == "respond":
        return {"notes": [*(state.get("notes") or []), answer["message"] or ""]}
    if answer["kind"] == "reject":
        why = answer["message"] or "no reason was given"
        taken: ConsensusResults = {**results, "decision": None, "answer": None, "decided_by": by, "why": why}
        return {"consensus_results": taken}
    chosen = (answer["args"] or {}).get("decision") if answer["kind"] == "edit" else results["decision"]
    meaning = results["options"].get(str(chosen), str(chosen))
    why = f"{by} decided. Before: {results['why']}"
    return {"consensus_results": {**results, "decision": chosen, "answer": meaning, "decided_by": by, "why": why}}


def _subtask_taken(state: Any, stuck: Unassigned, answer: Answer, by: str) -> CouncilState:
    name = stuck["subtask"]
    subtask = dict(state["subtasks"][name])
    results: dict[str, ExecutionResult] = dict(state.get("execution_results") or {})
    before = results.get(name)
    if answer["kind"] == "reject":
        subtask |= {"status": "pending", "failed_by": []}
    else:
        done = answer["kind"] == "respond"
        subtask["status"] = "completed" if done else "skipped"
        results[name] = {
            "subtask": name,
            "agent": by,
            "helpers": [],
            "status": "completed" if done else "skipped",
            "output": answer["message"] if done else None,
            "error": None if done else stuck["reason"],
            "attempt": (before["attempt"] if before else 0) + 1,
            "failures": list(before["failures"]) if before else [],
        }
    # what is left of the question is asked again only if it still stands when subtasks are assigned anew
    left = [each for each in state.get("unassigned") or [] if each["subtask"] != name]
    return {
        "subtasks": {**state["subtasks"], name: subtask},
        "execution_results": results,
        "unassigned": left,
    }
