"""From an agent's answer to a vote.

An answer that is no vote over these options is an abstention with its cause, never a guess: there is no repair, no
nearest match and no default. What an agent says about its own weight is not read at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ...state.values import json_problem
from ...state.votes import AgentVote
from .arguments import check_options

__all__ = ["MAX_CHARACTERS", "abstention", "check_vote", "read_vote"]

MAX_CHARACTERS = 100_000
"""The longest answer, and the longest reason, that is read."""

_FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n```\Z", re.DOTALL)
_SHOWN = 60


class _NoVote(Exception):
    """An answer is no vote; the message is the cause."""


def abstention(agent: str, cause: str, *, reason: str = "", weight: float = 1.0) -> AgentVote:
    """Make the vote of an agent that gave none.

    Args:
        agent: Who abstains.
        cause: Why, in words, such as `no answer within 30 s`.
        reason: What the agent itself said about it.
        weight: What its vote would have weighed.
    """
    return {
        "agent": agent,
        "decision": None,
        "ranking": None,
        "confidence": None,
        "reason": reason,
        "weight": weight,
        "abstained": cause,
    }


def read_vote(raw: Any, *, agent: str, options: Sequence[str], weight: float = 1.0) -> AgentVote:
    """Make a vote of what an agent answered.

    A vote is a mapping with `decision` (one of the options, letter for letter), or `ranking` (options from the best to
    the worst; options that share a place stand in a list of their own, those left out share the last place), or
    both, if they fit; with `confidence` (a number, 0-1) and `reason` (text) if the agent likes. Other keys
    are not read. JSON may stand alone or in one fenced block.

    Args:
        raw: A mapping, a Pydantic object, or JSON as text or bytes; anything else is no vote.
        agent: Who answered; the answer's own idea of that does not count.
        options: The closed set of options.
        weight: What the caller gives this agent's vote.

    Returns:
        The vote; an abstention with its cause when the answer is none: unreadable, outside the options, a
        confidence that is no number from 0 to 1, a decision that is not the first of its own ranking, …

    Raises:
        InvalidInput: `options` is not a list of at least two different texts. An answer never raises.
    """
    options = check_options(options)
    try:
        answer = _mapping(raw)
        decision, ranking = _choice(answer, options)
        reason = _reason(answer)
        confidence = _confidence(answer)
    except _NoVote as problem:
        return abstention(agent, str(problem), weight=weight)
    if decision is None and ranking is None:
        return abstention(agent, "chose to abstain", reason=reason, weight=weight)
    return {
        "agent": agent,
        "decision": decision,
        "ranking": ranking,
        "confidence": confidence,
        "reason": reason,
        "weight": weight,
        "abstained": None,
    }


def check_vote(vote: AgentVote, options: Sequence[str]) -> AgentVote:
    """Read a vote again, which may have been written by hand, stored by an older version, or meant for other options."""
    weight = vote.get("weight", 1.0)
    if cause := vote.get("abstained"):
        return abstention(vote["agent"], cause, reason=vote.get("reason", ""), weight=weight)
    return read_vote(vote, agent=vote["agent"], options=options, weight=weight)


def _mapping(raw: Any) -> Mapping[str, Any]:
    if raw is None:
        raise _NoVote("gave no answer")
    if isinstance(raw, BaseModel):
        raw = raw.model_dump()
    if isinstance(raw, bytes | bytearray):
        try:
            raw = raw.decode()
        except UnicodeDecodeError:
            raise _NoVote("the answer is not UTF-8 text") from None
    if isinstance(raw, str):
        raw = _parsed(raw)
    if not isinstance(raw, Mapping):
        raise _NoVote(f"the answer is a {type(raw).__name__}, not an object with a decision")
    return raw


def _parsed(text: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise _NoVote(f"the answer has {len(text)} characters; {MAX_CHARACTERS} are read at most")
    text = text.strip()
    if not text:
        raise _NoVote("the answer is empty")
    fenced = _FENCED.match(text)
    try:
        return json.loads(fenced[1] if fenced else text, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _NoVote(f"the answer is not JSON: {_short(str(error))}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _NoVote(f"the answer says {', '.join(map(_short, twice))} more than once")
    return found


def _no_constant(name: str) -> Any:
    raise _NoVote(f"the answer holds {name}, which is not JSON")


def _choice(answer: Mapping[str, Any], options: Sequence[str]) -> tuple[str | None, list[list[str]] | None]:
    decision, ranking = answer.get("decision"), answer.get("ranking")
    if "decision" not in answer and "ranking" not in answer:
        raise _NoVote("the answer has neither a decision nor a ranking")
    if decision is not None:
        if not isinstance(decision, str) or decision not in options:
            raise _NoVote(f"the decision {_short(decision)} is not one of the options: {', '.join(options)}")
        decision = options[options.index(decision)]  # plain text, where a model gave a member of an enumeration
    if ranking is None:
        return decision, None
    places = _places(ranking, options)
    first = places[0][0] if len(places[0]) == 1 else None
    if decision is not None and decision != first:
        raise _NoVote(f"the decision is {decision}, but the ranking puts {' and '.join(places[0])} first")
    return first, places


def _places(ranking: Any, options: Sequence[str]) -> list[list[str]]:
    """Return a ranking as places with every option in one of them."""
    if not isinstance(ranking, list | tuple) or not ranking:
        raise _NoVote("the ranking is not a list of options")
    places = [list(place) if isinstance(place, list | tuple) else [place] for place in ranking]
    seen: set[str] = set()
    for option in (option for place in places for option in place):
        if not isinstance(option, str) or option not in options:
            raise _NoVote(f"the ranking holds {_short(option)}, which is not one of the options: {', '.join(options)}")
        if option in seen:
            raise _NoVote(f"the ranking names {option} more than once")
        seen.add(option)
    if not all(places):
        raise _NoVote("the ranking has a place without an option")
    rest = [option for option in options if option not in seen]
    return [[option for option in options if option in place] for place in [*places, rest] if place]


def _confidence(answer: Mapping[str, Any]) -> float | None:
    given = answer.get("confidence")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _NoVote(f"the confidence {_short(given)} is not a number")
    if not 0 <= given <= 1:  # no order holds for NaN
        raise _NoVote(f"the confidence {_short(given)} is not between 0 and 1")
    return float(given)


def _reason(answer: Mapping[str, Any]) -> str:
    given = answer.get("reason")
    if given is None:
        return ""
    if not isinstance(given, str):
        raise _NoVote(f"the reason is a {type(given).__name__}, not text")
    if len(given) > MAX_CHARACTERS:
        raise _NoVote(f"the reason has {len(given)} characters; {MAX_CHARACTERS} are read at most")
    if problem := json_problem(given, "the reason"):
        raise _NoVote(problem)
    return given


def _short(value: Any) -> str:
    """Show a value of an answer in a cause: one line, not long, storable."""
    try:
        text = str(value)
    except ValueError:  # Python refuses to write whole numbers of thousands of digits
        text = f"({type(value).__name__})"
    text = " ".join((ascii(text) if json_problem(text) else text).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
