"""Several workers do the same, and vote: what came out most often, or what most of them think best, is the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RunFailed
from ...state.values import canonical_json, json_problem
from ...state.votes import AgentVote
from ..branches import gather
from ..calling import called
from ..voting import abstention, decide, read_vote
from .failing import FAILS, GIVES_WAY, in_words
from .models import as_function, can_vote
from .work import Part, Worker

__all__ = ["elected", "elected_field_by_field", "voted"]


async def voted(part: Part, voters: Mapping[str, Worker]) -> Any:
    """Let all voters do a part at the same time, and return what they agree on.

    Equal answers count together. Where the voters are models, whose words are never quite equal, each then votes for
    the best of the answers. Answers that are mappings are put together field by field: each field is what most of them say.

    Args:
        part: The part.
        voters: Name → worker. One that fails abstains.

    Returns:
        A mapping: the fields of the answers, or `answer`; with `agreement` (0-1, the share of the votes), and `dissent`
        (voter → what it said instead).

    Raises:
        RunFailed: All of them failed.
    """
    workers = {name: as_function(each) for name, each in voters.items()}
    asked = await gather(*(_answered(name, worker, part) for name, worker in workers.items()))
    answers = {name: answer for name, answer, error in asked if error is None}
    silent = {name: error for name, _, error in asked if error is not None}
    if not answers:
        raise RunFailed(f"No voter has an answer: {next(iter(silent.values()))}")
    names = {canonical_json(answer) for answer in answers.values()}
    if len(names) > 1 and any(can_vote(workers[name]) for name in answers):
        return await _ballot(part, workers, answers, silent)
    if all(isinstance(answer, dict) for answer in answers.values()):
        return elected_field_by_field(answers, silent)
    winner, agreement = elected(answers, silent)
    return _result({"answer": winner}, agreement, answers, winner)


def elected(answers: Mapping[str, Any], silent: Mapping[str, str] | None = None) -> tuple[Any, float]:
    """Return the answer that most voters gave, and the share of those who answered that gave it; a pure function.

    Between answers that are level, that of the voter who comes first in the alphabet wins; the share says how little
    that means.

    Args:
        answers: Voter → answer (JSON-safe).
        silent: Voter → why it has none.
    """
    written = {name: canonical_json(answer) for name, answer in answers.items()}
    options = sorted(set(written.values()))
    meaning = {written[name]: answer for name, answer in answers.items()}
    if len(options) == 1:
        return meaning[options[0]], 1.0
    # what an answer says may be long, and is no name for an option
    label = {text: str(number) for number, text in enumerate(options)}
    votes = [
        read_vote({"decision": label[text]}, agent=name, options=list(label.values())) for name, text in written.items()
    ]
    votes += [abstention(name, why) for name, why in (silent or {}).items()]
    outcome = decide("plurality", votes, options=list(label.values()))
    level = outcome["tied"] or [str(outcome["decision"])]
    first = next(written[name] for name in sorted(written) if label[written[name]] in level)
    return meaning[first], outcome["level"]


def elected_field_by_field(
    answers: Mapping[str, Mapping[str, Any]], silent: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what most voters say in each field; a pure function.

    Only fields with short values (words, numbers, true and false) are voted on. Texts, lists and mappings come from the
    voter who was with the majority most often. `confidence` is not voted on either: what agrees is what counts.

    Args:
        answers: Voter → fields.
        silent: Voter → why it has none.
    """
    fields = dict.fromkeys(field for answer in answers.values() for field in answer if field != "confidence")
    found: dict[str, Any] = {}
    levels: list[float] = []
    with_majority = dict.fromkeys(answers, 0)
    for field in fields:
        said = {name: answer[field] for name, answer in answers.items() if field in answer}
        if not all(_is_short(each) for each in said.values()):
            continue
        found[field], level = elected(said, silent)
        levels.append(level)
        for name, each in said.items():
            with_majority[name] += each == found[field]
    nearest = min(answers, key=lambda name: (-with_majority[name], name))
    whole = {field: found.get(field, answers[nearest].get(field)) for field in fields}
    agreement = sum(levels) / len(levels) if levels else elected(answers, silent)[1]
    return _result(whole, agreement, {name: _short_fields(answer, found) for name, answer in answers.items()}, found)


async def _answered(name: str, worker: Any, part: Part) -> tuple[str, Any, str | None]:
    try:
        answer = await called(worker, part)
    except GIVES_WAY:
        raise
    except FAILS as problem:  # whatever a voter raises, it abstains
        return name, None, in_words(problem)
    problem_with = json_problem(answer, "its answer")
    return name, answer, problem_with


async def _ballot(part: Part, workers: Mapping[str, Any], answers: Mapping[str, Any], silent: Mapping[str, str]) -> Any:
    """Let those who can vote choose among the answers; the others vote for their own."""
    options = sorted(answers)
    shown = {name: _said(answer) for name, answer in answers.items()}

    async def choice(name: str) -> AgentVote:
        if not can_vote(workers[name]):
            return read_vote({"decision": name}, agent=name, options=options)
        try:
            return read_vote(await workers[name].vote(part, shown), agent=name, options=options)
        except GIVES_WAY:
            raise
        except FAILS as problem:  # whatever a voter raises, it abstains
            return abstention(name, in_words(problem))

    votes = await gather(*(choice(name) for name in options))
    votes += [abstention(name, why) for name, why in silent.items()]
    outcome = decide("plurality", votes, options=options)
    winner = outcome["decision"] or max(outcome["tied"] or options, key=lambda name: (_sure(answers[name]), name))
    answer = answers[winner]
    fields = answer if isinstance(answer, dict) else {"answer": answer}
    return _result(fields, outcome["level"], answers, answer)


def _result(fields: Mapping[str, Any], agreement: float, answers: Mapping[str, Any], winner: Any) -> dict[str, Any]:
    dissent = {name: answer for name, answer in answers.items() if answer != winner}
    return {**_said(fields), "agreement": round(agreement, 9), "dissent": dissent}


def _said(answer: Any) -> Any:
    """Return an answer without how sure its author is of it, which is no argument."""
    if not isinstance(answer, Mapping):
        return answer
    return {name: value for name, value in answer.items() if name != "confidence"}


def _is_short(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 100)


def _short_fields(answer: Mapping[str, Any], voted_on: Mapping[str, Any]) -> dict[str, Any]:
    return {field: answer.get(field) for field in voted_on}


def _sure(answer: Any) -> float:
    sure = answer.get("confidence") if isinstance(answer, Mapping) else None
    return float(sure) if isinstance(sure, int | float) else 0.0
