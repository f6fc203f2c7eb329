"""A council on a real incident report, with agents that work by rules: no model, no key, no network.

    python -m adjourn.examples.council

Three of the agents ship with adjourn and read with word lists. The fourth is a function of its own: it reads the times in
the report, and votes for what happened longest before the first failed write.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from adjourn import Engine, Run
from adjourn.graphs.council import build
from adjourn.nodes.council import Procedure, member, rule_agent

OPTIONS = ["backups filled the disk of the primary", "the replica had stopped", "debug logging was switched on"]
_ENTRY = re.compile(r"^- (\d\d):(\d\d)\. (.+)$", re.MULTILINE)
_DAY = re.compile(r"\b(\d{1,2}) November\b")


def timeline_reader(request: Any) -> dict[str, Any]:
    """Find when things happened, from the report's own timeline and dates."""
    text = str(request["material"])
    entries = [(int(hour) * 60 + int(minute), said) for hour, minute, said in _ENTRY.findall(text)]
    first = next((at for at, said in entries if "rejects the first write" in said), None)
    if request["kind"] == "vote":
        return _vote(request["options"], text, entries, first)
    earlier = [said for at, said in entries if first is not None and at < first]
    return {
        "answer": f"{len(entries)} entries; before the first failed write: {' '.join(earlier)}",
        "claims": earlier,
        "entries": len(entries),
    }


def _vote(options: list[str], text: str, entries: list[tuple[int, str]], first: int | None) -> dict[str, Any]:
    """Vote for the option whose paragraph names the earliest day; what came after the first failure cannot be its cause."""
    days: dict[str, int] = {}
    for option in options:
        words = {word for word in re.findall(r"[a-z]+", option.lower()) if len(word) > 4}
        late = any(at > (first or 0) and sum(word in said.lower() for word in words) > 1 for at, said in entries)
        for paragraph in text.split("\n\n"):
            found = _DAY.findall(paragraph)
            if found and not late and sum(word in paragraph.lower() for word in words) > 0:
                days[option] = min(map(int, found), default=99)
                break
    if not days:
        return {"decision": None, "reason": "The report dates none of them."}
    earliest = min(days, key=lambda option: days[option])
    return {"decision": earliest, "reason": f"It began on {days[earliest]} November, before the others."}


def members() -> list[Any]:
    """Return the agents."""
    return [
        member("analyst", rule_agent("facts"), capabilities=["facts"]),
        member("sceptic", rule_agent("risk"), capabilities=["risk"]),
        member("advocate", rule_agent("tone"), capabilities=["people"]),
        member("timekeeper", timeline_reader, capabilities=["times"]),
    ]


def main() -> Run:
    """Let the council sit, and print its minutes."""
    from adjourn.state.minutes import minutes

    report = files("adjourn.examples").joinpath("incident.md").read_text(encoding="utf-8")
    council = build(members(), procedure=Procedure(rule="ranked", threshold=0.6), memory="example")
    question = {"main_task": "What was the root cause of the outage?", "material": report, "options": OPTIONS}
    with Engine.open(workflows={"incident council": council}) as engine:
        run = engine.start("incident council", question)
        print(minutes(run.state))
        for review in run.reviews:
            print(review.description)
        return run


if __name__ == "__main__":
    main()
