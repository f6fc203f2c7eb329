"""The minutes of a council: who proposed what, who voted how and why, what was decided, and the dissent. As Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["has_minutes", "minutes"]

# what Markdown would take for more than text, in words of agents
_SIGNS: Final = re.compile(r"([\\`*_\[\]<>|#])")


def has_minutes(state: Any) -> bool:
    """Say whether a state is that of a council, or of a graph that holds its consensus node."""
    if not isinstance(state, Mapping):
        return False
    if "agent_assignments" in state and isinstance(state.get("subtasks"), dict):
        return True
    results = state.get("consensus_results")
    return isinstance(results, dict) and results.keys() >= {"decision", "why", "options", "level"}


def minutes(state: Mapping[str, Any]) -> str:
    """Write the minutes of a council, as far as it has come; a pure function.

    Args:
        state: The state of a run for which `has_minutes` holds.

    Returns:
        Markdown. The words of agents stand in it as text, whatever signs they hold.
    """
    parts = [f"# Minutes: {_short(state.get('main_task') or 'a council', 100)}"]
    for section in (_decision, _work, _contradictions, _drafts, _rounds, _people, _costs):
        lines = list(section(state))
        if lines:
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _decision(state: Mapping[str, Any]) -> Iterator[str]:
    final, results = state.get("final_result"), state.get("consensus_results")
    if not final and not results:
        return
    yield "## Decision\n"
    if final:
        yield f"{_line(final['answer'])}\n"
    if results:
        chosen = _line(results["answer"] or results["decision"] or "none")
        by = f", by {_line(results['decided_by'])}" if results["decided_by"] else ""
        yield f"- Decided: **{chosen}**{by}"
        yield f"- Why: {_line(results['why'])}"
        yield f"- Level {results['level']:.2f}, margin {results['margin']:.2f}, rounds {results['rounds']}"
    if final:
        yield f"- Confidence: {final['confidence']:.2f}"
        yield from (f"- Note: {_line(each)}" for each in [final["note"]] if each)
        yield from (f"- Missing: {_line(each['subtask'])} ({_line(each['why'])})" for each in final["missing"])
    dissent = final["dissent"] if final else results["dissent"] if results else []
    yield from _dissent(dissent)
    if final and final["claims"]:
        yield "\n### What it rests on\n"
        yield from (f"- {_line(each['text'])} ({', '.join(map(_line, each['by']))})" for each in final["claims"])


def _dissent(dissent: list[Any]) -> Iterator[str]:
    if not dissent:
        yield "- Dissent: none"
    for each in dissent:
        reason = f": {_line(each['reason'])}" if each["reason"] else ""
        yield f"- Dissent: {_line(each['agent'])} preferred {' and '.join(map(_line, each['preferred']))}{reason}"


def _work(state: Mapping[str, Any]) -> Iterator[str]:
    subtasks, results = state.get("subtasks"), state.get("execution_results") or {}
    if not isinstance(subtasks, Mapping):
        return
    yield "## Work\n"
    yield "| Subtask | Agent | State | Result |\n| --- | --- | --- | --- |"
    given = state.get("agent_assignments") or {}
    for name, each in subtasks.items():
        result = results.get(name)
        agent = result["agent"] if result else given.get(name, {}).get("agent", "-")
        said = (result["error"] if result["error"] else _words(result["output"])) if result else "-"
        tries = f" (try {result['attempt']})" if result and result["attempt"] > 1 else ""
        yield f"| {_line(name)} | {_line(agent)} | {each['status']}{tries} | {_short(said)} |"
    failures = [(name, each) for name, result in results.items() for each in result["failures"]]
    waiting = [(name, who) for name, each in (state.get("waiting") or {}).items() for who in each["requests"]]
    if failures or waiting:
        yield ""
    yield from (
        f"- {_line(who)} is at work on {_line(name)} in a run of its own, which has not ended" for name, who in waiting
    )
    yield from (f"- {_line(each['agent'])} failed at {_line(name)}: {_short(each['cause'])}" for name, each in failures)


def _contradictions(state: Mapping[str, Any]) -> Iterator[str]:
    disputes = state.get("disputes") or []
    if not disputes:
        return
    yield "## Contradictions\n"
    for each in disputes:
        conflict = each["conflict"]
        sides = [
            f"{_line(name)} says {_short(value)}"
            for name, value in zip(conflict["between"], conflict["values"], strict=True)
        ]
        end = f"settled: {_short(each['value'])}" if each["settled"] else "left open"
        yield f"- {_line('.'.join(conflict['path']))}: {', '.join(sides)}; {end}"
        for argument in each["arguments"]:
            said = argument["error"] or argument["reason"] or "no reason given"
            yield f"  - {_line(argument['agent'])} {'keeps to it' if argument['keeps'] else 'gives in'}: {_short(said)}"


def _drafts(state: Mapping[str, Any]) -> Iterator[str]:
    drafts = state.get("drafts") or []
    if not drafts:
        return
    names = {
        text: name for name, text in (state.get("consensus_results") or {}).get("options", {}).items() if name != text
    }
    yield "## Proposals\n"
    for each in drafts:
        label = f" ({_line(names[each['text']])})" if each["text"] in names else ""
        said = each["text"] or f"none; {each['error']}"
        yield f"- **{_line(each['agent'])}**{label}: {_line(said)}"


def _rounds(state: Mapping[str, Any]) -> Iterator[str]:
    if not state.get("rounds") and state.get("votes"):
        yield "## Votes\n\nNobody was asked to vote: these are the decisions that the results state.\n"
        yield from _ballots(state["votes"])
    for each in state.get("rounds") or []:
        yield f"## Round {each['number']}\n"
        yield from _ballots(each["votes"])
        outcome = each["outcome"]
        yield f"\n{_line(outcome['why'])} Rule: {outcome['rule']}, level {outcome['level']:.2f}.\n"


def _ballots(votes: list[Any]) -> Iterator[str]:
    yield "| Agent | Vote | Weight | Confidence | Reason |\n| --- | --- | --- | --- | --- |"
    for vote in votes:
        sure = "-" if vote["confidence"] is None else f"{vote['confidence']:.2f}"
        cells = [_line(vote["agent"]), _choice(vote), f"{vote['weight']:g}", sure]
        yield f"| {' | '.join(cells)} | {_short(vote['abstained'] or vote['reason'] or '-')} |"


def _choice(vote: Mapping[str, Any]) -> str:
    if vote["abstained"]:
        return "abstains"
    if vote["ranking"]:
        return " > ".join(" = ".join(map(_line, place)) for place in vote["ranking"])
    return _line(vote["decision"])


def _people(state: Mapping[str, Any]) -> Iterator[str]:
    said = state.get("human_interactions") or []
    if not said:
        return
    yield "## People\n"
    for each in said:
        words = f": {_line(each['message'])}" if each.get("message") else ""
        about = f" on {_line(each['about'])}" if each.get("about") else ""
        yield f"- {_line(each['by'])}, {_line(each['at'])}: {_line(each['decision'])}{about}{words}"


def _costs(state: Mapping[str, Any]) -> Iterator[str]:
    costs = state.get("costs") or {}
    if not costs:
        return
    yield "## Cost\n"
    yield "| Phase | Agents asked | Model calls | Tokens in | Tokens out | Seconds | Agent seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for phase, each in costs.items():
        numbers = [each[name] for name in ("agent_calls", "model_calls", "input_tokens", "output_tokens")]
        times = f"{each['seconds']:.2f} | {each['agent_seconds']:.2f}"
        yield f"| {_line(phase)} | {' | '.join(map(str, numbers))} | {times} |"


def _words(output: Any) -> str:
    if isinstance(output, dict) and isinstance(output.get("answer"), str):
        return str(output["answer"])
    return output if isinstance(output, str) else str(output)


def _short(value: Any, limit: int = 200) -> str:
    text = " ".join(str(value).split())
    return _line(text if len(text) <= limit else f"{text[:limit].rpartition(' ')[0] or text[:limit]} …")


def _line(text: Any) -> str:
    """Return words of an agent or a person on one line, as text."""
    return _SIGNS.sub(r"\\\1", " ".join(str(text).split()))
