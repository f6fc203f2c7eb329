"""Votes for tests, in few words."""

from adjourn.nodes.voting import read_vote
from adjourn.state.votes import AgentVote


def votes_for(decisions: str | list[str], options: list[str]) -> list[AgentVote]:
    """One vote each, by agents a0, a1, …, in the order of what they decide."""
    return [
        read_vote({"decision": decision}, agent=f"a{index}", options=options)
        for index, decision in enumerate(decisions)
    ]


def rankings(groups: dict[str, int]) -> list[AgentVote]:
    """Rankings of one-letter options: `{"ACB": 2}` is two voters with A before C before B."""
    ballots = [ranking for ranking, count in groups.items() for _ in range(count)]
    options = sorted(ballots[0])
    return [
        read_vote({"ranking": list(ballot)}, agent=f"a{index:03}", options=options)
        for index, ballot in enumerate(ballots)
    ]
