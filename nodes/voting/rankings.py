"""The rule that counts rankings: Schulze or Borda.

Sources: M. Schulze, "A new monotonic, clone-independent, reversal symmetric, and Condorcet-consistent single-winner election
method", Social Choice and Welfare 36 (2011), 267-303; J.-C. de Borda, "Mémoire sur les élections au scrutin", Histoire
de l'Académie royale des sciences, 1781 (printed 1784).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ...state.votes import AgentVote, Counted, Outcome
from .polling import Poll, dissent, quoted

__all__ = ["METHODS", "borda_points", "pairwise", "path_strengths", "ranked"]

METHODS = ("schulze", "borda")

Matrix = dict[str, dict[str, int]]

_SCHULZE = (
    "An option that beats every other one in pairs wins (Condorcet), and to rank the winner higher never makes it lose. "
    "Fewer than half of the voters cannot overrule the rest when the rest put the same option first."
)
_BORDA = (
    "The option with the best average place wins, which favours what most can live with. Of n voters and m options, fewer "
    "than n/m faulty voters cannot keep the option from winning that all the others put first; n/m of them can."
)


def pairwise(rankings: Sequence[Sequence[Sequence[str]]], options: Sequence[str]) -> Matrix:
    """Count for each pair of options how many rankings put the first before the second.

    Args:
        rankings: Places from the first to the last, each with the options that share it.
        options: All options.
    """
    found = {one: {other: 0 for other in options if other != one} for one in options}
    for ranking in rankings:
        place = {option: index for index, options_there in enumerate(ranking) for option in options_there}
        for one in options:
            for other in found[one]:
                found[one][other] += place[one] < place[other]
    return found


def path_strengths(preferred: Matrix) -> Matrix:
    """Return the strength of the strongest path between each pair of options (Schulze).

    A link leads from one option to another when more voters prefer the one; its strength is their number ("winning
    votes"). A path is as strong as its weakest link; 0 when there is none. The widest paths are found as Floyd and
    Warshall find the shortest.
    """
    strength = {
        one: {other: count if count > preferred[other][one] else 0 for other, count in row.items()}
        for one, row in preferred.items()
    }
    for through in strength:
        for start in strength:
            for end in strength[start]:
                if through not in (start, end):
                    detour = min(strength[start][through], strength[through][end])
                    strength[start][end] = max(strength[start][end], detour)
    return strength


def borda_points(preferred: Matrix, voters: int) -> dict[str, Fraction]:
    """Return the points of each option: in each ranking, one for every option below it, half for every one beside it.

    Without shared places this is Borda's count with m - 1 points for the first of m and none for the last.
    """
    return {
        one: sum((Fraction(voters + row[other] - preferred[other][one], 2) for other in row), Fraction(0))
        for one, row in preferred.items()
    }


def ranked(ballots: Poll, method: str) -> Outcome:
    """Decide by rankings; a vote with a decision alone is a ranking with that option first and the others level.

    Schulze: an option wins when its strongest path to each other option is at least as strong as the one back. Borda:
    the option with the most points wins. Several winners are a tie, and a tie is no decision.

    Level: the winner's smallest pairwise share, that is the votes that prefer it to its closest rival ÷ all valid
    votes; of tied options, the highest of them.

    Args:
        ballots: The votes.
        method: `schulze` or `borda`.
    """
    rankings = [_ranking(vote, ballots.options) for vote in ballots.valid]
    preferred = pairwise(rankings, ballots.options)
    tally, winners = (_schulze if method == "schulze" else _borda)(preferred, len(rankings))
    if not any(count for row in preferred.values() for count in row.values()):
        winners = []  # nobody prefers anything to anything
    share = {name: min(preferred[name].values()) / len(rankings) for name in winners}
    decision = winners[0] if len(winners) == 1 else None
    counted: list[Counted] = [
        {"agent": vote["agent"], "option": vote["decision"], "weight": 1.0} for vote in ballots.valid
    ]
    return {
        "rule": f"ranked ({method})",
        "decision": decision,
        "level": max(share.values(), default=0.0),
        "tally": tally,
        "pairwise": {one: {other: float(count) for other, count in row.items()} for one, row in preferred.items()},
        "tied": sorted(winners) if len(winners) > 1 else [],
        "counted": counted,
        "dissent": dissent(ballots.valid, decision),
        "abstained": ballots.abstained,
        "dropped": [],
        "why": _why(winners, share, preferred, len(rankings)),
        "guarantee": _SCHULZE if method == "schulze" else _BORDA,
    }


def _ranking(vote: AgentVote, options: list[str]) -> list[list[str]]:
    if vote["ranking"] is not None:
        return vote["ranking"]
    first = vote["decision"] or ""
    return [[first], [option for option in options if option != first]]


def _schulze(preferred: Matrix, voters: int) -> tuple[dict[str, float], list[str]]:
    strength = path_strengths(preferred)
    beaten = {one: sum(strength[one][other] > strength[other][one] for other in row) for one, row in strength.items()}
    winners = [one for one, row in strength.items() if all(row[other] >= strength[other][one] for other in row)]
    return {one: float(count) for one, count in beaten.items()}, winners


def _borda(preferred: Matrix, voters: int) -> tuple[dict[str, float], list[str]]:
    points = borda_points(preferred, voters)
    return {one: float(got) for one, got in points.items()}, [
        one for one, got in points.items() if got == max(points.values())
    ]


def _why(winners: list[str], share: Mapping[str, float], preferred: Matrix, voters: int) -> str:
    if not winners:
        return "No vote prefers any option to another, so nothing is decided."
    if len(winners) > 1:
        return f"{quoted(sorted(winners))} share the first place: a tie is no decision."
    row = preferred[winners[0]]
    rival = min(row, key=lambda other: (row[other], other))
    return (
        f"'{winners[0]}' wins; against '{rival}', its closest rival, {row[rival]} of {voters} prefer it "
        f"({share[winners[0]]:.0%})."
    )
