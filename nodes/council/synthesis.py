"""The last two nodes: all results put together, and one answer made of them, with attributions and the dissent."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ...settings import current_settings
from ...state.council import Aggregated, Claim, ConsensusResults, CouncilState, FinalResult, planning_cost
from ..analysts.summary import summarise
from ..analysts.text import cut
from ..effects import once, remembers_effects
from ..here import teller
from .asking import describe_error
from .comparing import comparable, structured
from .costs import Meter, metering
from .node import AsyncCouncilNode, CouncilNode
from .requests import text_of

__all__ = ["Writer", "aggregated", "aggregation", "confidence_of", "synthesis"]


class Writer(Protocol):
    """Whatever can write the answer: a function of this form, plain or async."""

    def __call__(self, task: str, *, claims: Sequence[Claim], decision: str | None, dissent: Sequence[Any]) -> Any:
        """Write the answer.

        Args:
            task: What the council was about.
            claims: What was found, with those who said it.
            decision: What was decided, in words; None where nothing was.
            dissent: Who preferred something else, and why.

        Returns:
            `{"answer": text, "claims": [{"text": …, "by": [names]}, …]}`, or something to await for it.
        """
        ...


def aggregation() -> CouncilNode:
    """Make a node that puts all results together, each statement with those who made it. It asks nobody.

    Returns:
        A node that writes `aggregated_results`.
    """

    def aggregate(state: Any) -> CouncilState:
        return {"aggregated_results": aggregated(state)}

    return aggregate


def synthesis(writer: Writer | None = None) -> AsyncCouncilNode:
    """Make a node that writes the one answer of the council.

    Each claim names those who made it; a name that made none is taken out, and a claim that is nobody's is left out. When
    the writer fails, the answer is made by rules, and `note` says so: what was decided is not lost to a model that died.

    `confidence`: decided by vote, the level times the share of agents whose vote was valid; decided by a person, 1;
    without a vote, the share of subtasks that were completed; nothing decided, 0.

    Args:
        writer: Who writes it. Default: the model of `ADJOURN_MODEL` when it is set, otherwise rules, which keep the
            sentences of the claims that say the most.

    Returns:
        A node that writes `final_result`, `costs` and, where they are not there yet, `aggregated_results`.
    """

    async def synthesize(state: Any) -> CouncilState:
        together: Aggregated = state.get("aggregated_results") or aggregated(state)
        results: ConsensusResults | None = state.get("consensus_results")
        dissent = _dissent(state, results)
        written, note, cost = await _written(writer, state, together["claims"], results, dissent)
        final: FinalResult = {
            "answer": written["answer"],
            "decision": results["decision"] if results else None,
            "decided_by": (results["decided_by"] or "nobody") if results else "agreement",
            "claims": _attributed(written["claims"], state.get("execution_results") or {}),
            "dissent": dissent,
            "abstained": results["abstained"] if results else [],
            "confidence": confidence_of(state, results),
            "missing": together["missing"],
            "note": note,
        }
        teller("council")(
            "synthesized", answer=final["answer"], decision=final["decision"], decided_by=final["decided_by"]
        )
        return {"aggregated_results": together, "final_result": final, "costs": {"synthesize": cost}}

    return synthesize


def aggregated(state: Any) -> Aggregated:
    """Put all results together; a pure function."""
    results = state.get("execution_results") or {}
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name, result in sorted(results.items()):
        if result["status"] != "completed":
            continue
        for text in _statements(result["output"]):
            by, subtasks = found.setdefault(text, (set(), set()))
            by.add(result["agent"])
            subtasks.add(name)
    claims: list[Claim] = [
        {"text": text, "by": sorted(by), "subtasks": sorted(subtasks)} for text, (by, subtasks) in found.items()
    ]
    return {"claims": claims, **_values(state), "missing": _missing(state, results)}  # type: ignore[typeddict-item]


def confidence_of(state: Any, results: ConsensusResults | None) -> float:
    """Return how sure the council is of its answer, 0-1; see `synthesis`."""
    if results is None:
        subtasks = state.get("subtasks") or {}
        done = sum(each["status"] == "completed" for each in subtasks.values())
        return round(done / len(subtasks), 6) if subtasks else 0.0
    if results["decision"] is None:
        return 0.0
    if results["decided_by"] not in ("vote", "agreement"):
        return 1.0
    votes = state.get("votes") or []
    valid = sum(vote["abstained"] is None for vote in votes)
    return round(results["level"] * (valid / len(votes) if votes else 1.0), 6)


def _statements(output: Any) -> Iterator[str]:
    if isinstance(output, dict) and isinstance(output.get("claims"), list):
        texts = [each if isinstance(each, str) else text_of(each) for each in output["claims"]]
        yield from (text.strip() for text in texts if text.strip())
        if texts:
            return
    if text := text_of(output):
        yield text


def _values(state: Any) -> dict[str, Any]:
    """Return structured findings on which nobody contradicts anybody, and the dotted keys on which somebody does."""
    open_paths = {tuple(each["path"]) for each in state.get("conflicts") or []}
    values: dict[str, Any] = {}
    for name, output in structured(state).items():
        agent = state["execution_results"][name]["agent"]
        for path, value in _leaves(comparable(output)):
            if any(path[:depth] in open_paths for depth in range(1, len(path) + 1)):
                continue
            entry = values.setdefault(".".join(path), {"value": value, "by": []})
            entry["by"] = sorted({*entry["by"], agent})
    for path in open_paths:
        about = [each for each in state.get("disputes") or [] if tuple(each["conflict"]["path"]) == path]
        # several pairs may contradict each other at one key: it is settled when all of them came to the same
        if about and all(each["settled"] and each["value"] == about[0]["value"] for each in about):
            stay = {argument["agent"] for each in about for argument in each["arguments"] if argument["keeps"]}
            values[".".join(path)] = {"value": about[0]["value"], "by": sorted(stay)}
    left = sorted(".".join(path) for path in open_paths if ".".join(path) not in values)
    return {"values": dict(sorted(values.items())), "unsettled": left}


def _leaves(output: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in output.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        elif value is not None:
            yield (*above, key), value


def _missing(state: Any, results: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    for name, subtask in sorted((state.get("subtasks") or {}).items()):
        if subtask["status"] != "completed":
            error = results[name]["error"] if name in results else None
            found.append({"subtask": name, "why": error or f"it is {subtask['status']}"})
    return found


def _dissent(state: Any, results: ConsensusResults | None) -> list[Any]:
    """Return who preferred something else than what was decided, whoever decided it."""
    if results is None or results["decision"] is None:
        return []
    if results["decided_by"] in ("vote", "agreement"):
        return list(results["dissent"])
    return [
        {"agent": vote["agent"], "preferred": [vote["decision"]], "reason": vote["reason"]}
        for vote in state.get("votes") or []
        if vote["decision"] not in (None, results["decision"])
    ]


async def _written(
    writer: Writer | None, state: Any, claims: list[Claim], results: ConsensusResults | None, dissent: list[Any]
) -> tuple[dict[str, Any], str | None, Any]:
    decision = results["answer"] or results["decision"] if results else None
    chosen, meter = writer or _default_writer(), Meter()
    by_rules = _by_rules(claims, decision, results)
    if chosen is None:
        return by_rules, None, planning_cost(meter.usage(), 0.0)
    task = str(state.get("main_task", ""))

    async def call() -> dict[str, Any]:
        started = time.monotonic()
        said, problem = None, None
        try:
            with metering(meter):
                written = chosen(task, claims=claims, decision=decision, dissent=dissent)
                written = await written if inspect.isawaitable(written) else written
            kept = json.loads(json.dumps(written))
            said = {"answer": str(kept["answer"]), "claims": [dict(each) for each in kept["claims"]]}
        except Exception as error:  # noqa: BLE001  (whatever it is, the decision stands)
            problem = describe_error(error)
        return {"said": said, "error": problem, "cost": planning_cost(meter.usage(), time.monotonic() - started)}

    made = await once("synthesis", call, on_uncertain="retry") if remembers_effects() else await call()
    if made["error"] is not None:
        return (
            by_rules,
            f"The answer was put together by rules, because its writer failed: {made['error']}",
            made["cost"],
        )
    return made["said"], None, made["cost"]


def _default_writer() -> Writer | None:
    spec = current_settings().model
    if spec is None:
        return None
    from .model_agent import model_writer

    return model_writer(spec)


def _by_rules(claims: list[Claim], decision: str | None, results: ConsensusResults | None) -> dict[str, Any]:
    summary = summarise(cut("\n\n".join(claim["text"] for claim in claims)))
    if results is None:
        return {"answer": summary or "Nothing was found.", "claims": claims}
    head = f"Decision: {decision}." if decision else f"No decision: {results['why']}"
    return {"answer": f"{head} {summary}".strip(), "claims": claims}


def _attributed(written: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> list[Claim]:
    """Return claims with those who made them, as far as they did any work, and the subtasks that it was."""
    subtasks: dict[str, set[str]] = {}
    for name, result in results.items():
        if result["status"] == "completed":
            subtasks.setdefault(result["agent"], set()).add(name)
    kept: list[Claim] = []
    for each in written:
        by = sorted({str(name) for name in each.get("by") or []} & subtasks.keys())
        if not by or not str(each.get("text", "")).strip():
            continue
        of = each.get("subtasks") or set().union(*(subtasks[name] for name in by))
        kept.append({"text": str(each["text"]).strip(), "by": by, "subtasks": sorted(of)})
    return kept
