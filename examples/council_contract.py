"""A council reads a contract: subtasks from the text itself, results that contradict each other, and a vote.

    python -m adjourn.examples.council_contract

Each agent reads one side of the same contract with rules. The buyer's and the seller's counsel judge the same key
(`favours`) and contradict each other, so they argue; then all vote, each by the clauses that it counted.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from adjourn import Engine, Run
from adjourn.graphs.council import build
from adjourn.nodes.council import Procedure, member

OPTIONS = ["sign", "negotiate", "walk away"]
_CLAUSE = re.compile(r"^(\d+\.\d+) (.+)$", re.MULTILINE)
_AGAINST_CLIENT = re.compile(
    r"without (?:the prior )?(?:notice|consent)|no (?:right|upper limit)|sole remedy|in full|at any time|lapses",
    re.IGNORECASE,
)
_FOR_CLIENT = re.compile(r"Client may|Provider shall|right to terminate|credit|within (?:two|sixty|one)", re.IGNORECASE)


def clauses(request: Any) -> list[tuple[str, str]]:
    """Return the numbered clauses of the contract."""
    return _CLAUSE.findall(str(request["material"]))


def counsel(against: re.Pattern[str], side: str) -> Any:
    """Make an agent that looks for clauses of one kind, and says whom the contract favours by their share."""

    def act(request: Any) -> dict[str, Any]:
        found = [(number, text) for number, text in clauses(request) if against.search(text)]
        share = len(found) / max(1, len(clauses(request)))
        listed = ", ".join(number for number, _ in found) or "none"
        if request["kind"] == "vote":
            hard = share > 0.5 if side == "client" else share < 0.1
            choice = ("walk away" if hard else "negotiate") if side == "client" else ("negotiate" if hard else "sign")
            return {"decision": choice, "confidence": round(1 - share, 2), "reason": f"Clauses {listed}."}
        if request["kind"] == "argue":
            return {"keeps": share > 0.25, "reason": f"{share:.0%} of the clauses: {listed}."}
        other = "provider" if side == "client" else "client"
        return {
            "answer": f"{len(found)} of {len(clauses(request))} clauses speak for the {other}: {listed}.",
            "claims": [f"{number} {text.split('. ')[0]}." for number, text in found[:3]],
            "favours": other,
        }

    return act


def bookkeeper(request: Any) -> dict[str, Any]:
    """Add up what the contract says about money."""
    amounts = [int(found.replace(",", "")) for found in re.findall(r"([\d,]{4,}) euros", str(request["material"]))]
    unlimited = "no upper limit" in str(request["material"])
    if request["kind"] == "vote":
        reason = "The fee may rise without limit." if unlimited else "The fee is fixed."
        return {"decision": "negotiate" if unlimited else "sign", "reason": reason}
    return {"answer": f"Amounts named: {amounts}.", "highest_amount": max(amounts, default=0)}


def main() -> Run:
    """Let the council sit, and print its minutes."""
    from adjourn.state.minutes import minutes

    members = [
        member("client's counsel", counsel(_AGAINST_CLIENT, "client"), capabilities=["risks"]),
        member("provider's counsel", counsel(_FOR_CLIENT, "provider"), capabilities=["duties"]),
        member("bookkeeper", bookkeeper, capabilities=["money"]),
    ]
    # one subtask for each sentence; who gets it follows from its words
    task = (
        "Find the risks for the client. Find the duties of the provider. Add up the money that is named, then say what "
        "it means."
    )
    contract = files("adjourn.examples").joinpath("contract.txt").read_text(encoding="utf-8")
    council = build(members, procedure=Procedure(threshold=0.6), memory="contracts")
    with Engine.open(workflows={"contract council": council}) as engine:
        run = engine.start("contract council", {"main_task": task, "material": contract, "options": OPTIONS})
        print(minutes(run.state))
        for review in run.reviews:
            print(review.description)
        return run


if __name__ == "__main__":
    main()
