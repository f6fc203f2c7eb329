"""Votes, rounds and outcomes: what agents said when they were asked to agree, and what came of it.

All of it is JSON-safe, so that a run can keep every round. The rules that count votes stand in `nodes/voting/`.
"""

from __future__ import annotations

from typing_extensions import TypedDict  # on Python 3.11 Pydantic makes no JSON Schema of the one in typing

__all__ = ["AgentVote", "Counted", "Dissent", "Outcome", "Round", "Silence"]


class AgentVote(TypedDict):
    """What one agent answered in one round.

    A valid vote has a decision, a ranking, or both; an abstention has neither, and a cause.

    Args:
        agent: Who voted.
        decision: One of the options. None in an abstention, and in a ranking with several options in first place.
        ranking: The options by preference: places from the first to the last, each with the options that share it.
            Every option stands in it once. None where only a decision was given.
        confidence: How sure the agent says it is, 0-1; None when it did not say. No rule counts it.
        reason: Why, in the agent's words; may be empty.
        weight: What the caller gives the agent's vote, at least 0; only the rule `weighted` counts it.
        abstained: Why this is an abstention, in words; None for a valid vote.
    """

    agent: str
    decision: str | None
    ranking: list[list[str]] | None
    confidence: float | None
    reason: str
    weight: float
    abstained: str | None


class Counted(TypedDict):
    """How a valid vote was counted: for which option, and with what weight.

    `option` is None for a ranking without a single first place. Under `log_odds` it can be the other option than the
    agent's own: that of an agent who is wrong more often than right.
    """

    agent: str
    option: str | None
    weight: float


class Silence(TypedDict):
    """Whose vote was not counted, and why."""

    agent: str
    cause: str


class Dissent(TypedDict):
    """Who preferred something else than what was decided: the options put first, and the reason given."""

    agent: str
    preferred: list[str]
    reason: str


class Outcome(TypedDict):
    """What a rule makes of the votes of one round. All lists are sorted, whatever the order of the votes was.

    Args:
        rule: The rule; for rankings with its method, such as `ranked (schulze)`.
        decision: The option that won, or None.
        level: How far the voters agree, 0-1, as the rule defines it; 0 when no vote counts.
        tally: Option → what it got: weight, points (Borda), or options beaten (Schulze).
        pairwise: For rankings: option → other option → votes that prefer the first to the second. Otherwise None.
        tied: The options that share the first place, when there are several.
        counted: How each valid vote was counted.
        dissent: Who preferred something else; empty when nothing was decided.
        abstained: Who gave no valid vote, and why.
        dropped: Whose valid vote the rule does not count, and why.
        why: What was decided and how clearly, or why nothing was; in words, for people.
        guarantee: What the rule promises, in words.
    """

    rule: str
    decision: str | None
    level: float
    tally: dict[str, float]
    pairwise: dict[str, dict[str, float]] | None
    tied: list[str]
    counted: list[Counted]
    dissent: list[Dissent]
    abstained: list[Silence]
    dropped: list[Silence]
    why: str
    guarantee: str


class Round(TypedDict):
    """One round: its number (from 1), what everybody answered, and the outcome."""

    number: int
    votes: list[AgentVote]
    outcome: Outcome
