"""The node that builds a consensus: independent drafts, then rounds of votes, counted by a rule.

What is promised: the order of agents, and how fast they are, changes nothing; an agent that fails, is too slow or
answers something that is no vote abstains, with the cause; no finished answer is asked for again after a crash; and every
round stays in the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import InvalidInput
from ...state.council import ConsensusResults, CouncilState, Draft, Reply, Request, cost_of
from ...state.votes import AgentVote, Outcome, Round
from ..here import Tell, teller
from ..voting import abstention, decide, read_vote
from ..voting.arguments import check_options
from .asking import all_of, ask
from .members import Member, Members, crew_of
from .node import AsyncCouncilNode
from .procedure import Procedure, margin_of
from .requests import request_for, text_of

__all__ = ["consensus", "count_votes", "question_of", "results_of"]

Question: TypeAlias = "str | Callable[[Any], str]"
Options: TypeAlias = "Sequence[str] | Callable[[Any], Sequence[str]]"


def consensus(
    members: Members,
    *,
    procedure: Procedure | None = None,
    question: Question | None = None,
    options: Options | None = None,
    material: Callable[[Any], Any] | None = None,
) -> AsyncCouncilNode:
    """Make a node that lets agents agree.

    In a graph of your own, take `ConsensusState` into its state. If the node runs a second time (people added something),
    it goes on with further rounds.

    Args:
        members: The agents.
        procedure: The rule, what is enough, how many rounds; see `Procedure`.
        question: What is to be decided, or a function from the state to that. Default: the key `main_task`.
        options: The closed set, at least two, or a function from the state to it. Default: the key `options`; without
            that, the drafts of the agents are the options.
        material: A function from the state to what the agents go by (JSON-safe). Default: the key `material`.

    Returns:
        A node that writes `drafts`, `votes`, `rounds`, `consensus_results`, `consensus_level` and `costs`.

    Raises:
        InvalidInput: Options, weights or accuracies do not fit the rule; before any agent is asked.
        InvalidRoster: The agents do not fit together.
    """
    chosen = procedure or Procedure()
    if not callable(members):
        crew_of(members)

    async def build_consensus(state: Any) -> CouncilState:
        crew = crew_of(members)
        given = options(state) if callable(options) else options if options is not None else state.get("options")
        named = check_options(given) if given else []
        _check(chosen, crew, named)
        asked = question_of(state, question)
        base = {"task": asked, "material": material(state) if material else state.get("material")}
        sitting = _Sitting(chosen, crew, {**state, **base}, named, teller("council"))
        return await sitting.held()

    return build_consensus


def question_of(state: Any, question: Question | None) -> str:
    """Return what is to be decided, in words."""
    found = question(state) if callable(question) else question
    return str(found if found is not None else state.get("main_task", ""))


def _check(procedure: Procedure, crew: dict[str, Member], options: list[str]) -> None:
    """Refuse what could not be counted, before anybody is asked."""
    if procedure.on_tie is not None and not options:
        raise InvalidInput(
            f"on_tie={procedure.on_tie!r} is one of the options, and none are given: the drafts will be the options. "
            "Give options, or leave on_tie out."
        )
    silent = [abstention(name, "was not asked yet", weight=crew[name].agent.weight) for name in crew]
    count_votes(procedure, crew, silent, options or ["one", "another"])


def count_votes(procedure: Procedure, crew: dict[str, Member], votes: list[AgentVote], options: list[str]) -> Outcome:
    """Count votes by a procedure, with the weights and accuracies of the agents."""
    known = {name: each.agent.accuracy for name, each in crew.items() if each.agent.accuracy is not None}
    return decide(
        procedure.rule,
        votes,
        options=options,
        weights={name: each.agent.weight for name, each in crew.items()} if procedure.rule == "weighted" else None,
        accuracies=known if procedure.rule == "log_odds" else None,
        method=procedure.method,
        on_tie=procedure.on_tie,
    )


@dataclass
class _Sitting:
    """One run of the node: who sits together, about what, and what came of it so far."""

    procedure: Procedure
    crew: dict[str, Member]
    state: dict[str, Any]
    named: list[str]
    tell: Tell

    async def held(self) -> CouncilState:
        """Hold the sitting."""
        groups: list[list[Reply]] = []
        drafts = list(self.state.get("drafts") or [])
        if not drafts and (self.procedure.drafts or not self.named):
            drafts = await self._drafted(groups)
        meanings = {name: name for name in self.named} or _proposals(drafts)
        before: list[Round] = list(self.state.get("rounds") or [])
        rounds = list(before)
        if len(meanings) > 1:
            await self._voted(drafts, meanings, rounds, len(before), groups)
        results = self._results(rounds, meanings)
        self.tell("consensus", reached=results["reached"], decision=results["decision"], level=results["level"],
                  why=results["why"])  # fmt: skip
        return {
            "drafts": drafts,
            "votes": rounds[-1]["votes"] if rounds else [],
            "rounds": rounds,
            "consensus_results": results,
            "consensus_level": results["level"],
            "costs": {"build_consensus": cost_of(*groups)},
        }

    async def _drafted(self, groups: list[list[Reply]]) -> list[Draft]:
        """Let all write drafts by themselves; then, where there is debate, see those of the others and write again."""
        drafts: list[Draft] = []
        for turn in range(self.procedure.debate + 1):
            self.tell("drafting", turn=turn, agents=sorted(self.crew))
            more = [self._draft_request(name, turn, drafts) for name in self.crew]
            was = {draft["agent"]: draft for draft in drafts}

            def told(reply: Reply, was: dict[str, Draft] = was, turn: int = turn) -> None:
                self.tell("draft", **_draft(reply, was.get(reply["agent"])), turn=turn)

            replies = await self._asked(more, f"draft {turn}", told)
            groups.append(replies)
            drafts = [_draft(reply, was.get(reply["agent"])) for reply in replies]
        return drafts

    async def _voted(
        self, drafts: list[Draft], meanings: dict[str, str], rounds: list[Round], start: int, groups: list[list[Reply]]
    ) -> None:
        for number in range(start + 1, start + self.procedure.max_rounds + 1):
            self.tell("round", number=number, agents=sorted(self.crew))
            last = rounds[-1]["votes"] if rounds else []
            requests = [self._vote_request(name, number, drafts, meanings, last) for name in self.crew]

            def told(reply: Reply, number: int = number) -> None:
                self.tell("vote", round=number, **self._vote(reply, list(meanings)))

            replies = await self._asked(requests, str(number), told)
            groups.append(replies)
            votes = [self._vote(reply, list(meanings)) for reply in replies]
            outcome = count_votes(self.procedure, self.crew, votes, list(meanings))
            self.tell("counted", round=number, decision=outcome["decision"], level=outcome["level"], why=outcome["why"])
            rounds.append({"number": number, "votes": votes, "outcome": outcome})
            if self.procedure.enough(outcome):
                return
            if self.procedure.until_stuck and number > start + 1 and _same_choices(votes, last):
                return

    async def _asked(self, requests: list[Request], number: str, told: Callable[[Reply], None]) -> list[Reply]:
        """Ask all at the same time; each answer is told as soon as it is there."""

        async def asked(request: Request) -> Reply:
            one = self.crew[request["agent"]]
            reply = await ask(one, request, number=number, seconds=self.procedure.timeout)
            told(reply)
            return reply

        return await all_of(asked(request) for request in requests)

    def _vote(self, reply: Reply, options: list[str]) -> AgentVote:
        weight = self.crew[reply["agent"]].agent.weight
        if reply["error"] is not None:
            return abstention(reply["agent"], reply["error"], weight=weight)
        return read_vote(reply["output"], agent=reply["agent"], options=options, weight=weight)

    def _draft_request(self, name: str, turn: int, drafts: list[Draft]) -> Request:
        request = request_for(self.crew[name], "draft", self.state)
        if self.named:
            request["options"] = list(self.named)
        if turn:
            request["round"] = turn
            request["own_draft"] = next((each["text"] for each in drafts if each["agent"] == name), None)
            request["drafts"] = self._shown_drafts(name, drafts)
        return request

    def _vote_request(
        self, name: str, number: int, drafts: list[Draft], meanings: dict[str, str], last: list[AgentVote]
    ) -> Request:
        request = request_for(self.crew[name], "vote", self.state)
        request["round"], request["options"] = number, list(meanings)
        request["ranked"] = self.procedure.rule == "ranked"
        request["own_draft"] = next((each["text"] for each in drafts if each["agent"] == name), None)
        if not self.named:
            request["drafts"] = [{"by": option, "text": text} for option, text in meanings.items()]
        if last:
            request["own_vote"] = next((vote for vote in last if vote["agent"] == name), None)
            request["others"] = self._shown_votes(name, number, last)
        return request

    def _shown_drafts(self, name: str, drafts: list[Draft]) -> list[dict[str, Any]]:
        names = self._labels(name, "drafts")
        shown = [{"by": names[each["agent"]], "text": each["text"]} for each in drafts if each["agent"] in names]
        return sorted((each for each in shown if each["text"]), key=lambda each: str(each["by"]))

    def _shown_votes(self, name: str, number: int, last: list[AgentVote]) -> list[dict[str, Any]]:
        names = self._labels(name, f"round {number}")
        shown = [
            {"by": names[vote["agent"]], **{key: vote[key] for key in ("decision", "ranking", "reason")}}
            for vote in last
            if vote["agent"] in names and vote["abstained"] is None
        ]
        return sorted(shown, key=lambda each: str(each["by"]))

    def _labels(self, name: str, occasion: str) -> dict[str, str]:
        """Return how each other agent is called; without names, in an order that changes with each occasion."""
        others = [other for other in self.crew if other != name]
        if not self.procedure.anonymous:
            return {other: other for other in others}

        def mixed(other: str) -> str:
            return hashlib.sha256(f"{self.state['task']}\0{occasion}\0{other}".encode()).hexdigest()

        return {other: f"voter {number}" for number, other in enumerate(sorted(others, key=mixed), start=1)}

    def _results(self, rounds: list[Round], meanings: dict[str, str]) -> ConsensusResults:
        if rounds:
            return results_of(self.procedure, rounds[-1]["outcome"], meanings, rounds=len(rounds))
        # drafts are the options, and there are fewer than two
        only = next(iter(meanings), None)
        return {
            "reached": only is not None,
            "decision": only,
            "answer": meanings[only] if only else None,
            "level": 1.0 if only else 0.0,
            "margin": 1.0 if only else 0.0,
            "rounds": 0,
            "decided_by": "vote" if only else None,
            "options": meanings,
            "dissent": [],
            "abstained": [],
            "why": "All drafts say the same." if only else "Nobody wrote a draft, so there was nothing to vote on.",
        }


def results_of(
    procedure: Procedure, outcome: Outcome, meanings: dict[str, str], *, rounds: int, by: str = "vote"
) -> ConsensusResults:
    """Return what an outcome means under a procedure.

    Args:
        procedure: What is enough.
        outcome: The last count.
        meanings: Option → what it stands for.
        rounds: How many rounds were held.
        by: What it is decided by, if it is enough.
    """
    reached, margin, decision = procedure.enough(outcome), margin_of(outcome), outcome["decision"]
    return {
        "reached": reached,
        "decision": decision,
        "answer": meanings.get(decision) if decision else None,
        "level": outcome["level"],
        "margin": margin,
        "rounds": rounds,
        "decided_by": by if reached else None,
        "options": meanings,
        "dissent": outcome["dissent"],
        "abstained": outcome["abstained"],
        "why": outcome["why"] if reached else f"{outcome['why']} {_lacking(procedure, outcome, margin)}",
    }


def _lacking(procedure: Procedure, outcome: Outcome, margin: float) -> str:
    voted = len(outcome["counted"])
    if outcome["decision"] is None:
        return "That is no consensus."
    if outcome["level"] < procedure.threshold:
        return f"The level {outcome['level']:.2f} is below {procedure.threshold:g}: no consensus."
    if voted < procedure.min_votes:
        return f"Only {voted} of {procedure.min_votes} votes counted: no consensus."
    return f"The margin {margin:.2f} is below {procedure.min_margin:g}: no consensus."


def _draft(reply: Reply, before: Draft | None) -> Draft:
    """Return a draft; an agent that fails in a turn of debate keeps the one it had."""
    text = text_of(reply["output"]) if reply["error"] is None else None
    if text:
        return {"agent": reply["agent"], "text": text, "error": None}
    if before is not None and before["text"]:
        return before
    return {"agent": reply["agent"], "text": None, "error": reply["error"] or "it wrote nothing"}


def _proposals(drafts: list[Draft]) -> dict[str, str]:
    """Return the drafts as options: each different text once, named by the order of the texts, not of the agents."""
    texts = sorted({draft["text"] for draft in drafts if draft["text"]})
    return {f"draft {number}": text for number, text in enumerate(texts, start=1)}


def _same_choices(one: list[AgentVote], other: list[AgentVote]) -> bool:
    def choices(votes: list[AgentVote]) -> list[Any]:
        return [(vote["agent"], vote["decision"], vote["ranking"]) for vote in votes]

    return choices(one) == choices(other)
